import type { CheckpointEvent } from "../events.ts";
import type { CheckpointDelegate, CheckpointOutcome } from "../delegate.ts";
import { checkpointParts, layerElements, type PlannedPart } from "../parts.ts";
import type { CheckpointPlan, PlannedLinear } from "../plan.ts";
import type { FinishedEntry } from "../finished-entry.ts";
import type { FinishedWork } from "./finished-work.ts";
import type { KnownFactors } from "./known-factors.ts";

interface WriteElsewhereParams {
  readonly plan: CheckpointPlan;
  readonly delegate: CheckpointDelegate;
  /** What is there. */
  readonly finished: FinishedWork;
  /** Gets the factors that are folded in. */
  readonly known: KnownFactors;
  /** Makes sure that others find what has been noted. */
  readonly settle: () => Promise<void>;
  readonly signal: AbortSignal;
  readonly progress: (tensor: string, elements: number, bytes: number) => void;
  readonly onEvent: ((event: CheckpointEvent) => void) | undefined;
}

/**
 * Lets others make the tensors of a plan that are not there: first what is found out about blocks, as all layers depend on it.
 *
 * @returns the kernels that ran; undefined where there was nothing to do
 */
export async function writeElsewhere(params: WriteElsewhereParams): Promise<string | undefined> {
  const { plan, delegate, finished, known, settle, signal } = params;
  const parts = checkpointParts(plan);
  const missing = parts.filter((part) => part.preparation === undefined && !isFinished(part, finished));
  if (missing.length === 0) return undefined;
  const unprepared = parts.filter(
    ({ preparation }) => preparation && !(plan.rotation === undefined && known.of(preparation.foldings)),
  );
  const run = async (
    work: readonly PlannedPart[],
    onDone: (outcome: CheckpointOutcome) => Promise<void>,
  ): Promise<string> => {
    const positions = work.map((part) => ({ tensor: parts.indexOf(part) }));
    const onStart = (): void => undefined;
    return (await delegate.run({ plan, work: positions, signal, onStart, onDone })).kernels;
  };
  if (unprepared.length > 0) {
    await run(unprepared, async ({ factors }) => {
      if (factors !== undefined) await known.entryDone({ factors });
    });
    await settle();
  }
  return run(missing, takeDone(parts, params));
}

/** What notes and tells of parts that are done. */
function takeDone(
  parts: readonly PlannedPart[],
  { finished, progress, onEvent }: WriteElsewhereParams,
): (outcome: CheckpointOutcome) => Promise<void> {
  const layers = new Map(
    parts.flatMap(({ group }) => (group?.layers ?? []).map((layer) => [layer.linear.module, layer])),
  );
  return async ({ tensor, entries }) => {
    const part = parts[tensor]!;
    for (const entry of entries) {
      const { layer: result } = entry;
      const planned = result && layers.get(result.module);
      // Layers are made again with those that share their inputs.
      const isNew = planned === undefined || !finished.hasLayer(planned);
      await finished.entryDone(entry);
      if (!isNew) continue;
      const { name, elements } = planned === undefined ? part : layerOf(planned);
      progress(name, elements, bytesOf(part, entry));
      if (result) onEvent?.({ type: "tensor:done", name, finished: finished.layers, result });
    }
  };
}

function isFinished({ group, copy }: PlannedPart, finished: FinishedWork): boolean {
  return (
    (group?.layers.every((layer) => finished.hasLayer(layer)) ?? true) &&
    (copy === undefined || finished.hasCopy(copy))
  );
}

function layerOf(planned: PlannedLinear): { readonly name: string; readonly elements: number } {
  return { name: planned.weights.tensor, elements: layerElements(planned) };
}

function bytesOf({ places }: PlannedPart, { tensors }: FinishedEntry): number {
  return places.reduce((sum, { name, bytes }) => sum + (name in tensors ? bytes : 0), 0);
}
