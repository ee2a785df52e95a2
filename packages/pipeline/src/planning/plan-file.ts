import type { Checkpoint } from "@quern/checkpoints";
import { ggmlType } from "@quern/gguf";
import type { ModelDescription, ModelTensor } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { Importance } from "../importance/importance.ts";
import {
  findMixture,
  quantizedMetadata,
  selectQuantizedTypes,
  type StorageFormat,
  storageFormat,
  storageType,
} from "../mixtures/index.ts";
import type { PlannedTensor } from "../plan.ts";
import type { Flavour, IntermediateType, OutputRequest } from "../recipe.ts";
import { findRecipe } from "../recipes.ts";
import { converterAutoType, holds, losslessFloatType } from "./float-type.ts";
import { layOut, type OutputLayout } from "./lay-out.ts";

/** What an output holds, wherever it is written. */
export interface FileContents extends OutputLayout {
  readonly type: string;
  readonly flavour: Flavour;
  readonly intermediate?: string;
  readonly tensors: readonly PlannedTensor[];
}

export interface FileParams {
  readonly request: OutputRequest;
  readonly model: ModelDescription;
  readonly checkpoint: Checkpoint;
  readonly importance?: Importance;
}

/** Plans one output. @throws as `planConversion` */
export function planFile(params: FileParams): FileContents {
  const { request, checkpoint } = params;
  const name =
    request.type.toLowerCase() === "auto" ? converterAutoType(checkpoint.tensors.values()) : request.type;
  const recipe = findRecipe(name);
  const flavour = request.flavour ?? recipe.flavours[0]!;
  if (!recipe.flavours.includes(flavour)) {
    throw new QuernError("RECIPE_FLAVOUR", `${recipe.name} cannot be written as by the ${flavour}`, {
      subject: { key: "flavour" },
    });
  }
  const plan = flavour === "converter" ? planConverterFile : planQuantizerFile;
  return plan(params, recipe.name);
}

function planConverterFile({ request, model }: FileParams, type: string): FileContents {
  const stray = QUANTIZER_OPTIONS.find((option) => request[option] !== undefined);
  if (stray !== undefined) {
    throw new QuernError("RECIPE_OPTION", `${stray} means nothing for ${type} as the converter writes it`, {
      subject: { key: stray },
    });
  }
  const format = storageFormat(type);
  const metadata = model.metadata({ fileType: format.fileType });
  for (const [key, value] of request.metadata ?? []) metadata.set(key, value);
  const choices = new Map(
    model.tensors.map((tensor) => [tensor.name, { tensor, name: tensor.name, ...storedAs(tensor, format) }]),
  );
  const { layouts, tensors: placements } = layOut({ request, metadata, tensors: [...choices.values()] });
  const tensors = placements.map((placed): PlannedTensor => {
    const { tensor, fallbackFrom } = choices.get(placed.name)!;
    return {
      ...placed,
      packed: isPacked(tensor),
      usesImportance: false,
      ...fallbackOf(fallbackFrom, placed.ne),
    };
  });
  return { type, flavour: "converter", tensors, layouts };
}

const QUANTIZER_OPTIONS = [
  "intermediate",
  "pure",
  "leaveOutputTensor",
  "outputTensorType",
  "tokenEmbeddingType",
  "tensorTypes",
] as const satisfies readonly (keyof OutputRequest)[];

