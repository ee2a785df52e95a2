import { type BlockResult, type BlockTask, runBlock } from "./block.ts";
import { type EmbedTask, runEmbed } from "./embed.ts";
import type { TaskResources } from "./task-resources.ts";

/** What every service does that runs models. */
export type InferenceTask = EmbedTask | BlockTask;

/** A function for each kind of task: a service has these and its own. */
export function inferenceTasks(resources: TaskResources): {
  /** Makes hidden states of tokens. */
  embed: (task: EmbedTask) => void;
  /** Runs windows through a block. */
  block: (task: BlockTask) => BlockResult;
} {
  return {
    embed: (task) => runEmbed(resources, task),
    block: (task) => runBlock(resources, task),
  };
}
