/*
 * What a statistics file says of itself, all of it known before anything is collected.
 */

/** The input of linear layers: what statistics are collected of. */
export interface StatisticsInput {
  /** Name of the first module that reads it: "blk.0.attn_q". */
  readonly name: string;
  /** All modules that read it, in GGUF names without ".weight". */
  readonly modules: readonly string[];
  /** Elements of an input. */
  readonly columns: number;
  /** 1; experts or heads where the modules are stacks of matrices, each with inputs of its own. */
  readonly matrices: number;
  /** Most inputs per token in all matrices together: 1, experts used, heads. */
  readonly rowsPerToken: number;
  /** Inputs with the same number are collected, and completed, together. */
  readonly block: number;
  /** Whether X^T X is stored. */
  readonly hessian: boolean;
  /** Most inputs of the hold-out windows that are stored as they are, for each matrix; 0: nothing is collected of these windows. */
  readonly holdOutRows: number;
  /** Hold-out windows of which all inputs are stored, in their order; of inputs of `matrices` 1. Absent: there are none. */
  readonly windows?: KeptWindows;
}

/** Whole windows, one after another. */
export interface KeptWindows {
  /** Tokens of all of them. */
  readonly rows: number;
  /** Rows that begin a sequence, from 0 on in ascending order: their position is 0, and attention does not reach across them. */
  readonly starts: readonly number[];
}

/** The model that was run. */
export interface StatisticsModel {
  /** For people. */
  readonly name: string;
  readonly architecture: string;
  /** The same for models with the same architecture, tensor names and shapes. */
  readonly identity: string;
  /** All tensors, by GGUF names. */
  readonly tensors: readonly StatisticsTensor[];
}

export interface StatisticsTensor {
  readonly name: string;
  /** Row-major. */
  readonly shape: readonly number[];
}

/** Windows of tokens that the model was run on. */
export interface StatisticsCorpusPart {
  readonly sources: readonly {
    readonly name: string;
    readonly windows: number;
    readonly tokens: number;
  }[];
  readonly windows: number;
  readonly tokens: number;
  /** Of the windows and of the rules that they were made by. */
  readonly hash: string;
}

export interface StatisticsCorpus {
  /** How texts were cut, and the tokens of a window. */
  readonly rule: { readonly kind: string; readonly length: number };
  readonly calibration: StatisticsCorpusPart;
  /** Windows kept apart. */
  readonly holdOut?: StatisticsCorpusPart;
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export interface StatisticsDescription {
  readonly model: StatisticsModel;
  readonly corpus: StatisticsCorpus;
  /** In the order of the computation. */
  readonly inputs: readonly StatisticsInput[];
  /** Name and version of the program that collects. */
  readonly tool: string;
  /** What else decides what is collected. */
  readonly options: Readonly<Record<string, JsonValue>>;
}
