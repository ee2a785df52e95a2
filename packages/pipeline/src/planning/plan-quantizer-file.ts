import type { GgufDivision, GgufMetadata } from "@quern/gguf";
import {
  fileTypeOf,
  findMixture,
  isBlockType,
  keepTypes,
  overriddenMetadata,
  quantizedMetadata,
  quantizedTensorOrder,
  type SelectedTensor,
  selectQuantizedTypes,
  typeRuleWarnings,
} from "../mixtures/index.ts";
import type { PlannedTensor } from "../plan.ts";
import type { OutputRequest, Recipe } from "../recipe.ts";
import { holds, isFloatType } from "./float-type.ts";
import { isPacked } from "../conversion/weight-type.ts";
import { fallbackOf, type FileContents, type FileParams, refuseOptions } from "./file-contents.ts";
import { layOut } from "./lay-out.ts";
import { matchImportance } from "./match-importance.ts";
import { pruneLayers } from "./prune-layers.ts";
import { type InputTensor, quantizerInput } from "./quantizer-input.ts";

/** Plans an output as `llama-quantize` writes it. @throws as `planConversion` */
export function planQuantizerFile(params: FileParams, recipe: Recipe): FileContents {
  const { request } = params;
  // Without any entry it is as if there were no importance matrix, for the choice of types too.
  const importance = params.importance?.lengths.size === 0 ? undefined : params.importance;
  const input = quantizerInput(params);
  const { tensors: kept, blocks } = pruneLayers(input.tensors, request.pruneLayers ?? []);
  const overrides = request.metadata ?? new Map();
  const seen = overriddenMetadata(input.metadata, overrides);
  const mixture = findMixture(recipe.name);
  if (mixture === undefined) refuseOptions({ request, where: recipe.name }, TYPE_OPTIONS);
  const overriding = typeOverrides(request);
  const selected =
    mixture === undefined
      ? keepTypes(kept)
      : selectQuantizedTypes({
          ...overriding,
          mixture,
          metadata: seen,
          tensors: kept,
          hasImportance: importance !== undefined,
        });
  const metadata = quantizedMetadata(input.metadata, {
    fileType: mixture?.fileType ?? fileTypeOf(seen, quantizedTensorOrder(input.tensors)),
    overrides,
    ...(importance === undefined ? {} : { importance: { ...importance, entries: importance.lengths.size } }),
    ...(params.rounding === undefined ? {} : { rounding: params.rounding }),
    ...(blocks === undefined ? {} : { blockCount: { key: blockCountKey(seen), value: blocks } }),
  });
  const rules = mixture === undefined ? [] : typeRuleWarnings({ ...overriding, mixture, tensors: selected });
  const match = matchImportance({
    tensors: selected.map((choice, index) => ({
      ...choice,
      name: kept[index]!.model.name,
      changed: choice.type !== choice.sourceType,
    })),
    modelTensors: input.tensors.map(({ model }) => model.name),
    ...(params.importance === undefined ? {} : { importance: params.importance }),
  });
  const layout = layOut({ division: divisionOf(request, kept), metadata, tensors: selected });
  const choices = new Map(selected.map((choice, index) => [choice.name, { choice, input: kept[index]! }]));
  const tensors = layout.tensors.map((placed): PlannedTensor => {
    const { choice, input: tensor } = choices.get(placed.name)!;
    return {
      ...placed,
      ...conversionOf(choice, tensor, match.users),
      ...fallbackOf(choice.fallbackFrom, placed.ne),
    };
  });
  const { intermediate } = input;
  return {
    ...layout,
    type: recipe.name,
    flavour: "quantizer",
    ...(intermediate === undefined ? {} : { intermediate }),
    tensors,
    warnings: [...rules, ...match.warnings],
  };
}

function blockCountKey(metadata: GgufMetadata): string {
  const architecture = metadata.get("general.architecture");
  return `${architecture?.type === "string" ? String(architecture.value) : ""}.block_count`;
}

function divisionOf(request: OutputRequest, tensors: readonly InputTensor[]): GgufDivision | undefined {
  if (request.keepSplit !== true) return request.split;
  refuseOptions({ request, where: "an output that keeps the split of its source" }, ["split"]);
  return { fileOf: new Map(tensors.map(({ name, file }) => [name, file])) };
}

/** What happens to the weights of a tensor. */
function conversionOf(
  choice: SelectedTensor,
  { model }: InputTensor,
  importanceUsers: ReadonlySet<string>,
): Pick<PlannedTensor, "source" | "packed" | "requantized" | "usesImportance" | "via"> {
  const source = model.name;
  const { type, sourceType } = choice;
  const changed = type !== sourceType;
  const rounds = changed && !isPacked(model) && !holds(sourceType, model.sourceType);
  return {
    source,
    packed: isPacked(model) && !changed && !isFloatType(type),
    requantized: changed && isBlockType(sourceType),
    usesImportance: importanceUsers.has(source),
    ...(rounds ? { via: sourceType } : {}),
  };
}

const TYPE_OPTIONS = [
  "pure",
  "leaveOutputTensor",
  "outputTensorType",
  "tokenEmbeddingType",
  "tensorTypes",
] as const satisfies readonly (keyof OutputRequest)[];

function typeOverrides({
  pure,
  leaveOutputTensor,
  outputTensorType,
  tokenEmbeddingType,
  tensorTypes,
  allowRequantize,
}: OutputRequest) {
  return {
    ...(pure === undefined ? {} : { pure }),
    ...(leaveOutputTensor === undefined ? {} : { leaveOutputTensor }),
    ...(outputTensorType === undefined ? {} : { outputTensorType: outputTensorType.toUpperCase() }),
    ...(tokenEmbeddingType === undefined ? {} : { tokenEmbeddingType: tokenEmbeddingType.toUpperCase() }),
    ...(tensorTypes === undefined
      ? {}
      : { tensorTypes: tensorTypes.map(({ pattern, type }) => ({ pattern, type: type.toUpperCase() })) }),
    ...(allowRequantize === undefined ? {} : { allowRequantize }),
  };
}
