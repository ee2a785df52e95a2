import { QuernError } from "@quern/tensor";
import type { Importance } from "./importance.ts";

/**
 * The weights of some tensors only, as `--include-weights` and `--exclude-weights` of `llama-quantize` choose them: those whose names
 * contain one of the parts, or none of them.
 *
 * @param params.include Parts of names, upper and lower case apart; none takes every tensor.
 * @param params.exclude Parts of names; not together with `include`.
 * @throws QuernError `IMPORTANCE_SELECTION` for both
 */
export function selectImportance(
  importance: Importance,
  params: { include?: readonly string[]; exclude?: readonly string[] },
): Importance {
  const { include = [], exclude = [] } = params;
  if (include.length > 0 && exclude.length > 0) {
    throw new QuernError(
      "IMPORTANCE_SELECTION",
      "importance weights are either included by name or excluded: expected not both",
    );
  }
  const parts = include.length > 0 ? include : exclude;
  const isTaken = (name: string): boolean => parts.some((part) => name.includes(part)) === include.length > 0;
  if (parts.length === 0) return importance;
  const names = [...importance.lengths.keys()];
  return {
    ...importance,
    lengths: new Map([...importance.lengths].filter(([name]) => isTaken(name))),
    leftOut: new Set([...importance.leftOut, ...names.filter((name) => !isTaken(name))]),
    examinations: importance.examinations.filter(({ name }) => isTaken(name)),
  };
}
