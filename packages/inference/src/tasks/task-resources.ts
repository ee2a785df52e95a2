import type { ForwardKernels, Workspace } from "@quern/models";

/** What a thread runs tasks with. */
export interface TaskResources {
  readonly kernels: ForwardKernels;
  /** Each task clears it. */
  readonly workspace: Workspace;
}
