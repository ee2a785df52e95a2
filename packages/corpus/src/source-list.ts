import { QuernError } from "@quern/tensor";

/** A file of texts and its share. */
export interface WeightedFile {
  readonly path: string;
  readonly weight: number;
}

/**
 * Reads "file" or "file:weight". A colon that no number follows belongs to the name (`C:\texts`).
 *
 * @throws QuernError `CORPUS_OPTION_INVALID` for a weight that is not above 0
 */
export function parseWeightedFile(text: string): WeightedFile {
  const [, path, digits] = /^(.+):([0-9]*\.?[0-9]+)$/.exec(text) ?? [];
  if (path === undefined || digits === undefined) return { path: text, weight: 1 };
  const weight = Number(digits);
  if (weight > 0) return { path, weight };
  throw new QuernError("CORPUS_OPTION_INVALID", `${text}: the weight must be above 0.`, {
    subject: { file: path },
  });
}
