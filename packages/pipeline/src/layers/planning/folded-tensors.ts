import type { PlannedFolding } from "../plan.ts";

/** Names of the tensors of the checkpoint into which factors are folded. */
export function foldedTensors(foldings: readonly Pick<PlannedFolding, "folding">[]): ReadonlySet<string> {
  return new Set(
    foldings.flatMap(({ folding: { multiplied, divided } }) =>
      [...multiplied, ...divided].map(({ tensor }) => tensor),
    ),
  );
}
