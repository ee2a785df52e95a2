import type { Thread } from "@quern/threads";
import type { TaskTime } from "../events.ts";
import type { LayerResult, LayerTask } from "../tasks/task.ts";

/** Adds up how long threads take for tasks. */
export class TaskTimes {
  readonly #times = new Map<string, { task: LayerTask["kind"]; tensor: string; seconds: number }>();

  /** The same threads, of which the time is taken. */
  watch(threads: readonly Thread<LayerTask, LayerResult>[]): Thread<LayerTask, LayerResult>[] {
    return threads.map((thread) => ({
      ...thread,
      run: async (task, lane) => {
        const started = performance.now();
        try {
          return await thread.run(task, lane);
        } finally {
          this.#add(task, (performance.now() - started) / 1000);
        }
      },
    }));
  }

  /** In the order in which each began to be worked on. */
  list(): readonly TaskTime[] {
    return [...this.#times.values()];
  }

  #add(task: LayerTask, seconds: number): void {
    const tensor = tensorOf(task);
    const key = `${task.kind} ${tensor}`;
    const known = this.#times.get(key);
    if (known === undefined) this.#times.set(key, { task: task.kind, tensor, seconds });
    else known.seconds += seconds;
  }
}

function tensorOf(task: LayerTask): string {
  switch (task.kind) {
    case "prepare":
    case "change-inputs":
    case "hash":
    case "read-elements":
    case "read-blocks":
      return task.tensor;
    case "pack":
    case "read-layer":
      return `${task.module}.weight`;
    case "compare-block":
      return `blk.${task.graph.layer}`;
    case "choose-factors":
      return task.layers[0]!.tensor;
    default:
      return task.weights.tensor;
  }
}
