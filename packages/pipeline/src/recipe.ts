import type { GgufDivision, GgufValue } from "@quern/gguf";

/**
 * Whose file an output equals, byte for byte.
 *
 * - `"converter"`: what `convert_hf_to_gguf.py --outtype` writes: tensors in the checkpoint's order, one type for all matrices.
 * - `"quantizer"`: what `llama-quantize` makes of the converter's file, or of the GGUF file that is read: tensors by layer, a
 *   mixture of types, its own metadata.
 */
export type Flavour = "converter" | "quantizer";

/** A named point of the space of outputs: which type each tensor gets. */
export interface Recipe {
  /** As llama.cpp spells it: "Q4_K_M", "IQ4_XS", "BF16". */
  readonly name: string;
  /** Number for `general.file_type` (llama.h, `enum llama_ftype`); absent for COPY, which keeps that of its source. */
  readonly fileType?: number;
  /** ggml type of most matrices; a mixture also uses others. Absent for COPY. */
  readonly type?: string;
  /** Flavours in which it can be written, the default one first. */
  readonly flavours: readonly Flavour[];
  /** What it is, in one line. */
  readonly description: string;
  /** Bits of tensor data per parameter of a Llama 3 model with 8 billion parameters; absent for COPY. */
  readonly bitsPerWeight?: number;
}

/** Type of the matrices of the unquantized file that `llama-quantize` would be given; "auto" is the checkpoint's own. */
export type IntermediateType = "auto" | "F32" | "F16" | "BF16";

/** A rule of `--tensor-type`: tensors whose GGUF name the pattern matches get the type. */
export interface TensorTypeRule {
  /** Regular expression, searched for anywhere in the lower-cased GGUF name. */
  readonly pattern: string;
  /** ggml type: "Q6_K". */
  readonly type: string;
}

/** One model to write: a file, or several when it is split. */
export interface OutputRequest {
  /**
   * Name of a recipe, in any case: "Q4_K_M"; "COPY" keeps every tensor as it is; "auto" is the floating-point type of the
   * checkpoint (not of GGUF).
   */
  readonly type: string;
  /** File to write. Default: the name of the GGUF convention (`<Name>-<Size>-<Finetune>-<Version>-<TYPE>.gguf`) in `directory`. */
  readonly path?: string;
  /**
   * Of a GGUF file: "quantizer" only.
   *
   * @default the first of the recipe's flavours: "converter" for F32, F16, BF16 and Q8_0, "quantizer" for all others
   */
  readonly flavour?: Flavour;
  /**
   * Only with the quantizer's flavour, and not for GGUF, which is that file. Weights pass through this type before they are quantized, and matrices that stay
   * unquantized keep it. "F32" loses nothing; "auto" equals the usual two steps with `--outtype auto`.
   *
   * @default "auto"
   */
  readonly intermediate?: IntermediateType;
  /** Only with the quantizer's flavour: every matrix gets the recipe's basic type. @default false */
  readonly pure?: boolean;
  /** Only with the quantizer's flavour: `output.weight` keeps the intermediate type. @default false */
  readonly leaveOutputTensor?: boolean;
  /** Only with the quantizer's flavour: ggml type of `output.weight`. */
  readonly outputTensorType?: string;
  /** Only with the quantizer's flavour: ggml type of `token_embd.weight`. */
  readonly tokenEmbeddingType?: string;
  /** Only with the quantizer's flavour; the first rule that matches wins. */
  readonly tensorTypes?: readonly TensorTypeRule[];
  /**
   * Only with the quantizer's flavour: tensors that are quantized already may get another type, which adds to their error.
   *
   * @default false
   */
  readonly allowRequantize?: boolean;
  /** Only with the quantizer's flavour: numbers of blocks to leave out; those behind them move up. */
  readonly pruneLayers?: readonly number[];
  /**
   * Only of GGUF: each tensor goes to the file of the split set that it comes from, and tensors keep their order.
   *
   * @default false: one file
   */
  readonly keepSplit?: boolean;
  /**
   * Metadata to set or replace, after everything else. With the quantizer's flavour types are chosen as if the source had it, as
   * `llama-quantize --override-kv` does.
   */
  readonly metadata?: ReadonlyMap<string, GgufValue>;
  /**
   * Divides the output among several files: "model.gguf" becomes "model-00001-of-00003.gguf" and so on. Divided by a limit they
   * equal what `llama-gguf-split` makes of the one file; by `fileOf`, what `llama-quantize --keep-split` writes.
   *
   * @default one file
   */
  readonly split?: GgufDivision;
}
