import { ggmlType, type GgufMetadata, type GgufTensorSpec } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { fallbackType } from "./fallback-type.ts";
import type { Mixture, TensorSite } from "./mixture.ts";
import { type ModelTraits, modelTraits } from "./model-traits.ts";
import { isQuantizable } from "./quantizable.ts";
import { blockOf, type TensorCategory, tensorCategory } from "./tensor-category.ts";
import { compileTypeOverrides, type TypeOverrides } from "./type-overrides.ts";

export interface SelectionParams extends TypeOverrides {
  readonly mixture: Mixture;
  /** Metadata of the file to quantize: architecture, blocks, heads, experts. */
  readonly metadata: GgufMetadata;
  /** All tensors in the order of the quantized file ({@link quantizedTensorOrder}), with their types in the file to quantize. */
  readonly tensors: readonly GgufTensorSpec[];
  /** Whether there are importance weights. */
  readonly hasImportance: boolean;
  /** Whether tensors that are quantized already may get another type. @default false */
  readonly allowRequantize?: boolean;
}

/** The choice for one tensor. */
export interface SelectedTensor {
  readonly name: string;
  /** As `llama-quantize` writes it: without dimensions of 1 at the end. */
  readonly ne: readonly number[];
  /** Type in the file to quantize. */
  readonly sourceType: string;
  /** Type in the quantized file; the same as `sourceType` for tensors that are copied. */
  readonly type: string;
  /** The type that was wanted, where rows are not whole blocks of it. */
  readonly fallbackFrom?: string;
  /** Whether the type makes sense only with importance weights: `llama-quantize` refuses to go on without. */
  readonly requiresImportance: boolean;
}

/**
 * Chooses the type of every tensor as `llama-quantize` does (llama-quant.cpp of llama.cpp v0.5.0).
 *
 * @returns The tensors in the order given
 * @throws QuernError `MIXTURE_METADATA_MISSING`, `MIXTURE_PATTERN_INVALID`, `MIXTURE_LAYER_INVALID` when an FFN tensor of a model with
 * experts belongs to no block, `MIXTURE_NO_FALLBACK`, `MIXTURE_REQUANTIZES` for a tensor that is quantized already and may not be
 * again, `GGML_TYPE_UNKNOWN`
 */
export function selectQuantizedTypes(params: SelectionParams): SelectedTensor[] {
  const { mixture, hasImportance, allowRequantize = false } = params;
  const overrides = compileTypeOverrides(params);
  const tensors = params.tensors.map(({ name, ne, type }) => {
    return { name, ne: withoutTrailingOnes(ne), type, category: tensorCategory(name) };
  });
  const sites = new SiteCounter({
    model: modelTraits(params.metadata),
    values: tensors.filter(({ category }) => category === "attentionValue").length,
    hasImportance,
  });
  const hasOutput = tensors.some(({ category }) => category === "output");

  /** The type to quantize to, before its block size is looked at; `final` types are taken as they are. */
  const choose = (tensor: (typeof tensors)[number]): { type: string; final?: boolean } => {
    const fixed = overrides.fixedType(tensor.name, tensor.category);
    if (fixed !== undefined) return { type: fixed, final: true };
    if (!isBlockType(mixture.type)) return { type: mixture.type, final: true };
    const manual = overrides.patternType(tensor.name);
    if (manual !== undefined) return { type: manual };
    if (params.pure === true) return { type: mixture.type };
    if (tensor.category === "output" || (tensor.category === "tokenEmbedding" && !hasOutput)) {
      return { type: overrides.outputType ?? outputType(mixture, sites.model, tensor.ne) };
    }
    return { type: typeFor(mixture, sites.next(tensor)) };
  };

  return tensors.map((tensor) => {
    const { name, ne, type: sourceType, category } = tensor;
    const keep = !isQuantizable(name, ne) || (params.leaveOutputTensor === true && category === "output");
    if (keep) return { name, ne, sourceType, type: sourceType, requiresImportance: false };
    const { type: wanted, final = false } = choose(tensor);
    const type = final ? wanted : fallbackType({ tensor: name, wanted, columns: ne[0] ?? 1 });
    if (type !== sourceType && isBlockType(sourceType) && !allowRequantize) {
      throw requantizes(name, sourceType, type);
    }
    return {
      name,
      ne,
      sourceType,
      type,
      ...(type === wanted ? {} : { fallbackFrom: wanted }),
      requiresImportance: requiresImportance(mixture, category, type),
    };
  });
}

