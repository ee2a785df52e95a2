import type { WeightedFile } from "./source-list.ts";

/** A file of the default calibration text. */
export interface DefaultTextFile extends WeightedFile {
  /** Where it lies: a file in Node, what a bundler made of it in a browser. */
  readonly url: URL;
}

/**
 * The default calibration text, mixed of prose, code, dialogue and languages (see default-text/README.md). Where it is read depends
 * on the platform: `openDefaultText` in Node; in a browser, `textSource` over `httpRangeSource` or `bytesSource` for each `url`.
 */
export const DEFAULT_TEXT: readonly DefaultTextFile[] = [
  { path: "prose.txt", weight: 4, url: new URL("../default-text/prose.txt", import.meta.url) },
  { path: "reference.txt", weight: 2, url: new URL("../default-text/reference.txt", import.meta.url) },
  { path: "code.txt", weight: 2, url: new URL("../default-text/code.txt", import.meta.url) },
  { path: "dialogue.jsonl", weight: 1, url: new URL("../default-text/dialogue.jsonl", import.meta.url) },
  { path: "languages.txt", weight: 1, url: new URL("../default-text/languages.txt", import.meta.url) },
];
