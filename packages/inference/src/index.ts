export {
  attentionOperations,
  inputOperations,
  linearOperations,
  parameterBuffers,
  parameterBytes,
  parameterGarbage,
  rowBytes,
} from "./cost.ts";
export { openRunnable } from "./model.ts";
export type { RunnableModel } from "./model.ts";
export { embeddingTable } from "./node/embedding-table.ts";
export type { EmbeddingTable } from "./node/embedding-table.ts";
export { HiddenStates } from "./node/hidden-states.ts";
export { openParameters } from "./node/parameter-source.ts";
export type { ParameterSource } from "./node/parameter-source.ts";
export { embedWindows, runModel } from "./node/run-model.ts";
export type { RunModelParams, RunProgress } from "./node/run-model.ts";
export { startInference } from "./node/service.ts";
export type { InferenceThread } from "./node/service.ts";
export { linearRate, operationRate } from "./speed.ts";
export type { BlockResult, BlockTask, Capture, CapturedRows } from "./tasks/block.ts";
export type { EmbedTask } from "./tasks/embed.ts";
export { inferenceTasks } from "./tasks/inference-tasks.ts";
export type { InferenceTask } from "./tasks/inference-tasks.ts";
export type { TaskResources } from "./tasks/task-resources.ts";
export type { ModelWindow } from "./window.ts";