/** The tensors as they are, as `llama-quantize` copies them: in the order given. */
export function keepTypes(tensors: readonly GgufTensorSpec[]): SelectedTensor[] {
  return tensors.map(({ name, ne, type }) => {
    return { name, ne: withoutTrailingOnes(ne), sourceType: type, type, requiresImportance: false };
  });
}

/** Counts the tensors of each category on the way. */
class SiteCounter {
  readonly model: ModelTraits;
  readonly #values: number;
  readonly #hasImportance: boolean;
  readonly #positions = new Map<TensorCategory, number>();

  constructor(params: { model: ModelTraits; values: number; hasImportance: boolean }) {
    this.model = params.model;
    this.#values = params.values;
    this.#hasImportance = params.hasImportance;
  }

  next({
    name,
    ne,
    category,
  }: {
    name: string;
    ne: readonly number[];
    category: TensorCategory;
  }): TensorSite {
    const { model } = this;
    const position = this.#positions.get(category) ?? 0;
    this.#positions.set(category, position + 1);
    const byBlock = model.experts > 1 && BY_BLOCK.has(category);
    return {
      category,
      ne,
      position,
      layer: byBlock ? checkedBlock(name, model) : position,
      layers: category === "attentionValue" ? this.#values : model.layers,
      model,
      hasImportance: this.#hasImportance,
    };
  }
}

/** Models with experts can have several FFN tensors of a category in a block, or none. */
const BY_BLOCK: ReadonlySet<TensorCategory> = new Set(["ffnUp", "ffnGate", "ffnDown"]);

function checkedBlock(name: string, { layers }: ModelTraits): number {
  const block = blockOf(name);
  if (block !== undefined && block < layers) return block;
  throw new QuernError(
    "MIXTURE_LAYER_INVALID",
    `tensor "${name}" is in none of the ${layers} blocks of the model`,
    {
      subject: { tensor: name },
    },
  );
}

function outputType(mixture: Mixture, model: ModelTraits, ne: readonly number[]): string {
  const fits = (ne[0] ?? 1) % ggmlType(mixture.type).blockSize === 0;
  return model.architecture === "falcon" || !fits ? "Q8_0" : (mixture.output ?? "Q6_K");
}

function typeFor(mixture: Mixture, site: TensorSite): string {
  const { category, model } = site;
  const special = model.experts === 8 ? mixture.eightExperts?.[category] : undefined;
  if (special !== undefined) return special;
  const rule = mixture.rules?.[category] ?? mixture.rules?.any;
  const type = (typeof rule === "function" ? rule(site) : rule) ?? mixture.type;
  return category === "attentionValue" && model.isLarge ? (mixture.largeModelValues?.[type] ?? type) : type;
}

const NEED_IMPORTANCE: readonly string[] = ["IQ3_XXS", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ1_M", "IQ1_S"];

function requiresImportance(mixture: Mixture, category: TensorCategory, type: string): boolean {
  if (category === "tokenEmbedding" || category === "output") return false;
  return NEED_IMPORTANCE.includes(type) || (mixture.needImportance?.includes(type) ?? false);
}

/** Floating-point types hold single elements. */
export function isBlockType(type: string): boolean {
  return ggmlType(type).blockSize > 1;
}

/** ggml counts no dimension of 1 at the end (`ggml_n_dims`), but always the first. */
function withoutTrailingOnes(ne: readonly number[]): readonly number[] {
  return ne.slice(
    0,
    Math.max(
      ne.findLastIndex((dimension) => dimension !== 1),
      0,
    ) + 1,
  );
}

function requantizes(tensor: string, from: string, to: string): QuernError {
  return new QuernError(
    "MIXTURE_REQUANTIZES",
    `tensor "${tensor}" is ${from} already: quantizing it again as ${to} would add to its error, and is not asked for`,
    { subject: { tensor } },
  );
}
