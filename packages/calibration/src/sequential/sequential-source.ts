import type { ParameterSource } from "@quern/inference";
import type { LinearInputs } from "@quern/models";
import type { InputRequest, InputSource, InputStatistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { isComparable } from "../accumulation/cross.ts";
import { SharedArena } from "../accumulation/shared-arena.ts";
import type { CalibrationThread } from "../node/calibration-service.ts";
import { captureBatch, type CaptureContext, windowsOf } from "../running/capture-batch.ts";
import type { Stage } from "../stage.ts";
import { BlockWeights } from "./block-weights.ts";
import { collectInputs, type InputSumsOfRun, type ReferenceRun } from "./collect-inputs.ts";
import { inputStatistics } from "./input-statistics.ts";
import type { SequentialPlan, SequentialStage } from "./plan.ts";
import type { RunStates, SavedRuns } from "./saved-runs.ts";

/** How far a run has come. */
export interface SequentialProgress {
  /** For people: "block 3 of 32". */
  readonly place: string;
  /** From 0; the number of blocks for the output layer. */
  readonly block: number;
  /** Tokens times runs through a block, and how many there may be in all: fewer where inputs are not asked for. */
  readonly done: number;
  readonly total: number;
}

/** See `sequentialInputs`. */
export class SequentialSource implements InputSource {
  readonly follows = true;
  readonly #plan: SequentialPlan;
  readonly #parameters: ParameterSource;
  readonly #states: RunStates;
  readonly #saved: SavedRuns;
  readonly #onProgress: (progress: SequentialProgress) => void;
  readonly #close: () => Promise<void>;
  readonly #context: CaptureContext;
  readonly #arena = new SharedArena();
  readonly #referenceArena = new SharedArena();
  /** Names of modules, and where they are. */
  readonly #places: ReadonlyMap<string, { block: number; input: LinearInputs }>;
  #block: number;
  #weights: BlockWeights | undefined;
  #sums: InputSumsOfRun | undefined;
  #done = 0;
  /** What was asked for last: one thing is done after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(params: {
    plan: SequentialPlan;
    from: number;
    parameters: ParameterSource;
    threads: readonly CalibrationThread[];
    states: RunStates;
    saved: SavedRuns;
    signal: AbortSignal | undefined;
    onProgress: (progress: SequentialProgress) => void;
    close: () => Promise<void>;
  }) {
    const { plan, threads, states, signal } = params;
    this.#plan = plan;
    this.#block = params.from;
    this.#parameters = params.parameters;
    this.#states = states;
    this.#saved = params.saved;
    this.#onProgress = params.onProgress;
    this.#close = params.close;
    this.#context = {
      windows: windowsOf(plan.windows),
      batch: plan.memory.batch,
      threads,
      states: states.quantized,
      ...(signal === undefined ? {} : { signal }),
    };
    this.#places = new Map(
      plan.stages.flatMap(({ stage }, block) =>
        stage.inputs.flatMap((input) => input.modules.map((module) => [module, { block, input }] as const)),
      ),
    );
  }

  read(request: InputRequest): Promise<InputStatistics> {
    return this.#inTurn(async () => {
      const input = this.#check(request);
      const sums = await this.#collect(input);
      return inputStatistics({ sums, input: sums.inputs.indexOf(input), request });
    });
  }

  replace({ tensor, values }: { tensor: string; values: Float32Array }): Promise<void> {
    return this.#inTurn(async () => {
      const { stage, captures } = this.#stage();
      // In one run through the block, everything is collected before anything changes.
      if (this.#plan.mode === "block") await this.#collect(captures[0]!.inputs[0]!);
      const weights = await this.#loaded(stage);
      weights.replace(tensor, values);
      const module = tensor.replace(/\.(weight|bias)$/, "");
      const isOfReaders = this.#sums?.inputs.some(({ modules }) => modules.includes(module));
      if (this.#plan.mode !== "block" && isOfReaders !== true) this.#sums = undefined;
    });
  }

  blockDone(block: number): Promise<void> {
    return this.#inTurn(async () => {
      const { stage } = this.#stage();
      if (block !== this.#block)
        throw orderError(`block ${block} is done, but ${stage.place} is being quantized`);
      const next = block + 1;
      const goesOn = next < this.#plan.stages.length;
      // Whoever asked knows by now that the block before is done.
      await this.#saved.keepOnly([block]);
      if (goesOn) await this.#advance(stage);
      this.#weights?.release();
      this.#weights = undefined;
      this.#sums = undefined;
      if (goesOn) await this.#saved.save(next, this.#states);
      this.#block = next;
    });
  }

  async close(): Promise<void> {
    await this.#close();
    if (this.#block === this.#plan.stages.length) await this.#saved.keepOnly([]);
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(act);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #stage(): SequentialStage {
    const stage = this.#plan.stages[this.#block];
    if (stage === undefined) throw orderError("all blocks are done");
    return stage;
  }

  /** @returns what the module reads */
  #check({ module, matrix = 0, hessian, cross }: InputRequest): LinearInputs {
    const place = this.#places.get(module);
    const fail = (code: string, problem: string): never => {
      throw new QuernError(code, `"${module}": ${problem}`, { subject: { tensor: module } });
    };
    if (place === undefined) return fail("STATISTICS_UNKNOWN_MODULE", "no layer of this name is run");
    const { block, input } = place;
    if (!(Number.isInteger(matrix) && matrix >= 0 && matrix < input.matrices)) {
      return fail("STATISTICS_UNKNOWN_MODULE", `it has no matrix ${matrix}, but ${input.matrices} in all`);
    }
    if (block !== this.#block) {
      throw orderError(`"${module}" is of block ${block}, but block ${this.#block} is being quantized`);
    }
    if (hessian && !this.#plan.hessians) {
      return fail("STATISTICS_NOT_COLLECTED", "the run was planned without Hessian matrices");
    }
    if (cross && !this.#plan.cross) {
      return fail("STATISTICS_NOT_COLLECTED", "the run was planned without the model as it was");
    }
    if (cross && !isComparable(input)) {
      return fail("STATISTICS_NOT_COLLECTED", "its experts see other tokens than in the model as it was");
    }
    return input;
  }

  /** Runs the block for an input, unless that is there. */
  async #collect(input: LinearInputs): Promise<InputSumsOfRun> {
    if (this.#sums?.inputs.includes(input) === true) return this.#sums;
    this.#sums = undefined;
    const { stage, captures } = this.#stage();
    const weights = await this.#loaded(stage);
    const { reference: states } = this.#states;
    const reference: ReferenceRun | undefined = states && {
      states,
      parameters: weights.original,
      arena: this.#referenceArena,
    };
    this.#sums = await collectInputs({
      context: this.#context,
      arena: this.#arena,
      stage,
      collected: captures.find(({ inputs }) => inputs.includes(input))!,
      parameters: weights.current,
      ...(reference && { reference }),
      onWindow: this.#onWindow(stage),
    });
    return this.#sums;
  }

  /** Hidden states before the block become those behind it. */
  async #advance(stage: Stage): Promise<void> {
    const weights = await this.#loaded(stage);
    const { batch, windows } = this.#context;
    const { quantized, reference } = this.#states;
    const fitted = windows.filter(({ heldOut }) => !heldOut);
    const runs = [
      { states: quantized, windows, parameters: weights.current },
      ...(reference ? [{ states: reference, windows: fitted, parameters: weights.original }] : []),
    ];
    const targets = Array.from({ length: batch }, () => []);
    for (const { states, windows: own, parameters } of runs) {
      const context = { ...this.#context, states, windows: own };
      for (let first = 0; first < own.length; first += batch) {
        await captureBatch({
          context,
          stage,
          inputs: [],
          targets,
          parameters,
          keep: false,
          first,
          onWindow: this.#onWindow(stage),
        });
      }
    }
  }

  async #loaded(stage: Stage): Promise<BlockWeights> {
    const { model, cross: keepsOriginal } = this.#plan;
    this.#weights ??= await BlockWeights.load({ stage, model, source: this.#parameters, keepsOriginal });
    return this.#weights;
  }

  #onWindow({ place, block }: Stage): (tokens: number) => void {
    return (tokens) => {
      this.#done += tokens;
      this.#onProgress({ place, block, done: this.#done, total: this.#plan.work });
    };
  }
}

export function orderError(message: string): QuernError {
  return new QuernError("CALIBRATION_ORDER", message);
}
