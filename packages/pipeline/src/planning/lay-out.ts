import {
  type GgufDivision,
  type GgufLayout,
  type GgufMetadata,
  type GgufTensorSpec,
  planGguf,
  planGgufSplits,
} from "@quern/gguf";
import type { PlannedTensor } from "../plan.ts";

/** Where everything of an output goes. */
export interface OutputLayout {
  /** One, or those of a split set in order. */
  readonly layouts: readonly GgufLayout[];
  /** Whether they are a set, of however many. */
  readonly isSplit: boolean;
  /** In the order of the files. */
  readonly tensors: readonly Placement[];
}

type Placement = Pick<PlannedTensor, "file" | "name" | "type" | "ne" | "offset" | "size">;

/**
 * Lays out the files of an output.
 *
 * @param params.division Which file each tensor goes to; undefined for one file.
 * @throws QuernError as `planGguf` and `planGgufSplits`
 */
export function layOut(params: {
  division: GgufDivision | undefined;
  metadata: GgufMetadata;
  tensors: readonly GgufTensorSpec[];
}): OutputLayout {
  const { division, metadata, tensors } = params;
  const layouts =
    division === undefined
      ? [planGguf({ metadata, tensors })]
      : planGgufSplits({ metadata, tensors, division });
  return {
    layouts,
    isSplit: division !== undefined,
    tensors: layouts.flatMap((layout, file) => layout.tensors.map((tensor) => ({ file, ...tensor }))),
  };
}
