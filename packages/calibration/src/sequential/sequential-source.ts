import { joinChanges, type LinearInputs, type WeightChanges } from "@quern/models";
import type { InputRequest, InputSource, InputStatistics, KeptInputs } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { SharedArena } from "../accumulation/shared-arena.ts";
import type { CollectedInputs } from "../planning/divide-memory.ts";
import { captureBatch } from "../running/capture-batch.ts";
import type { Stage } from "../stage.ts";
import { BlockWeights } from "./block-weights.ts";
import { collectInputs, type InputSumsOfRun } from "./collect-inputs.ts";
import { inputStatistics } from "./input-statistics.ts";
import { findInput } from "./find-input.ts";
import type { SequentialPlan, SequentialStage } from "./plan.ts";
import { SavedRuns } from "./saved-runs.ts";
import { type SequentialRun, startRun } from "./start-run.ts";

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
  readonly kept: KeptInputs;
  readonly #plan: SequentialPlan;
  readonly #onProgress: (progress: SequentialProgress) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #arena = new SharedArena();
  readonly #referenceArena = new SharedArena();
  #run: Promise<SequentialRun> | undefined;
  #saved = SavedRuns.none();
  /** The block that is being quantized. */
  #block = 0;
  /** What has become of it: it may change, and then be replaced layer by layer. */
  #state: "original" | "changed" | "replaced" = "original";
  /** What becomes of the checkpoint before anything is quantized. */
  #changes: WeightChanges = new Map();
  /** Its weights, once anything of it has been asked for. */
  #weights: BlockWeights | undefined;
  #sums: InputSumsOfRun | undefined;
  #done = 0;
  /** Why hidden states are not what they should be: nothing can be known any more. */
  #broken: { readonly reason: unknown } | undefined;
  /** What was asked for last: one thing is done after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(params: {
    readonly plan: SequentialPlan;
    readonly signal?: AbortSignal;
    readonly onProgress: (progress: SequentialProgress) => void;
  }) {
    this.#plan = params.plan;
    this.#signal = params.signal;
    this.#onProgress = params.onProgress;
    const { windows, folds } = params.plan;
    this.kept = { heldOut: windows.holdOut !== undefined, windowRows: folds?.windows?.rows ?? 0 };
  }

  identity(): Promise<string> {
    return Promise.resolve(this.#plan.identity);
  }

  begin({ run, finished }: { readonly run: string; readonly finished: number }): Promise<number> {
    return this.#inTurn(async () => {
      if (!this.#plan.saves) return 0;
      if (this.#run !== undefined) throw orderError("it has begun already");
      this.#saved = await SavedRuns.of(this.#plan, run);
      const ready = await this.#saved.blocks(this.#plan.stages.length);
      this.#block = ready.filter((block) => block <= finished).at(-1)!;
      return this.#block;
    });
  }

  read(request: InputRequest): Promise<InputStatistics> {
    return this.#inTurn(async () => {
      const found = findInput(this.#plan, request);
      await this.#enter(found.block);
      const sums = await this.#collect(this.#captured(found.input, request));
      const { windows } = this.#plan.folds ?? {};
      return inputStatistics({ sums, input: sums.inputs.indexOf(found.input), request, windows });
    });
  }

  change(changes: WeightChanges): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#state === "replaced")
        throw orderError("a block cannot change when layers of it are replaced");
      this.#changes = joinChanges(this.#changes, changes);
      this.#weights?.release();
      this.#weights = undefined;
      this.#sums = undefined;
      this.#state = "changed";
      (await this.#run)?.parameters.change(changes);
    });
  }

  replace({ tensor, values }: { tensor: string; values: Float32Array }): Promise<void> {
    return this.#inTurn(async () => {
      await this.#enter(this.#blockOf(tensor));
      const { stage, captures } = this.#stage();
      const weights = await this.#loaded(stage);
      weights.check(tensor, values);
      // In one run through the block, everything is collected before anything is replaced.
      if (this.#plan.mode === "block") await this.#collect(captures[0]!);
      else if (this.#sums !== undefined && !captures.includes(this.#sums.collected)) this.#sums = undefined;
      this.#state = "replaced";
      weights.replace(tensor, values);
      const module = tensor.replace(/\.(weight|bias)$/, "");
      const isOfReaders = this.#sums?.inputs.some(({ modules }) => modules.includes(module));
      if (this.#plan.mode !== "block" && isOfReaders !== true) this.#sums = undefined;
    });
  }

  blockDone(block: number): Promise<void> {
    return this.#inTurn(async () => {
      await this.#enter(block);
      await this.#leave();
    });
  }

  async discard(): Promise<void> {
    // Those of other runs, too: they have been overtaken.
    if (this.#plan.saves) await (await SavedRuns.of(this.#plan, "")).keepOnly([]);
  }

  async close(): Promise<void> {
    const run = await this.#run?.catch(() => undefined);
    this.#run = undefined;
    await run?.close();
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(() => {
      if (this.#broken !== undefined) throw this.#broken.reason;
      return act();
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  #started(): Promise<SequentialRun> {
    const signal = this.#signal;
    this.#run ??= startRun(this.#plan, {
      from: this.#block,
      saved: this.#saved,
      changes: this.#changes,
      ...(signal && { signal }),
    });
    return this.#run;
  }

  #stage(): SequentialStage {
    const stage = this.#plan.stages[this.#block];
    if (stage === undefined) throw orderError("all blocks are done");
    return stage;
  }

  /** The block of a tensor; that which is being quantized, if it is of no block. */
  #blockOf(tensor: string): number {
    const block = /^blk\.(\d+)\./.exec(tensor)?.[1];
    return block === undefined ? this.#block : Number(block);
  }

  /** Leaves blocks behind that nothing was asked of. */
  async #enter(block: number): Promise<void> {
    while (this.#block < block && this.#weights === undefined && block < this.#plan.stages.length) {
      await this.#leave();
    }
    if (this.#block === block) return;
    throw orderError(`block ${block} is not the one that is being quantized, which is ${this.#block}`);
  }

  async #leave(): Promise<void> {
    const { stage } = this.#stage();
    const { states } = await this.#started();
    const next = this.#block + 1;
    // Whoever asked knows by now that the block before is done.
    await this.#saved.keepOnly([this.#block]);
    if (next < this.#plan.stages.length) {
      try {
        await this.#advance(stage);
        await this.#saved.save(next, states);
      } catch (reason) {
        this.#broken = { reason };
        throw reason;
      }
    }
    this.#weights?.release();
    this.#weights = undefined;
    this.#sums = undefined;
    this.#state = "original";
    this.#block = next;
  }

  /** What an input is captured with. */
  #captured(input: LinearInputs, { hessian, cross }: InputRequest): CollectedInputs {
    const { before, captures } = this.#stage();
    const isBefore =
      this.#state === "original" && !cross && (!hessian || this.#plan.folds?.hessians === true);
    return ((isBefore && before) || captures).find(({ inputs }) => inputs.includes(input))!;
  }

  /** Runs the block for some inputs, unless these are there. */
  async #collect(collected: CollectedInputs): Promise<InputSumsOfRun> {
    if (this.#sums?.collected === collected) return this.#sums;
    this.#sums = undefined;
    const { stage, captures } = this.#stage();
    const weights = await this.#loaded(stage);
    const run = await this.#started();
    const { quantized, reference } = run.states;
    this.#sums = await collectInputs({
      context: { ...this.#context(run), states: quantized },
      arena: this.#arena,
      stage,
      collected,
      parameters: weights.current,
      // Only the inputs of the model as it will be quantized are compared.
      ...(reference &&
        captures.includes(collected) && {
          reference: { states: reference, parameters: weights.original, arena: this.#referenceArena },
        }),
      onWindow: this.#onWindow(stage),
    });
    return this.#sums;
  }

  /** Hidden states before the block become those behind it. */
  async #advance(stage: Stage): Promise<void> {
    const weights = await this.#loaded(stage);
    const run = await this.#started();
    const { windows, states } = run;
    const { batch } = this.#plan.memory;
    const fitted = windows.filter(({ heldOut }) => !heldOut);
    const parts = [
      { states: states.quantized, windows, parameters: weights.current },
      ...(states.reference
        ? [{ states: states.reference, windows: fitted, parameters: weights.original }]
        : []),
    ];
    const targets = Array.from({ length: batch }, () => []);
    for (const { parameters, ...own } of parts) {
      for (let first = 0; first < own.windows.length; first += batch) {
        await captureBatch({
          context: { ...this.#context(run), ...own },
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

  #context({ windows, threads }: SequentialRun): Pick<SequentialRun, "windows" | "threads"> & {
    batch: number;
    signal?: AbortSignal;
  } {
    const signal = this.#signal;
    return { windows, threads, batch: this.#plan.memory.batch, ...(signal && { signal }) };
  }

  async #loaded(stage: Stage): Promise<BlockWeights> {
    if (this.#weights !== undefined) return this.#weights;
    const { model, cross: keepsOriginal } = this.#plan;
    const { parameters: source } = await this.#started();
    this.#weights = await BlockWeights.load({ stage, model, source, keepsOriginal });
    return this.#weights;
  }

  #onWindow({ place, block }: Stage): (tokens: number) => void {
    return (tokens) => {
      this.#done += tokens;
      this.#onProgress({ place, block, done: this.#done, total: this.#plan.work });
    };
  }
}

function orderError(message: string): QuernError {
  return new QuernError("CALIBRATION_ORDER", message);
}
