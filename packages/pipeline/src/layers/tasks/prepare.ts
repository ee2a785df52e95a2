import type { Kernels } from "@quern/kernels";
import { type Feedback, membersOf, type Treatment } from "@quern/quantize";
import { about } from "../about-tensor.ts";

/** Makes of what is known of inputs what all rows of the layers with these inputs share. */
export interface PrepareTask {
  readonly kind: "prepare";
  /** One of them, for messages. */
  readonly tensor: string;
  readonly treatment: Treatment;
  readonly shape: { readonly rows: number; readonly columns: number };
  /** In shared memory. */
  readonly hessian: Float64Array;
  readonly tokens: number;
  readonly cross?: Float64Array;
  /** Whether nothing else needs the Hessian, so that its memory is worked in. */
  readonly overwrites: boolean;
  /** Memory to work in, of the sizes that `preparingSizes` says. */
  readonly buffers: readonly SharedArrayBuffer[];
}

/** Bytes that preparing takes at most: the order of columns; what is done with F64, unless that is the Hessian's memory; squares in F32. */
export function preparingSizes(
  columns: number,
  { overwrites, cross }: { readonly overwrites: boolean; readonly cross: boolean },
): readonly number[] {
  const square = columns ** 2;
  return [
    4 * columns,
    ...(overwrites ? [] : [8 * square]),
    4 * square,
    4 * square,
    ...(cross ? [4 * square] : []),
  ];
}

/** What it returns lies in the buffers of the task, or where they do not suffice in other shared memory. */
export function prepare(task: PrepareTask, kernels: Kernels): Feedback | undefined {
  const { tensor, treatment, shape, hessian, tokens, cross, overwrites } = task;
  const { grid, rounding } = membersOf(treatment, { kernels });
  const { math } = kernels;
  const free = [...task.buffers];
  const allocate = (size: number): SharedArrayBuffer => {
    const index = free.findIndex(({ byteLength }) => byteLength === size);
    return index < 0 ? new SharedArrayBuffer(size) : free.splice(index, 1)[0]!;
  };
  return about(tensor, () =>
    rounding.prepare?.({
      hessian: { matrix: hessian, tokens },
      cross,
      grid,
      shape,
      overwrites,
      allocate,
      math,
    }),
  );
}
