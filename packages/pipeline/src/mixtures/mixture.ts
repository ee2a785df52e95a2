import type { ModelTraits } from "./model-traits.ts";
import type { TensorCategory } from "./tensor-category.ts";

/**
 * Which ggml type each tensor of a quantized file gets, as `llama-quantize` chooses: a basic type, and rules for the kinds of
 * tensors that get another. Source of all rules: llama-quant.cpp (llama.cpp v0.5.0), `llama_tensor_get_type_impl`.
 */
export interface Mixture {
  /** As llama.cpp spells it: "Q4_K_M". */
  readonly name: string;
  /** Number for `general.file_type` (llama.h, `enum llama_ftype`). */
  readonly fileType: number;
  /** What it is, in one line. */
  readonly description: string;
  /** Bits of tensor data per parameter of a Llama 3 model with 8 billion parameters. */
  readonly bitsPerWeight: number;
  /** Type of the tensors that no rule names. */
  readonly type: string;
  /** Type of the output matrix, and of token embeddings that serve as one. @default "Q6_K" */
  readonly output?: string;
  readonly rules?: TypeRules;
  /** Types in models with exactly eight experts (Mixtral); they go before the rules. */
  readonly eightExperts?: Readonly<Partial<Record<TensorCategory, string>>>;
  /** What a type chosen for attention values becomes in 70B models, where eight heads share them. */
  readonly largeModelValues?: Readonly<Partial<Record<string, string>>>;
  /** Types that need importance weights in this mixture, beside those that always do. */
  readonly needImportance?: readonly string[];
}

/** Rules by category; `any` is for the categories without one. */
export type TypeRules = Readonly<Partial<Record<TensorCategory | "any", TypeRule>>>;

/** A type, or a function that chooses one; undefined is the mixture's basic type. */
export type TypeRule = string | ((site: TensorSite) => string | undefined);

/** What a rule knows about a tensor. */
export interface TensorSite {
  readonly category: TensorCategory;
  /** ggml order: the contiguous dimension first. */
  readonly ne: readonly number[];
  /** Quantized tensors of the category that stand before this one. */
  readonly position: number;
  /** Number of the block in models with experts; otherwise the position, which comes to the same in most models. */
  readonly layer: number;
  /** What `position` and `layer` run up to: all attention values, or the blocks of the model. */
  readonly layers: number;
  readonly model: ModelTraits;
  /** Whether there are importance weights. */
  readonly hasImportance: boolean;
}
