import type { GgufValue } from "@quern/gguf";
import type { TensorExpression } from "../expressions/expression.ts";
import type { ForwardRecord } from "../forward/record.ts";
import type { VocabularyHints } from "../vocabulary/vocabulary-hints.ts";
import type { Config } from "./config.ts";
import type { ModuleRole } from "./module-role.ts";

/** Values that a record computes from config.json. */
export interface ModelFacts {
  readonly config: Config;
  /** llama.cpp's number of the pooling that the repository asks for (sentence-transformers). */
  readonly pooling?: number;
  /** Tokens of the vocabulary, padding included. */
  readonly vocabularySize: number;
}

/** One key of the metadata. */
export interface Hyperparameter {
  /** Key below the architecture's prefix: "attention.head_count" stands for "llama.attention.head_count". */
  readonly key: string;
  /** undefined: the key is not written. */
  readonly value: (facts: ModelFacts) => GgufValue | undefined;
}

/** Stands in the list of hyper-parameters where `general.file_type` is written. */
export const FILE_TYPE = "file-type";

/** A tensor of the checkpoint that goes into an output tensor. */
export interface SourceTensor {
  readonly expression: TensorExpression;
  readonly shape: readonly number[];
}

export interface BlockContext extends ModelFacts {
  /** Number of the block; -1 outside the blocks. */
  readonly layer: number;
}

/** How an output tensor is made from tensors of the checkpoint. */
export interface TensorRecipe {
  /**
   * Names in the checkpoint. `{layer}` is the number of the block; a name with `{index}` stands for `count` names,
   * numbered from 0.
   */
  readonly from: readonly string[];
  readonly count?: (config: Config) => number;
  /** Default: the only tensor as it is. */
  readonly make?: (sources: readonly SourceTensor[], context: BlockContext) => TensorExpression;
  /** Recipes of a block with the same label stand together, where the last of all their sources stood. */
  readonly together?: string;
  /** The result is already in blocks of this ggml type, which stand before all other tensors. */
  readonly packed?: { readonly type: string; readonly blockSize: number; readonly blockBytes: number };
}

/** What the same projection of all experts of a block is called where it is quantized. */
export interface ExpertNames {
  /** Of one expert; `{index}` is its number. */
  readonly each: string;
  /** Whether programs load experts as modules of their own under these names (vLLM, SGLang, GPTQModel). */
  readonly apart: boolean;
  /** Of all as one module, whose tensors have a first axis for the experts (mlx-lm, `QuantizedSwitchLinear`). */
  readonly stacked: string;
}

/** A part of the model with weights. */
export interface Module {
  readonly role: ModuleRole;
  /** GGUF name without ".weight"; in a block without "blk.N." too: "attn_q". */
  readonly name: string;
  /** Hugging Face name of the module without ".weight": "model.layers.{layer}.self_attn.q_proj". */
  readonly hf: string;
  /**
   * `name` of the module of the same block whose output it works on: the norm before a projection, attn_v for attn_output
   * (attention mixes rows of V, not columns), ffn_up for ffn_down. Absent: the residual stream.
   */
  readonly input?: string;
  /** How the weight is made: the first recipe whose tensors the checkpoint has. Default: `hf` + ".weight" as it is. */
  readonly weight?: readonly TensorRecipe[];
  /** How the bias is made. Default: `hf` + ".bias" as it is. */
  readonly bias?: readonly TensorRecipe[];
  /** @default "optional" */
  readonly hasBias?: "always" | "optional" | "never";
  /** Of experts. */
  readonly experts?: ExpertNames;
  /** Whether this block has the module. Default: every one has. */
  readonly when?: (config: Config, layer: number) => boolean;
  /** Whether the checkpoint may lack it (a tied output). @default false */
  readonly optional?: (config: Config) => boolean;
}

/** A tensor that no checkpoint holds; it stands before those that do. */
export interface GeneratedTensor {
  /** GGUF name. */
  readonly name: string;
  /** undefined: this model has none. */
  readonly values: (config: Config) => readonly number[] | undefined;
}

/** A family of models, as data. */
export interface Architecture {
  /** GGUF name: "llama". */
  readonly name: string;
  /** Values of `architectures` in config.json. */
  readonly classes: readonly string[];
  /** Values that the configuration class of transformers fills in where config.json lacks the key. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** The same for values that follow from others; they fill in for null too. Computed in order. */
  readonly derived?: Readonly<Record<string, (config: Config) => unknown>>;
  /** Values that count whatever config.json says; null: none. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** Keys right after `general.architecture`. */
  readonly leadingHyperparameters?: readonly Hyperparameter[];
  /** In the order of llama.cpp's converter; of a key that comes twice, the first place and the last value count. */
  readonly hyperparameters: readonly Hyperparameter[];
  readonly vocabulary: (config: Config) => VocabularyHints;
  /** Whether the pooling of a sentence-transformers repository is looked up. @default false */
  readonly pooling?: boolean;
  /** Modules outside the blocks. */
  readonly model: readonly Module[];
  /** Modules of each block. */
  readonly block: readonly Module[];
  readonly generated?: readonly GeneratedTensor[];
  /** Other spellings of names in checkpoints, rewritten in turn before names are looked up. */
  readonly renames?: readonly (readonly [pattern: RegExp, replacement: string])[];
  /**
   * Names of weights that checkpoints have as inputs x outputs (transformers, `Conv1D`). Quantized ones are outputs x inputs, as all are.
   */
  readonly exchanged?: RegExp;
  /** Names (after the renames) of tensors that are of no use to llama.cpp. */
  readonly ignored?: readonly RegExp[];
  /**
   * Names (after the renames) of tensors in blocks, with the number of the block as first group: those beyond the last block,
   * which predict tokens further ahead, are ignored.
   */
  readonly extraBlocks?: RegExp;
  /** How hidden states are computed. Absent: they cannot be. */
  readonly forward?: ForwardRecord;
  /** What `forward` needs to know beside the metadata: keys that no file has (`computation-keys.ts`). */
  readonly computation?: readonly Hyperparameter[];
  /** `quant_method` of checkpoints that can be read, and the `general.file_type` of their floating-point files. */
  readonly quantization?: { readonly method: string; readonly fileType: number };
}
