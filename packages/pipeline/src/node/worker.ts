// Entry of a worker thread: runs slabs until it is terminated.
import { parentPort, workerData } from "node:worker_threads";
import { createSlabService, type SlabServiceOptions } from "./slab-service.ts";
import { type SlabRequest, toPlainError, type WorkerMessage } from "./worker-messages.ts";

const port = parentPort!;
const send = (message: WorkerMessage): void => port.postMessage(message);

try {
  const service = await createSlabService(workerData as SlabServiceOptions);
  port.on("message", ({ id, slab, lane }: SlabRequest) => {
    service.run(slab, lane).then(
      (result) => send({ type: "done", id, result }),
      (error: unknown) => send({ type: "error", id, error: toPlainError(error) }),
    );
  });
  send({ type: "ready", kernels: service.kernels });
} catch (error) {
  send({ type: "failed", error: toPlainError(error) });
}
