import { formatBytes, formatCount, formatInteger, formatPercent } from "../format.ts";
import { html, type Html, type HtmlPart } from "../html/html.ts";
import { facts } from "../html/table.ts";
import type { ReportContents } from "../report.ts";

/** Where everything comes from. */
export function provenanceSection({ conversion, evaluation }: ReportContents): Html {
  const pairs: (readonly [string, HtmlPart])[] = [];
  if (conversion !== undefined) {
    const { tool, model, architecture, parameters, sourceBytes, sourceTypes, importance } = conversion;
    pairs.push(
      ["Converted by", tool],
      [
        "Source",
        `${model} (${architecture}), ${formatCount(parameters)} weights, ${formatBytes(sourceBytes)} of ${sourceTypes.join(", ")}`,
      ],
      ...conversion.outputs.map(
        ({ type, files }) =>
          [
            type,
            files.map(({ name, bytes }) => `${name} (${formatInteger(bytes)} bytes)`).join(", "),
          ] as const,
      ),
    );
    if (importance !== undefined) {
      const { file, datasets, chunks } = importance;
      const of = datasets.length === 0 ? "" : ` from ${datasets.join(", ")}`;
      const count = chunks === undefined ? "" : `, ${formatInteger(chunks)} chunks`;
      pairs.push(["Importance", `${file}${of}${count}`]);
    }
    pairs.push(...conversion.settings.map(({ name, value }) => [name, value] as const));
  }
  if (evaluation !== undefined) {
    const { tool, model, reference, corpus, confidence } = evaluation;
    const described = ({ name, bytes, parameters }: typeof model): string =>
      `${name}, ${formatBytes(bytes)}, ${((bytes * 8) / parameters).toFixed(2)} bits per weight`;
    pairs.push(["Evaluated by", tool], ["Model", described(model)]);
    if (reference !== undefined) pairs.push(["Reference", described(reference)]);
    pairs.push(
      [
        "Text",
        `${formatInteger(corpus.tokens)} tokens in ${formatInteger(corpus.windows)} windows of ${formatInteger(corpus.context)}, ${corpus.score} of each scored`,
      ],
      ["Text hash", html`<code>${corpus.hash}</code>`],
      ["Tokenizer", corpus.tokenizer],
      [
        "Intervals",
        `${formatPercent(confidence.level)}, ${formatInteger(confidence.resamples)} resamples of windows, seed ${confidence.seed}`,
      ],
    );
  }
  return html`<section aria-labelledby="provenance">
    <h2 id="provenance">Where it comes from</h2>
    ${facts(pairs)}
  </section>`;
}
