import type { CalibrationEvent } from "../events.ts";
import type { CalibrationPlan } from "../plan.ts";
import type { Stage } from "../stage.ts";

/** Turns what is done into events. */
export class ProgressTracker {
  readonly #plan: CalibrationPlan;
  readonly #resumed: number;
  readonly #emit: (event: CalibrationEvent) => void;
  /** Tokens times passes, in this run. */
  readonly #total: number;
  readonly #started = performance.now();
  #done = 0;

  constructor(params: {
    readonly plan: CalibrationPlan;
    /** Blocks that an earlier run has done. */
    readonly resumed: number;
    readonly emit: (event: CalibrationEvent) => void;
  }) {
    const { plan, resumed, emit } = params;
    this.#plan = plan;
    this.#resumed = resumed;
    this.#emit = emit;
    this.#total = plan.tokens * passesFrom(plan, resumed);
  }

  start(windows: number): void {
    const { tokens, model, output } = this.#plan;
    const blocks = model.graph.blocks.length;
    this.#emit({ type: "start", tokens, windows, blocks, resumed: this.#resumed, files: [output] });
  }

  windowDone(progress: { stage: Stage; pass: number; passes: number; tokens: number }): void {
    const { stage, pass, passes, tokens } = progress;
    this.#done += tokens;
    this.#emit({
      type: "progress",
      place: passes === 1 ? stage.place : `${stage.place}, pass ${pass + 1} of ${passes}`,
      block: stage.block,
      pass,
      passes,
      done: this.#done,
      total: this.#total,
    });
  }

  blockDone(block: number): void {
    this.#emit({ type: "block:done", block, finished: block + 1 });
  }

  /** Tokens through the whole model each second, as far as this run has come. */
  tokensPerSecond(): number {
    const seconds = Math.max((performance.now() - this.#started) / 1000, 0.001);
    return this.#done / passesFrom(this.#plan, 0) / seconds;
  }
}

function passesFrom({ stages }: CalibrationPlan, first: number): number {
  return stages.slice(first).reduce((sum, { passes }) => sum + passes.length, 0);
}
