import { html, type Html, type HtmlPart } from "./html.ts";

export interface TableColumn {
  readonly title: string;
  /** Numbers stand right, and below each other. */
  readonly number?: true;
}

/** A table with a caption for those who do not see what is around it. The first cell of a row names it. */
export function table(params: {
  readonly caption: string;
  readonly columns: readonly TableColumn[];
  readonly rows: readonly (readonly HtmlPart[])[];
}): Html {
  const { caption, columns, rows } = params;
  const kind = (index: number): string => (columns[index]?.number === true ? "number" : "text");
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption class="hidden">
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map(({ title }, index) => html`<th scope="col" class="${kind(index)}">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([first, ...cells]) =>
            html`<tr>
              <th scope="row" class="${kind(0)}">${first}</th>
              ${cells.map((cell, index) => html`<td class="${kind(index + 1)}">${cell}</td>`)}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

/** A figure with a bar behind it. @param share Length of the bar, 0..1 */
export function barCell(text: string, share: number): Html {
  const width = (Math.min(Math.max(share, 0), 1) * 100).toFixed(1);
  return html`<span class="bar-cell"
    ><span class="bar-track"><span class="bar-fill" style="width:${width}%"></span></span>${text}</span
  >`;
}

/** Names and values. */
export function facts(pairs: readonly (readonly [name: string, value: HtmlPart])[]): Html {
  return html`<dl class="facts">
    ${pairs.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

/** Figures to be seen first. */
export function tiles(
  all: readonly { readonly label: string; readonly value: string; readonly note?: string }[],
): Html {
  return html`<ul class="tiles">
    ${all.map(
      ({ label, value, note }) =>
        html`<li>
          <span class="tile-label">${label}</span><span class="tile-value">${value}</span>${
            note !== undefined && html`<span class="tile-note">${note}</span>`
          }
        </li>`,
    )}
  </ul>`;
}
