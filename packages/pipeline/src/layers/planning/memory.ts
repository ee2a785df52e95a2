import { totalmem } from "node:os";
import type { ModelTensor } from "@quern/models";
import { ELEMENT_TYPES, elementCount, QuernError } from "@quern/tensor";
import type {
  InputNeeds,
  LayerResources,
  PlannedBlockCheck,
  PlannedFolding,
  PlannedGroup,
  PlannedMatrix,
  PlannedParent,
  PlannedStage,
} from "../plan.ts";
import { connectionBytes } from "../../planning/resources.ts";
import type { CheckedLinear } from "./plan-linear.ts";

/**
 * What a thread holds for each weight that it rounds: weights, values, errors, what they add to others, the same in other orders, and what of
 * all that has not been collected yet.
 */
const BYTES_PER_WEIGHT = 96;

/** For each weight of a matrix that is evaluated as a whole: as it is stored, in F32, scaled and rotated. */
const EVALUATING_BYTES = 16;

/** Weights above this make nothing faster. */
const LARGEST_CHUNK = 2 ** 21;

/** Groups beyond those in hand keep threads busy; more than two of each size, or than this, make nothing faster. */
const LARGEST_AHEAD = 16 * 2 ** 20;

/** Of a Hessian, for each element: F64. */
const HESSIAN_BYTES = 8;
/** What is made of it for all rows: feedback in F32, and damped for refinements in F32. */
const PREPARING_BYTES = 8;
/** A factor in F64, where the Hessian is still needed when that has been made. */
const FACTOR_BYTES = 8;
/** Of products with other inputs: F64, and F32 for shifts. */
const CROSS_BYTES = 12;
/** Of a Hessian with factors: a copy in F64, and one in F32 for products. */
const SEARCHING_HESSIAN_BYTES = 12;
/** Of each thread that refines with a Hessian of which nothing has been prepared: damped, in F32. */
const REFINING_BYTES = 4;

/** Inputs that are held out, at most. */
export const HELD_OUT_ROWS = 256;

/**
 * Resident memory of Node with this package loaded and a model described, and of each further thread with its kernels: as measured
 * (Node 20 on Linux x64, native kernels), rounded up.
 */
const PROCESS_BYTES = 130 * 2 ** 20;
const THREAD_BYTES = 40 * 2 ** 20;

/** Memory that a group takes from when its inputs are read until its layers are written. */
export function groupBytes(params: {
  readonly layers: readonly CheckedLinear[];
  readonly needs: InputNeeds;
  readonly consumesHessian: boolean;
  readonly columns: number;
  /** Layers whose rows are made together. */
  readonly whole: (layer: CheckedLinear) => boolean;
  /** Whether what layers become is needed as numbers, too. */
  readonly follows: boolean;
}): number {
  const { layers, needs, columns, consumesHessian, follows, whole } = params;
  const codes = layers.reduce((sum, layer) => {
    const { linear, decision } = layer;
    const weights = linear.rows * linear.columns;
    return sum + weights * ((decision.guard ? 2 : 1) + (follows ? 4 : 0) + (whole(layer) ? 4 : 0));
  }, 0);
  return codes + inputBytes({ needs, columns, consumesHessian });
}

/**
 * Whether layers with the same inputs need the Hessian of these for nothing but what is prepared of it, once for all of them: where ranges
 * are searched in it, or layers are rounded otherwise, it is needed until they are done.
 */
export function consumesHessian(
  layers: readonly Pick<PlannedMatrix, "needs" | "prepares" | "decision">[],
): boolean {
  const users = layers.filter(({ needs }) => needs.hessian);
  return (
    users.length > 0 &&
    users.every(
      ({ prepares, decision }) =>
        prepares !== undefined &&
        prepares === users[0]!.prepares &&
        decision.treatment.searchInHessian !== true,
    )
  );
}

/** Memory for what is known of the inputs of a group. */
export function inputBytes(
  group: Pick<PlannedGroup<PlannedMatrix>, "needs" | "columns" | "consumesHessian">,
): number {
  const { needs, columns } = group;
  const square = columns * columns;
  const preparing = PREPARING_BYTES + (group.consumesHessian ? 0 : FACTOR_BYTES);
  return (
    (needs.hessian ? square * (HESSIAN_BYTES + preparing) : 0) +
    (needs.cross ? square * CROSS_BYTES : 0) +
    (needs.heldOut ? HELD_OUT_ROWS * columns * 4 : 0)
  );
}

/** Of all weights while factors for their columns are searched: as they are, with factors, rounded, and errors times the Hessian. */
const SEARCHING_BYTES = 20;

/** Memory that choosing factors takes. */
export function foldingBytes(params: {
  readonly layers: readonly { readonly weights: { readonly rows: number; readonly columns: number } }[];
  readonly columns: number;
  readonly usesHessian: boolean;
  readonly parent?: PlannedParent | undefined;
}): number {
  const { layers, columns, usesHessian, parent } = params;
  const weights = layers.reduce((sum, { weights: { rows, columns: n } }) => sum + rows * n, 0);
  return (
    weights * SEARCHING_BYTES +
    (usesHessian ? columns * columns * (HESSIAN_BYTES + SEARCHING_HESSIAN_BYTES) : 0) +
    (parent === undefined ? 0 : parentBytes(parent))
  );
}