function planQuantizerFile({ request, model, importance }: FileParams, type: string): FileContents {
  const mixture = findMixture(type)!;
  const format = storageFormat(intermediateType(request.intermediate ?? "auto", model.tensors));
  const sourceMetadata = model.metadata({ fileType: format.fileType });
  const overrides = request.metadata ?? new Map();
  const selected = selectQuantizedTypes({
    ...typeOverrides(request),
    mixture,
    metadata: new Map([...sourceMetadata, ...overrides]),
    tensors: model.tensors.map((tensor) => ({ name: tensor.name, ...storedAs(tensor, format) })),
    hasImportance: importance !== undefined,
  });
  const metadata = quantizedMetadata(sourceMetadata, {
    fileType: mixture.fileType,
    overrides,
    ...(importance === undefined ? {} : { importance: { ...importance, entries: importance.weights.size } }),
  });
  const { layouts, tensors: placements } = layOut({ request, metadata, tensors: selected });
  const sources = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
  const choices = new Map(selected.map((choice) => [choice.name, choice]));
  const tensors = placements.map((placed): PlannedTensor => {
    const choice = choices.get(placed.name)!;
    const source = sources.get(placed.name)!;
    const changed = choice.type !== choice.sourceType;
    const usesImportance = changed && findImportance(choice, importance);
    const rounds = changed && !holds(choice.sourceType, source.sourceType);
    return {
      ...placed,
      packed: isPacked(source),
      usesImportance,
      ...(rounds ? { via: choice.sourceType } : {}),
      ...fallbackOf(choice.fallbackFrom, placed.ne),
    };
  });
  return { type, flavour: "quantizer", intermediate: format.type, tensors, layouts };
}

function intermediateType(intermediate: IntermediateType, tensors: readonly ModelTensor[]): string {
  return intermediate === "auto" ? losslessFloatType(tensors) : intermediate;
}

function typeOverrides({
  pure,
  leaveOutputTensor,
  outputTensorType,
  tokenEmbeddingType,
  tensorTypes,
}: OutputRequest) {
  return {
    ...(pure === undefined ? {} : { pure }),
    ...(leaveOutputTensor === undefined ? {} : { leaveOutputTensor }),
    ...(outputTensorType === undefined ? {} : { outputTensorType: outputTensorType.toUpperCase() }),
    ...(tokenEmbeddingType === undefined ? {} : { tokenEmbeddingType: tokenEmbeddingType.toUpperCase() }),
    ...(tensorTypes === undefined
      ? {}
      : { tensorTypes: tensorTypes.map(({ pattern, type }) => ({ pattern, type: type.toUpperCase() })) }),
  };
}

/** How the converter stores a tensor. */
function storedAs({ name, shape, storage }: ModelTensor, format: StorageFormat) {
  const ne = shape.length === 0 ? [1] : shape.toReversed();
  return { ne, ...storageType({ name, ne, storage, format }) };
}

function isPacked({ storage }: ModelTensor): boolean {
  return typeof storage === "object";
}

function fallbackOf(
  from: string | undefined,
  [columns = 1]: readonly number[],
): Pick<PlannedTensor, "fallback"> {
  if (from === undefined) return {};
  return {
    fallback: { from, reason: `${columns} columns are not a multiple of ${ggmlType(from).blockSize}` },
  };
}

/**
 * Whether there are weights for a tensor, of the right number.
 *
 * @throws QuernError `IMPORTANCE_REQUIRED`, `IMPORTANCE_MISMATCH`
 */
function findImportance(
  tensor: { name: string; type: string; ne: readonly number[]; requiresImportance: boolean },
  importance: Importance | undefined,
): boolean {
  const { name, type, ne, requiresImportance } = tensor;
  const weights = importance?.weights.get(name);
  const expected = (ne[0] ?? 1) * (ne[2] ?? 1);
  if (weights !== undefined && weights.length !== expected && !IGNORED_MISMATCH.has(name)) {
    throw new QuernError(
      "IMPORTANCE_MISMATCH",
      `${importance!.file} has ${weights.length} weights for tensor "${name}": expected ${expected}. Is it of another model?`,
      { subject: { file: importance!.file, tensor: name } },
    );
  }
  const found = weights?.length === expected && ggmlType(type).blockSize > 1;
  if (found || !requiresImportance) return found;
  throw new QuernError(
    "IMPORTANCE_REQUIRED",
    `${type} for tensor "${name}" makes sense only with importance weights, and ` +
      (importance === undefined ? "none are given" : `${importance.file} has none for it`),
    { subject: { tensor: name } },
  );
}

/** Its inputs are tokens, not vectors: `llama-quantize` warns, and goes on without. */
const IGNORED_MISMATCH: ReadonlySet<string> = new Set(["token_embd.weight"]);
