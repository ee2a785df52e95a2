export { type BufferLease, BufferPool } from "./buffer-pool.ts";
export { compiledModule } from "./compiled-module.ts";
export { processMemory, resolveMemory } from "./resolve-memory.ts";
export { resolveThreads } from "./resolve-threads.ts";
export { runTasks } from "./run-tasks.ts";
export type { CreateService, Service, Thread } from "./service.ts";
export { closeThreads, startThreads } from "./start-threads.ts";
export { taskQueue } from "./task-queue.ts";
export type { TaskQueue } from "./task-queue.ts";
