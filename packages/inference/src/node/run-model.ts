import { runTasks, type Thread } from "@quern/threads";
import type { RunnableModel } from "../model.ts";
import type { BlockResult, BlockTask } from "../tasks/block.ts";
import type { EmbedTask } from "../tasks/embed.ts";
import type { InferenceTask } from "../tasks/inference-tasks.ts";
import type { ModelWindow } from "../window.ts";
import { embeddingTable } from "./embedding-table.ts";
import type { HiddenStates } from "./hidden-states.ts";
import type { ParameterSource } from "./parameter-source.ts";

/** How far a model has been run. */
export interface RunProgress {
  /** Blocks that are done for all windows. */
  readonly block: number;
  readonly blocks: number;
  /** Windows that are done in the block after these, and how many tokens they have. */
  readonly windowsDone: number;
  readonly tokensDone: number;
  readonly windows: number;
  readonly tokens: number;
}

/** What a run of a model works with. */
export interface RunModelParams {
  readonly model: RunnableModel;
  readonly parameters: ParameterSource;
  /** Of any service that has the tasks of `inferenceTasks`. */
  readonly threads: readonly Thread<InferenceTask, BlockResult | void>[];
  readonly windows: readonly ModelWindow[];
  /** Made for these windows. */
  readonly states: HiddenStates;
  readonly signal?: AbortSignal;
}

/**
 * Makes the first hidden states of all windows.
 *
 * @throws QuernError `FORWARD_TOKENS` for tokens that the model lacks and sequences that are too long for it, `ACTIVATION_NOT_FINITE`,
 * and what reading weights throws; the reason of the signal
 */
export async function embedWindows(params: RunModelParams): Promise<void> {
  const { model, parameters, windows, states } = params;
  const { graph, renumbered, parameters: loaded } = await embeddingTable({ model, parameters, windows });
  await runOnWindows(params, (window, index): EmbedTask => ({
    kind: "embed",
    graph,
    parameters: loaded,
    window: renumbered(window),
    index,
    hidden: states.room(index),
  }));
  parameters.release(loaded);
}

/**
 * Runs all windows through a model block by block, the weights of one block in memory at a time. Each window is the work of one
 * thread, and results do not depend on how many there are.
 *
 * @param params.states Hold the hidden states after the last block in the end.
 * @param params.onProgress Called after every window of every block.
 * @throws QuernError as {@link embedWindows}
 */
export async function runModel(
  params: RunModelParams & { readonly onProgress?: (progress: RunProgress) => void },
): Promise<void> {
  const { model, parameters, windows, states, onProgress } = params;
  const { blocks } = model.graph;
  const tokens = windows.reduce((sum, window) => sum + window.tokens.length, 0);
  await embedWindows(params);
  for (const [block, graph] of blocks.entries()) {
    const loaded = await parameters.load(graph.tensors);
    let windowsDone = 0;
    let tokensDone = 0;
    await runOnWindows(
      params,
      async (window, index): Promise<BlockTask> => ({
        kind: "block",
        graph,
        parameters: loaded,
        window,
        index,
        hidden: await states.take(index),
      }),
      (window) => {
        windowsDone += 1;
        tokensDone += window.tokens.length;
        const all = { windows: windows.length, tokens, blocks: blocks.length };
        onProgress?.({ block, windowsDone, tokensDone, ...all });
      },
    );
    parameters.release(loaded);
  }
}

async function runOnWindows(
  { threads, windows, states, signal }: RunModelParams,
  taskOf: (window: ModelWindow, index: number) => Promise<InferenceTask> | InferenceTask,
  onDone?: (window: ModelWindow) => void,
): Promise<void> {
  async function* tasks(): AsyncGenerator<InferenceTask, void, undefined> {
    for (const [index, window] of windows.entries()) yield await taskOf(window, index);
  }
  await runTasks({
    tasks: tasks(),
    threads,
    ...(signal === undefined ? {} : { signal }),
    async onDone({ index, hidden }) {
      await states.put(index, hidden);
      onDone?.(windows[index]!);
    },
  });
}
