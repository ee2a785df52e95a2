import type { GgufMetadata } from "@quern/gguf";
import type { ElementType, QuernError, TensorInfo } from "@quern/tensor";
import type { ExpertNames } from "./architectures/architecture.ts";
import type { ModuleRole } from "./architectures/module-role.ts";
import type { TensorExpression } from "./expressions/expression.ts";
import type { InputQuantization } from "./forward/input-quantization.ts";

/** The small files of a checkpoint (config, tokenizer, model card); paths are relative, with forward slashes. */
export interface CheckpointFiles {
  /** Folder or repository name, for messages and as the last resort for the model's name. */
  readonly name: string;
  /** Whether there is a file of this name. */
  has(path: string): boolean;
  /** @returns undefined when the file does not exist */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Names of the files in a folder, in any order; empty when there is no such folder. */
  list(folder: string): readonly string[];
}

/** What a model description is made from. */
export interface ModelInput {
  readonly files: CheckpointFiles;
  /** Every tensor of the checkpoint, in the order of the (sorted) shard files, sorted by name within each. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Bytes of a small tensor: some quantized checkpoints say there what their layers are. */
  readonly readTensor?: (name: string) => Promise<Uint8Array>;
  /** Overrides the pre-tokenizer name that is derived from tokenizer.json (`--pre`). */
  readonly preTokenizer?: string;
}

/** How an output type is chosen for a tensor that is not quantized by a recipe. */
export type StoragePolicy =
  /** Follows the output type that the user asked for, with fallbacks for shapes that do not fit. */
  | "follow"
  /** Always F32 (norms, biases, routers, position embeddings, ...). */
  | "f32"
  /** Already of a ggml type (gpt-oss experts; whatever comes as GGUF): kept unless it is quantized again. */
  | { readonly packed: string };

/** One tensor of the output. */
export interface ModelTensor {
  /** GGUF name, e.g. "blk.0.attn_q.weight". */
  readonly name: string;
  /** What the module that it belongs to does; absent where only names tell (GGUF). */
  readonly role?: ModuleRole;
  /**
   * Row-major shape (slowest first); GGUF's `ne` is its reverse. Of packed tensors too it counts elements, while the
   * expression of packed blocks yields rows of U8 bytes.
   */
  readonly shape: readonly number[];
  /** Element type that the expression yields. */
  readonly sourceType: ElementType;
  readonly expression: TensorExpression;
  readonly storage: StoragePolicy;
}

/** A part of the model with weights: a linear layer, a norm, an embedding. */
export interface ModelModule {
  readonly role: ModuleRole;
  /** GGUF name without ".weight": "blk.0.attn_q". */
  readonly name: string;
  /**
   * Hugging Face name without ".weight", as the record of the architecture spells it; in merged experts `{index}` stands for
   * the number of the expert.
   */
  readonly hf: string;
  /** Number of the block; absent outside the blocks. */
  readonly layer?: number;
  /**
   * `name` of the module whose output it works on; absent where that is the residual stream. attn_output names attn_v, whose
   * columns attention mixes none of; ffn_down names ffn_up.
   */
  readonly input?: string;
  /** GGUF names of its tensors. */
  readonly tensors: readonly string[];
  /** Names in the checkpoint of the tensors that they are made from. */
  readonly sources: readonly string[];
  /**
   * Names of the tensors that its weight is made from, as the checkpoint would have them if it were not quantized; of stacked experts one
   * after another.
   */
  readonly weights: readonly string[];
  /** Of experts: what they are called where they are quantized. */
  readonly experts?: ExpertNames;
}

/** How runtimes quantize what a linear layer reads. */
export interface StoredInputQuantization {
  readonly type: InputQuantization["type"];
  /** Inputs of a token with a scale in common. @default all of them */
  readonly groupSize?: number;
  /** Tensors of the checkpoint with one scale each, for the weights of the module. @default each token has its own */
  readonly scales?: readonly string[];
}

/** Everything about a model that is known before a weight is read. */
export interface ModelDescription {
  /** GGUF architecture name, e.g. "llama". */
  readonly architecture: string;
  /** In the order in which llama.cpp's converter writes them, or of the GGUF file. */
  readonly tensors: readonly ModelTensor[];
  /** Modules outside the blocks, then block by block: which linear layers there are and what feeds them. Empty for GGUF. */
  readonly modules: readonly ModelModule[];
  /** Of linear layers whose inputs runtimes quantize, by GGUF name without ".weight". @default none are */
  readonly inputs?: ReadonlyMap<string, StoredInputQuantization>;
  /** Errors of files of little weight (model card, generation_config.json), which are left out. */
  readonly warnings: readonly QuernError[];
  /**
   * All metadata in the converter's order. `fileType` is the number for `general.file_type` (llama_ftype), which the
   * converter writes in the midst of the architecture's keys. Of a GGUF file: what it says, `fileType` too.
   */
  metadata(params: { readonly fileType: number }): GgufMetadata;
  /**
   * The metadata of the architecture, and what the forward pass needs to know beyond them; of a GGUF file, its metadata.
   *
   * @throws QuernError `MODEL_CONFIG_VALUE_INVALID` for a configuration that asks for what the forward pass does not compute
   */
  computation(): GgufMetadata;
}
