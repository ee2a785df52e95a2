import { columnImportance, diagonalOf, type Feedback, type Treatment } from "@quern/quantize";
import type { InputSource, InputStatistics } from "@quern/statistics";
import type { BufferLease, BufferPool } from "@quern/threads";
import { withLargest } from "../planning/plan-linear.ts";
import type { PlannedGroup, PlannedMatrix } from "../plan.ts";
import { preparingSizes } from "../tasks/prepare.ts";
import type { RunLayerTask } from "../tasks/task.ts";

/** What rows of a layer are rounded with. */
export interface LayerInputs {
  readonly treatment: Treatment;
  readonly statistics?: InputStatistics;
  /** By column: what errors count, where that does not follow from a Hessian. */
  readonly importance?: Float32Array;
  readonly feedback?: Feedback;
}

/** What layers are worked on with. */
export interface LayerWork<M extends PlannedMatrix> {
  readonly inputs?: InputSource;
  /** What is known of the inputs of a layer after they have been changed; arrays may be changed in place. */
  readonly changeInputs: (planned: M, statistics: InputStatistics) => Promise<InputStatistics>;
  readonly run: RunLayerTask;
  /** Shared memory; what groups and layers have taken is given back when they are done, unless they fail. */
  readonly pool: BufferPool;
  readonly threads: number;
  readonly chunkWeights: number;
  /** Whether an earlier run has written a layer. */
  readonly isFinished: (planned: M) => boolean;
  /** Rounds a layer, and takes care of the result; its memory is free when that is done. */
  readonly quantize: (planned: M, inputs: LayerInputs) => Promise<void>;
}

/** Quantizes the layers that read the same inputs, as far as they are not finished: what is made of these is made once. */
export async function quantizeGroup<M extends PlannedMatrix>(
  planned: PlannedGroup<M>,
  work: LayerWork<M>,
): Promise<void> {
  if (planned.layers.every((layer) => work.isFinished(layer))) return;
  const lease = work.pool.lease();
  const statistics = await readInputs(planned, work, lease);
  // What layers have in common is that of all of them.
  const group = {
    ...planned,
    layers: await Promise.all(planned.layers.map((layer) => evaluated(layer, work, lease))),
  };
  const treatments = await treatmentsFor(group, work);
  const open = group.layers.filter((layer) => !work.isFinished(layer));
  const energies = statistics?.hessian && diagonalOf(statistics.hessian, planned.columns);
  const context = { consumes: planned.consumesHessian, work, lease, feedbacks: new Map() };
  await Promise.all(
    open.map(async (planned) => {
      const treatment = treatments.get(planned)!;
      const known = usedBy(planned, statistics);
      const feedback =
        planned.prepares !== undefined &&
        known?.hessian &&
        (await feedbackFor({ ...context, planned, treatment, statistics: known }));
      const left = feedback && context.consumes ? withoutHessian(known) : known;
      const importance =
        left && !left.hessian ? columnImportance(known?.hessian ? energies! : left.meanSquare) : undefined;
      await work.quantize(planned, {
        treatment,
        ...(left && { statistics: left }),
        ...(importance && { importance }),
        ...(feedback && { feedback }),
      });
    }),
  );
  lease.release();
}

async function readInputs<M extends PlannedMatrix>(
  { inputs, needs, layers }: PlannedGroup<M>,
  work: LayerWork<M>,
  lease: BufferLease,
): Promise<InputStatistics | undefined> {
  const { hessian, cross, heldOut, channels, histogram } = needs;
  if (inputs === undefined || work.inputs === undefined || !(hessian || channels)) return undefined;
  const statistics = await work.inputs.read({
    ...inputs,
    hessian,
    cross,
    heldOut,
    histogram,
    allocate: (size) => lease.take(size),
  });
  return work.changeInputs(layers[0]!, statistics);
}

/** A layer whose rows are made together has them in memory before they are divided among threads. */
async function evaluated<M extends PlannedMatrix>(
  planned: M,
  { run }: Pick<LayerWork<M>, "run">,
  lease: BufferLease,
): Promise<M> {
  const { weights } = planned;
  if (weights.whole !== true) return planned;
  const values = new Float32Array(lease.take(weights.rows * weights.columns * 4));
  await run({ kind: "evaluate", weights, into: values });
  return { ...planned, weights: { ...weights, values } };
}

/** What is known of the inputs, less what a layer has no use for. */
function usedBy(
  { needs }: PlannedMatrix,
  statistics: InputStatistics | undefined,
): InputStatistics | undefined {
  if (statistics === undefined) return undefined;
  const { hessian, cross, ...rest } = statistics;
  return {
    ...rest,
    ...(needs.hessian && hessian && { hessian }),
    ...(needs.cross && cross && { cross }),
  };
}

/** Grids that are made for a largest magnitude get that of all layers that are loaded as one. */
async function treatmentsFor<M extends PlannedMatrix>(
  { layers }: PlannedGroup<M>,
  { run, threads, chunkWeights }: Pick<LayerWork<M>, "run" | "threads" | "chunkWeights">,
): Promise<ReadonlyMap<M, Treatment>> {
  const largest = new Map<string, number>();
  for (const { sharesLargest, weights } of layers) {
    if (sharesLargest === undefined) continue;
    const { rows, columns } = weights;
    const size = Math.max(1, Math.floor(Math.min(rows / Math.max(threads, 1), chunkWeights / columns)));
    const found = await Promise.all(
      Array.from({ length: Math.ceil(rows / size) }, (_, index) =>
        run({ kind: "largest", weights, firstRow: index * size, rows: Math.min(size, rows - index * size) }),
      ),
    );
    largest.set(sharesLargest, Math.max(largest.get(sharesLargest) ?? 0, ...found));
  }
  return new Map(
    layers.map((planned) => {
      const { treatment } = planned.decision;
      const most = planned.sharesLargest === undefined ? undefined : largest.get(planned.sharesLargest)!;
      return [planned, most === undefined ? treatment : withLargest(treatment, most)];
    }),
  );
}

function withoutHessian({ hessian: _consumed, ...rest }: InputStatistics): InputStatistics {
  return rest;
}

/** Made once for layers that are rounded alike. */
function feedbackFor(params: {
  readonly planned: PlannedMatrix;
  /** Whether nothing else needs the Hessian. */
  readonly consumes: boolean;
  readonly treatment: Treatment;
  readonly statistics: InputStatistics;
  readonly work: { readonly run: RunLayerTask };
  readonly lease: BufferLease;
  readonly feedbacks: Map<string, Promise<Feedback | undefined>>;
}): Promise<Feedback | undefined> {
  const { planned, treatment, statistics, consumes, work, lease, feedbacks } = params;
  const { rows, columns } = planned.linear;
  const key = planned.prepares!;
  const known = feedbacks.get(key);
  if (known !== undefined) return known;
  const cross = statistics.cross !== undefined;
  const prepared = work.run({
    kind: "prepare",
    tensor: planned.weights.tensor,
    treatment,
    shape: { rows, columns },
    hessian: statistics.hessian!,
    tokens: statistics.tokens,
    ...(statistics.cross && { cross: statistics.cross }),
    overwrites: consumes,
    buffers: preparingSizes(columns, { overwrites: consumes, cross }).map((size) => lease.take(size)),
  });
  // Targets that are shifted need what has become of it.
  const made = prepared.then((feedback) => {
    if (consumes && !cross) lease.giveBack(statistics.hessian!.buffer as SharedArrayBuffer);
    return feedback;
  });
  feedbacks.set(key, made);
  return made;
}
