import type { ModelTensor } from "@quern/models";

type Weights = Pick<ModelTensor, "storage" | "sourceType">;

/** Whether a tensor has a ggml type already. */
export function isPacked({ storage }: Pick<Weights, "storage">): boolean {
  return typeof storage === "object";
}

/** What the rows of a tensor hold, as kernels call it: an element type or a ggml type. */
export function weightType({ storage, sourceType }: Weights): string {
  return typeof storage === "object" ? storage.packed : sourceType;
}
