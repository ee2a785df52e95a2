import type { Kernels } from "@quern/kernels";
import { type Feedback, membersOf, type Treatment } from "@quern/quantize";
import { about } from "../about-tensor.ts";

/** Makes of a Hessian what all rows of the layers with these inputs share. */
export interface PrepareTask {
  readonly kind: "prepare";
  /** One of them, for messages. */
  readonly tensor: string;
  readonly treatment: Treatment;
  readonly shape: { readonly rows: number; readonly columns: number };
  /** In shared memory. */
  readonly hessian: Float64Array;
  readonly tokens: number;
}

/** What it returns lies in shared memory. */
export function prepare(task: PrepareTask, kernels: Kernels): Feedback | undefined {
  const { tensor, treatment, shape, hessian, tokens } = task;
  const { grid, rounding } = membersOf(treatment, { kernels });
  const { math } = kernels;
  return about(tensor, () =>
    rounding.prepare?.({ hessian: { matrix: hessian, tokens }, grid, shape, shared: true, math }),
  );
}
