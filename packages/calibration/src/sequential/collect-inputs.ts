import type { HiddenStates } from "@quern/inference";
import type { LinearInputs, ParameterSet } from "@quern/models";
import {
  allocateCross,
  type CapturedPair,
  crossBytes,
  type CrossRows,
  type CrossTask,
  isComparable,
} from "../accumulation/cross.ts";
import { allocatePass, captureBytes, type PassMemory } from "../accumulation/pass-memory.ts";
import type { SharedArena } from "../accumulation/shared-arena.ts";
import { type BlockPass, blockPasses } from "../planning/block-passes.ts";
import { type CollectedInputs, longestOf } from "../planning/divide-memory.ts";
import { accumulateBatch } from "../running/accumulate-batch.ts";
import { captureBatch, type CapturedBatch, type CaptureContext } from "../running/capture-batch.ts";
import type { Stage } from "../stage.ts";

/** The model as it was. */
export interface ReferenceRun {
  readonly states: HiddenStates;
  readonly parameters: ParameterSet;
  readonly arena: SharedArena;
}

/** What has been added up, in memory that the next inputs take. */
export interface InputSumsOfRun {
  readonly collected: CollectedInputs;
  readonly inputs: readonly LinearInputs[];
  readonly pass: BlockPass;
  readonly memory: PassMemory;
  /** By index of the input. */
  readonly cross: ReadonlyMap<number, readonly CrossRows[]>;
}

/**
 * Runs all windows as far into a block as some inputs of its layers need, and adds these up. Hidden states stay as they are.
 *
 * @throws QuernError the codes of `captureBatch`; the reason of the signal
 */
export async function collectInputs(params: {
  readonly context: CaptureContext;
  readonly arena: SharedArena;
  readonly stage: Stage;
  readonly collected: CollectedInputs;
  readonly parameters: ParameterSet;
  /** To compare inputs with; absent where that is not wanted. */
  readonly reference?: ReferenceRun;
  readonly onWindow: (tokens: number) => void;
}): Promise<InputSumsOfRun> {
  const { context, arena, collected, parameters, reference, onWindow } = params;
  const { inputs, holdOutRows, windowRows, hessians } = collected;
  const { windows, batch, threads } = context;
  const stage = capturingStage(params.stage, inputs);
  const tokens = longestOf(windows.map((window) => window.tokens.length));
  const [pass] = blockPasses({ inputs, memory: hessians ? Infinity : undefined, threads: threads.length });
  const memory = allocatePass({
    arena,
    pass: pass!,
    inputs,
    holdOutRows,
    ...(windowRows && { windowRows }),
    batch,
    tokens,
  });
  const other = reference && new Comparison({ context, reference, stage, tokens, captured: pass!.captured });
  const common = { context, stage, inputs: pass!.captured, keep: true, onWindow };
  for (let first = 0; first < windows.length; first += batch) {
    const captured = await captureBatch({ ...common, parameters, targets: memory.captures, first });
    const others = other && (await other.capture({ ...common, first, batch: captured }));
    await accumulateBatch({
      context,
      inputs,
      pass: pass!,
      memory,
      batch: captured,
      ...(others && { others }),
    });
  }
  return { collected, inputs, pass: pass!, memory, cross: other?.sums ?? new Map() };
}

/** A stage of which only some inputs are wanted. */
function capturingStage(stage: Stage, inputs: readonly LinearInputs[]): Stage {
  return {
    ...stage,
    inputs,
    changesStates: false,
    task: (params) => {
      const task = stage.task(params);
      return task.kind === "block" ? { ...task, capturesOnly: true } : task;
    },
  };
}

/** Captures what layers of the model as it was read in the same windows. */
class Comparison {
  readonly sums: ReadonlyMap<number, readonly CrossRows[]>;
  readonly #reference: ReferenceRun;
  readonly #context: CaptureContext;
  readonly #stage: Stage;
  readonly #targets: readonly (readonly Float32Array[])[];
  readonly #inputs: readonly number[];

  constructor(params: {
    readonly context: CaptureContext;
    readonly reference: ReferenceRun;
    readonly stage: Stage;
    /** Tokens of the longest window. */
    readonly tokens: number;
    readonly captured: readonly number[];
  }) {
    const { context, reference, stage, tokens, captured } = params;
    this.#reference = reference;
    this.#stage = stage;
    this.#inputs = captured.filter((index) => isComparable(stage.inputs[index]!));
    const inputs = this.#inputs.map((index) => stage.inputs[index]!);
    const { arena, states } = reference;
    const windows = context.windows.filter(({ heldOut }) => !heldOut);
    this.#context = { ...context, windows, states };
    const captures = inputs.map((input) => captureBytes(input, tokens));
    const bytes = context.batch * total(captures) + total(inputs.map(crossBytes));
    arena.reset({
      bytes,
      arrays: context.batch * inputs.length + total(inputs.map(({ matrices }) => matrices)),
    });
    this.#targets = Array.from({ length: context.batch }, () =>
      captures.map((size) => arena.float32(size / Float32Array.BYTES_PER_ELEMENT)),
    );
    const tasks = 4 * context.threads.length;
    this.sums = new Map(
      this.#inputs.map((index, place) => [index, allocateCross({ arena, input: inputs[place]!, tasks })]),
    );
  }

  /** @returns what is to be done with a batch */
  async capture(params: {
    readonly first: number;
    readonly batch: CapturedBatch;
    readonly onWindow: (tokens: number) => void;
  }): Promise<CrossTask[]> {
    const { first, batch, onWindow } = params;
    if (this.#inputs.length === 0) return [];
    const references = await captureBatch({
      context: this.#context,
      stage: this.#stage,
      inputs: this.#inputs,
      targets: this.#targets,
      parameters: this.#reference.parameters,
      keep: true,
      first,
      onWindow,
    });
    const pairsOf = (input: number): CapturedPair[] =>
      references.map(({ captured }, place) => ({
        input: batch[place]!.captured.get(input)!,
        reference: captured.get(input)!,
      }));
    return [...this.sums].flatMap(([input, slices]) => {
      const { columns } = this.#stage.inputs[input]!;
      const captured = pairsOf(input);
      return slices.map((slice): CrossTask => ({ kind: "cross", columns, captured, ...slice }));
    });
  }
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
