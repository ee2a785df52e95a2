import { type BlockResult, type InferenceTask, inferenceTasks } from "@quern/inference";
import { type KernelBackend, loadKernels } from "@quern/kernels";
import { Workspace } from "@quern/models";
import type { Service, Thread } from "@quern/threads";
import { addColumns, type ColumnsTask } from "../accumulation/columns.ts";
import { addCross, type CrossTask } from "../accumulation/cross.ts";
import { addHessians, type HessianTask } from "../accumulation/hessian.ts";
import { captureOutput, type OutputTask } from "../accumulation/output.ts";

/** What a thread needs to know. Plain data. */
export interface CalibrationServiceOptions {
  /** @default the best that loads */
  readonly backend?: KernelBackend;
}

export type CalibrationTask = InferenceTask | OutputTask | ColumnsTask | HessianTask | CrossTask;

/** A thread that runs models and adds up what their layers read. */
export type CalibrationThread = Thread<CalibrationTask, BlockResult | void>;

export async function createService({
  backend,
}: CalibrationServiceOptions): Promise<Service<CalibrationTask, BlockResult | void>> {
  const kernels = await loadKernels(backend === undefined ? {} : { backend });
  const handlers: {
    readonly [Kind in CalibrationTask["kind"]]: (
      task: Extract<CalibrationTask, { kind: Kind }>,
    ) => BlockResult | void;
  } = {
    ...inferenceTasks({ kernels, workspace: new Workspace() }),
    output: (task) => captureOutput(kernels, task),
    columns: (task) => addColumns(kernels, task),
    hessian: (task) => addHessians(kernels, task),
    cross: (task) => addCross(kernels, task),
  };
  return {
    description: `${kernels.info.backend} ${kernels.info.isa}`,
    run: (task) => handlers[task.kind](task as never),
    close: async () => {},
  };
}
