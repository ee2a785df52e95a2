import type { HiddenStates } from "@quern/inference";
import { SavedStates } from "../running/saved-states.ts";
import type { SequentialPlan } from "./plan.ts";

/** Hidden states of a run, and those of the model as it was where it is run, too. */
export interface RunStates {
  readonly quantized: HiddenStates;
  readonly reference?: HiddenStates;
}

/** Hidden states before blocks, beside a file that is made, for a run that goes on. */
export class SavedRuns {
  /** The first is that of the quantized model. */
  readonly #runs: readonly SavedStates[];

  private constructor(runs: readonly SavedStates[]) {
    this.#runs = runs;
  }

  /** Nothing is saved, and nothing there. */
  static none(): SavedRuns {
    return new SavedRuns([]);
  }

  /** @param run What decides what layers become. */
  static async of({ temporary, model, cross, identity }: SequentialPlan, run: string): Promise<SavedRuns> {
    const key = JSON.stringify([identity, run]);
    const outputs = cross ? [temporary, `${temporary}.reference`] : [temporary];
    return new SavedRuns(await Promise.all(outputs.map((output) => SavedStates.of({ output, model, key }))));
  }

  /** Those that a run can begin with, of so many. */
  async blocks(count: number): Promise<number[]> {
    const blocks = [0];
    for (let block = 1; block < count; block++) {
      const there = await Promise.all(this.#runs.map((run) => run.has(block)));
      if (there.length > 0 && there.every(Boolean)) blocks.push(block);
    }
    return blocks;
  }

  /** @throws QuernError `OUTPUT_*` */
  async save(block: number, states: RunStates): Promise<void> {
    for (const [index, run] of this.#runs.entries()) await run.save(block, statesOf(states)[index]!);
  }

  /** @throws QuernError `HIDDEN_STATES_SIZE`, `SOURCE_*` */
  async restore(block: number, states: RunStates): Promise<void> {
    for (const [index, run] of this.#runs.entries()) await statesOf(states)[index]!.restore(run.path(block));
  }

  /** Removes all but those before some blocks. */
  async keepOnly(blocks: readonly number[]): Promise<void> {
    await Promise.all(this.#runs.map((run) => run.keepOnly(blocks)));
  }
}

function statesOf({ quantized, reference }: RunStates): HiddenStates[] {
  return reference === undefined ? [quantized] : [quantized, reference];
}
