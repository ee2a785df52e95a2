import { ggmlType } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import type { TensorTypeRule } from "../recipe.ts";
import type { TensorCategory } from "./tensor-category.ts";

/** Choices that go before those of a mixture. */
export interface TypeOverrides {
  /** Every quantizable matrix gets the mixture's basic type. @default false */
  readonly pure?: boolean;
  /** `output.weight` keeps its type. @default false */
  readonly leaveOutputTensor?: boolean;
  /** ggml type of `output.weight`, and of token embeddings that serve as one. */
  readonly outputTensorType?: string;
  /** ggml type of token embeddings. */
  readonly tokenEmbeddingType?: string;
  /** Types by name; the first pattern that matches decides. Not for floating-point mixtures, as in `llama-quantize`. */
  readonly tensorTypes?: readonly TensorTypeRule[];
}

export interface CompiledOverrides {
  readonly outputType: string | undefined;
  /** Position of the first pattern that matches, -1 for none. */
  ruleFor(name: string): number;
  /** Whether a pattern matches, first or not. */
  matches(rule: number, name: string): boolean;
  /** The type that an option names for this tensor, whatever its shape. */
  fixedType(name: string, category: TensorCategory): string | undefined;
  /** The type of the first pattern that matches. */
  patternType(name: string): string | undefined;
}

/** A large table of its own: patterns that name it go before the type of token embeddings. */
const PER_LAYER_EMBEDDING = "per_layer_token_embd.weight";

/** @throws QuernError `MIXTURE_PATTERN_INVALID`, `GGML_TYPE_UNKNOWN` */
export function compileTypeOverrides(overrides: TypeOverrides): CompiledOverrides {
  const outputType = checkedType(overrides.outputTensorType);
  const embeddingType = checkedType(overrides.tokenEmbeddingType);
  const patterns = (overrides.tensorTypes ?? []).map(({ pattern, type }) => {
    return { pattern: compilePattern(pattern), type: ggmlType(type).name };
  });
  const ruleFor = (name: string): number => patterns.findIndex(({ pattern }) => pattern.test(name));
  const patternType = (name: string): string | undefined => patterns[ruleFor(name)]?.type;
  return {
    outputType,
    ruleFor,
    matches: (rule, name) => patterns[rule]!.pattern.test(name),
    patternType,
    fixedType(name, category) {
      if (category === "output") return outputType;
      if (category !== "tokenEmbedding") return undefined;
      return name === PER_LAYER_EMBEDDING && patternType(name) !== undefined ? undefined : embeddingType;
    },
  };
}

function checkedType(type: string | undefined): string | undefined {
  return type === undefined ? undefined : ggmlType(type).name;
}

function compilePattern(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (cause) {
    throw new QuernError(
      "MIXTURE_PATTERN_INVALID",
      `tensor type pattern ${JSON.stringify(pattern)} is not a regular expression`,
      {
        cause,
      },
    );
  }
}
