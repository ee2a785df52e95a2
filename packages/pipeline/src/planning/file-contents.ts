import { ggmlType } from "@quern/gguf";
import type { ModelDescription } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { Importance } from "@quern/statistics";
import type { ModelSource, PlannedTensor } from "../plan.ts";
import type { Flavour, OutputRequest } from "../recipe.ts";
import type { OutputLayout } from "./lay-out.ts";

/** What an output holds, wherever it is written. */
export interface FileContents extends OutputLayout {
  readonly type: string;
  readonly flavour: Flavour;
  readonly intermediate?: string;
  readonly tensors: readonly PlannedTensor[];
  /** What does no harm. */
  readonly warnings: readonly QuernError[];
}

export interface FileParams {
  readonly request: OutputRequest;
  readonly model: ModelDescription;
  readonly source: ModelSource;
  readonly importance?: Importance;
  /** Name of what rounds layers by their inputs. */
  readonly rounding?: string;
}

/** @throws QuernError `RECIPE_OPTION` for the first of the options that is set */
export function refuseOptions(
  { request, where }: { readonly request: OutputRequest; readonly where: string },
  options: readonly (keyof OutputRequest)[],
): void {
  const stray = options.find((option) => request[option] !== undefined);
  if (stray === undefined) return;
  throw new QuernError("RECIPE_OPTION", `${stray} means nothing for ${where}`, { subject: { key: stray } });
}

/** What a plan says of a type that was wanted and does not fit. */
export function fallbackOf(
  from: string | undefined,
  [columns = 1]: readonly number[],
): Pick<PlannedTensor, "fallback"> {
  if (from === undefined) return {};
  return {
    fallback: { from, reason: `${columns} columns are not a multiple of ${ggmlType(from).blockSize}` },
  };
}