/** Rows of a parent: its inputs, what it gave and gives, and what its experts read and give; and between its layers. */
const PARENT_ROWS = 6;
const PARENT_INNER_ROWS = 4;

/** Tensors as they are stored and in F32, and what they make of inputs that were held out. */
function parentBytes({ parent, rows, tensors }: PlannedParent): number {
  return rows * 4 * (PARENT_ROWS * parent.width + PARENT_INNER_ROWS * parent.inner) + tensorBytes(tensors);
}

/** Memory for tensors of a model as they are stored, and in F32. */
export function tensorBytes(tensors: readonly ModelTensor[]): number {
  return tensors.reduce(
    (sum, { shape, sourceType }) => sum + elementCount(shape) * (ELEMENT_TYPES[sourceType].bits / 8 + 4),
    0,
  );
}

/**
 * Divides memory among groups and threads.
 *
 * @throws QuernError `PLAN_MEMORY` where it is too little even for one thread
 */
export function layerResources(params: {
  readonly memory: number | undefined;
  readonly threads: number;
  readonly stages: readonly PlannedStage<PlannedMatrix>[];
  readonly foldings: readonly PlannedFolding[];
  readonly checks: readonly PlannedBlockCheck[];
  /** Weights of the largest matrix whose rows are made together. @default 0 */
  readonly wholeWeights?: number;
  /** Whether weights come over a network. */
  readonly network: boolean;
}): LayerResources {
  const memory = resolveMemory(params.memory);
  const groups = params.stages.flatMap((stage) => stage.groups);
  const group = [...groups, ...params.foldings, ...params.checks].reduce(
    (most, { bytes }) => Math.max(most, bytes),
    0,
  );
  const ofThread = groups.reduce(
    (most, { layers, columns }) => {
      const rows = layers.reduce((largest, { division }) => Math.max(largest, division.step), 1);
      const unprepared = layers.some(({ needs, prepares }) => needs.hessian && prepares === undefined);
      const refining = unprepared ? columns * columns * REFINING_BYTES : 0;
      return Math.max(most, rows * columns * BYTES_PER_WEIGHT + refining);
    },
    (params.wholeWeights ?? 0) * EVALUATING_BYTES,
  );
  const leastMemory = group + ofThread;
  if (memory < leastMemory) {
    throw new QuernError(
      "PLAN_MEMORY",
      `memory: ${memory} bytes are too little for the largest layers, which take ${leastMemory}`,
      { subject: { key: "memory" } },
    );
  }
  const rest = memory - group;
  const threads = Math.min(params.threads, Math.max(1, Math.floor(rest / Math.max(ofThread, 1))));
  const beyond = rest / Math.max(threads, 1) - ofThread;
  const wanted = groups.reduce((most, { layers }) => {
    const sizes = layers.map(({ linear }) => Math.ceil(linear.rows / Math.max(threads, 1)) * linear.columns);
    return Math.max(most, ...sizes);
  }, 0);
  const chunkWeights = Math.min(LARGEST_CHUNK, wanted, Math.floor(beyond / BYTES_PER_WEIGHT));
  const working = Math.max(threads, 1) * (ofThread + chunkWeights * BYTES_PER_WEIGHT);
  const all = [...groups, ...params.foldings].reduce((sum, { bytes }) => sum + bytes, 0);
  const sizes = [...new Set([...groups, ...params.foldings].map(({ bytes }) => bytes))];
  const ahead = 2 * sizes.reduce((sum, bytes) => sum + bytes, 0);
  const groupMemory = Math.min(memory - working, all, Math.max(ahead, LARGEST_AHEAD));
  return {
    threads,
    memory,
    leastMemory,
    groupMemory,
    chunkWeights,
    peakMemory:
      PROCESS_BYTES +
      threads * THREAD_BYTES +
      connectionBytes({ threads, network: params.network }) +
      groupMemory +
      working +
      keptBytes(groups),
  };
}

/** Elements of a triangle that are read at a time, and how many such pieces there may be, as F32 and as they were read. */
const READ_ELEMENTS = 2 ** 22;
const READ_BYTES = 6 * 8;

/** What is kept for groups of other shapes than the largest, and pieces of Hessians that have been read and not been collected yet. */
function keptBytes(groups: readonly PlannedGroup<PlannedMatrix>[]): number {
  const byColumns = new Map<number, number>();
  let largest = 0;
  let read = 0;
  for (const { columns, bytes, needs } of groups) {
    byColumns.set(columns, Math.max(byColumns.get(columns) ?? 0, bytes));
    largest = Math.max(largest, bytes);
    if (needs.hessian) read = Math.max(read, Math.min(columns ** 2 / 2, READ_ELEMENTS) * READ_BYTES);
  }
  return [...byColumns.values()].reduce((sum, bytes) => sum + bytes, read) - largest;
}

function resolveMemory(memory: number | undefined): number {
  if (memory === undefined) return Math.floor(totalmem() / 2);
  if (Number.isSafeInteger(memory) && memory > 0) return memory;
  throw new QuernError("PLAN_MEMORY", `memory: ${memory} is not a number of bytes above 0`, {
    subject: { key: "memory" },
  });
}
