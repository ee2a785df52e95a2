import type { ForwardKernels } from "../kernels.ts";
import type { ParameterSet } from "../parameters.ts";
import type { Workspace } from "./workspace.ts";

/** What a linear layer is about to read. */
export interface LinearInput {
  /** GGUF name without ".weight": "blk.0.attn_q". Layers that read the same get the same array. */
  readonly module: string;
  /** rows x columns, only valid during the call. */
  readonly input: Float32Array;
  readonly rows: number;
  readonly columns: number;
  /** In a tensor of several matrices: which one (the expert, whose rows are the tokens routed to it, or the head). */
  readonly matrix?: number;
}

/** What an evaluation works with. */
export interface Evaluation {
  readonly kernels: ForwardKernels;
  readonly parameters: ParameterSet;
  /** Called with the input of every linear layer before it is applied, in the order of the computation. */
  readonly observe?: (input: LinearInput) => void;
  /** Has the arrays between operations, the result as well: it is valid until the workspace is cleared. @default arrays of their own */
  readonly workspace?: Workspace;
}

type InWorkspace = Pick<Evaluation, "workspace">;

/** So many numbers, with anything in them. */
export function takeNumbers({ workspace }: InWorkspace, length: number): Float32Array {
  return workspace?.take(length) ?? new Float32Array(length);
}

export function copyNumbers(evaluation: InWorkspace, values: Float32Array): Float32Array {
  const copy = takeNumbers(evaluation, values.length);
  copy.set(values);
  return copy;
}

/** Arrays that are taken in `work` are given back. */
export function scoped({ workspace }: InWorkspace, work: () => void): void {
  if (workspace === undefined) work();
  else workspace.scoped(work);
}

/** The same, but what `work` returns stays: it is moved to where the others lay. */
export function keepingResult(evaluation: InWorkspace, work: () => Float32Array): Float32Array {
  let result: Float32Array = new Float32Array(0);
  scoped(evaluation, () => {
    result = work();
  });
  return evaluation.workspace === undefined ? result : copyNumbers(evaluation, result);
}
