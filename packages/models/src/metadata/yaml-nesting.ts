import { CST, Lexer } from "yaml";

const OPENING: ReadonlySet<unknown> = new Set(["flow-seq-start", "flow-map-start"]);
const CLOSING: ReadonlySet<unknown> = new Set(["flow-seq-end", "flow-map-end"]);
/** Each starts another collection on the same line: "- - - item". */
const INDICATORS: ReadonlySet<unknown> = new Set(["seq-item-ind", "explicit-key-ind"]);

/**
 * An upper bound of how deep collections are nested in a YAML text: open brackets, and per line the indentation and the
 * indicators. Needs constant stack and linear time, which the parser does not: it recurses for every level.
 */
export function yamlNesting(text: string): number {
  let brackets = 0;
  let levels = 0;
  let deepest = 0;
  let isLineStart = true;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (type === "newline") levels = 0;
    else if (type === "space" && isLineStart) levels = token.length;
    else if (INDICATORS.has(type)) levels += 1;
    else if (OPENING.has(type)) brackets += 1;
    else if (CLOSING.has(type)) brackets = Math.max(0, brackets - 1);
    isLineStart = type === "newline";
    deepest = Math.max(deepest, brackets + levels);
  }
  return deepest;
}
