import type { LayerResultFigures } from "./events.ts";

/** What is noted of tensors that are complete in their files. */
export interface FinishedEntry {
  /** SHA-256 of their bytes, by name. */
  readonly tensors: Readonly<Record<string, string>>;
  /** What became of the layer that they are. */
  readonly layer?: LayerResultFigures | undefined;
}

/** @returns undefined for what no run has noted */
export function finishedEntry(noted: unknown): FinishedEntry | undefined {
  const { tensors, layer } = (noted ?? {}) as Partial<FinishedEntry>;
  if (typeof tensors !== "object" || tensors === null || Object.keys(tensors).length === 0) return undefined;
  if (layer !== undefined && typeof layer.module !== "string") return undefined;
  return { tensors, ...(layer && { layer }) };
}
