import { columnImportance, type Feedback, type Treatment } from "@quern/quantize";
import type { InputSource, InputStatistics } from "@quern/statistics";
import { withLargest } from "../planning/plan-linear.ts";
import type { PlannedGroup, PlannedLinear } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import type { ChangedWork } from "./changed-work.ts";
import { type LayerInputs, type QuantizedLinear, quantizeLayer } from "./quantize-layer.ts";

/** What layers are worked on with. */
export interface LayerWork {
  readonly inputs?: InputSource;
  readonly changeInputs: ChangedWork["changeInputs"];
  readonly run: RunLayerTask;
  readonly threads: number;
  readonly chunkWeights: number;
  /** Called as rows of a layer are done. */
  readonly onRows: (planned: PlannedLinear, rows: number) => void;
  /** Takes a layer that is whole; its memory is free when it is done. */
  readonly sink: (
    planned: PlannedLinear,
    quantized: QuantizedLinear,
    inputs: InputStatistics | undefined,
  ) => Promise<void>;
}

/** Quantizes the layers that read the same inputs: what is made of these is made once. */
export async function quantizeGroup(planned: PlannedGroup, work: LayerWork): Promise<void> {
  const statistics = await readInputs(planned, work);
  const group = {
    ...planned,
    layers: await Promise.all(planned.layers.map((layer) => evaluated(layer, work))),
  };
  const treatments = await treatmentsFor(group, work);
  const feedbacks = new Map<string, Promise<Feedback | undefined>>();
  await Promise.all(
    group.layers.map(async (planned) => {
      const treatment = treatments.get(planned)!;
      const known = usedBy(planned, statistics);
      const feedback =
        planned.prepares &&
        known?.hessian &&
        (await feedbackFor({ planned, treatment, statistics: known, work, feedbacks }));
      const importance = known && !known.hessian ? columnImportance(known.meanSquare) : undefined;
      const inputs: LayerInputs = {
        treatment,
        ...(known && { statistics: known }),
        ...(importance && { importance }),
        ...(feedback && { feedback }),
      };
      const { chunkWeights, threads, run } = work;
      const quantized = await quantizeLayer({
        planned,
        inputs,
        chunkWeights,
        threads,
        run,
        onRows: (rows) => work.onRows(planned, rows),
      });
      await work.sink(planned, quantized, known);
    }),
  );
}

async function readInputs(
  { inputs, needs, layers }: PlannedGroup,
  work: LayerWork,
): Promise<InputStatistics | undefined> {
  const { hessian, cross, heldOut, channels, histogram } = needs;
  if (inputs === undefined || work.inputs === undefined || !(hessian || channels)) return undefined;
  const statistics = await work.inputs.read({ ...inputs, hessian, cross, heldOut, histogram });
  return work.changeInputs(layers[0]!, statistics);
}

/** A layer whose rows are made together has them in memory before they are divided among threads. */
async function evaluated(planned: PlannedLinear, { run }: LayerWork): Promise<PlannedLinear> {
  const { weights } = planned;
  if (weights.whole !== true) return planned;
  const values = new Float32Array(new SharedArrayBuffer(weights.rows * weights.columns * 4));
  await run({ kind: "evaluate", weights, into: values });
  return { ...planned, weights: { ...weights, values } };
}

/** What is known of the inputs, less what a layer has no use for. */
function usedBy(
  { needs }: PlannedLinear,
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
async function treatmentsFor(
  { layers }: PlannedGroup,
  { run, threads, chunkWeights }: LayerWork,
): Promise<ReadonlyMap<PlannedLinear, Treatment>> {
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

/** Made once for layers that are rounded alike. */
function feedbackFor(params: {
  readonly planned: PlannedLinear;
  readonly treatment: Treatment;
  readonly statistics: InputStatistics;
  readonly work: LayerWork;
  readonly feedbacks: Map<string, Promise<Feedback | undefined>>;
}): Promise<Feedback | undefined> {
  const { planned, treatment, statistics, work, feedbacks } = params;
  const { rows, columns } = planned.linear;
  const { grid, rounding } = treatment;
  const key = JSON.stringify({ grid, rounding });
  const known = feedbacks.get(key);
  if (known !== undefined) return known;
  const made = work.run({
    kind: "prepare",
    tensor: planned.weights.tensor,
    treatment,
    shape: { rows, columns },
    hessian: statistics.hessian!,
    tokens: statistics.tokens,
  });
  feedbacks.set(key, made);
  return made;
}
