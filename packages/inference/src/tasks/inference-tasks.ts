import type { ForwardKernels } from "@quern/models";
import { type BlockResult, type BlockTask, runBlock } from "./block.ts";
import { type EmbedTask, runEmbed } from "./embed.ts";

/** What every service does that runs models. */
export type InferenceTask = EmbedTask | BlockTask;

/** A function for each kind of task: a service has these and its own. */
export function inferenceTasks(kernels: ForwardKernels): {
  /** Makes hidden states of tokens. */
  embed: (task: EmbedTask) => void;
  /** Runs windows through a block. */
  block: (task: BlockTask) => BlockResult;
} {
  return {
    embed: (task) => runEmbed(kernels, task),
    block: (task) => runBlock(kernels, task),
  };
}
