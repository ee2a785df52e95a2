// Entry of a worker thread: runs tasks until it is terminated.
import { parentPort, workerData } from "node:worker_threads";
import { type ThreadMessage, type ThreadOptions, type ThreadRequest, toPlainError } from "./messages.ts";
import type { CreateService } from "./service.ts";

const port = parentPort!;
const send = (message: ThreadMessage): void => port.postMessage(message);

try {
  const { module, options } = workerData as ThreadOptions;
  const { createService } = (await import(module)) as {
    createService: CreateService<unknown, unknown, unknown>;
  };
  const service = await createService(options);
  port.on("message", ({ id, task, lane }: ThreadRequest) => {
    new Promise((resolve) => resolve(service.run(task, lane))).then(
      (result) => send({ type: "done", id, result }),
      (error: unknown) => send({ type: "error", id, error: toPlainError(error) }),
    );
  });
  send({ type: "ready", description: service.description });
} catch (error) {
  send({ type: "failed", error: toPlainError(error) });
}
