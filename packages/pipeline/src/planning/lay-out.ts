import {
  type GgufLayout,
  type GgufMetadata,
  type GgufTensorSpec,
  planGguf,
  planGgufSplits,
} from "@quern/gguf";
import type { PlannedTensor } from "../plan.ts";
import type { OutputRequest } from "../recipe.ts";

/** Where everything of an output goes. */
export interface OutputLayout {
  /** One, or those of a split set in order. */
  readonly layouts: readonly GgufLayout[];
  /** In the order of the files. */
  readonly tensors: readonly Placement[];
}

type Placement = Pick<PlannedTensor, "file" | "name" | "type" | "ne" | "offset" | "size">;

/** Lays out the files of an output. @throws QuernError as `planGguf` and `planGgufSplits` */
export function layOut(params: {
  request: OutputRequest;
  metadata: GgufMetadata;
  tensors: readonly GgufTensorSpec[];
}): OutputLayout {
  const { request, metadata, tensors } = params;
  const layouts =
    request.split === undefined
      ? [planGguf({ metadata, tensors })]
      : planGgufSplits({ metadata, tensors, division: request.split });
  return {
    layouts,
    tensors: layouts.flatMap((layout, file) => layout.tensors.map((tensor) => ({ file, ...tensor }))),
  };
}
