/** Markup that is safe to put into a page. Only {@link html} and constants of this package make it. */
export class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
}

/** What a template takes: text and numbers are escaped, markup is not; undefined and false are nothing. */
export type HtmlPart = string | number | Html | undefined | false | readonly HtmlPart[];

/** Tag of templates: `` html`<p>${text}</p>` `` escapes what is put in, in text and in quoted attributes alike. */
export function html(strings: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  let markup = strings[0]!;
  for (const [index, part] of parts.entries()) markup += markupOf(part) + strings[index + 1]!;
  return new Html(markup);
}

function markupOf(part: HtmlPart): string {
  if (part === undefined || part === false) return "";
  if (part instanceof Html) return part.markup;
  if (typeof part === "string" || typeof part === "number") return escapeHtml(String(part));
  return part.map(markupOf).join("");
}

/** Text as it stands in HTML, in quoted attributes too. What XML cannot hold, and marks that turn the direction of text, are shown. */
export function escapeHtml(text: string): string {
  return text.replace(SPECIAL, (character) => ENTITIES[character] ?? "\u{fffd}");
}

const SPECIAL = /[&<>"'`\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]/gu;
const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "`": "&#96;",
  "\n": "\n",
  "\t": "\t",
};
