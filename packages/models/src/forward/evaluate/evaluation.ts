import type { ForwardKernels } from "../kernels.ts";
import type { ParameterSet } from "../parameters.ts";

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
}
