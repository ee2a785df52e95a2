import { QuernError, type TensorInfo } from "@quern/tensor";
import { expressionType } from "../expressions/evaluate.ts";
import type { ExpressionType, TensorExpression } from "../expressions/expression.ts";
import { source } from "../expressions/operations/source.ts";
import { toFloat32 } from "../expressions/operations/to-float32.ts";
import type { ModelTensor, StoragePolicy } from "../model.ts";
import type { BlockContext, SourceTensor, TensorRecipe } from "./architecture.ts";
import { type ModuleRole, UNQUANTIZED_ROLES } from "./module-role.ts";

/** Element types that kernels read; all others become F32 first, as in llama.cpp's converter. */
const PLAIN_TYPES: ReadonlySet<string> = new Set(["F32", "F16", "BF16"]);

/** An output tensor and what its place in the file depends on. */
export interface PlacedTensor {
  readonly tensor: ModelTensor;
  /** Tensors of the checkpoint that it is made from. */
  readonly sources: readonly string[];
  readonly packed: boolean;
  /** Tensors of one group stand together. */
  readonly group?: string;
}

/**
 * Makes the output tensor of a recipe.
 *
 * @param params.sources Names in the checkpoint of the tensors that the recipe names.
 * @throws QuernError `MODEL_TENSOR_INVALID` when their shapes or types do not fit
 */
export function placeTensor(params: {
  name: string;
  role: ModuleRole;
  recipe: TensorRecipe;
  sources: readonly string[];
  context: BlockContext;
  tensors: ReadonlyMap<string, TensorInfo>;
}): PlacedTensor {
  const { name, role, recipe, sources, context, tensors } = params;
  const { make = ([only]: readonly SourceTensor[]) => only!.expression, packed, together } = recipe;
  const { expression, type } = typed(name, sources, () => {
    const infos = sources.map((sourceName) => tensors.get(sourceName)!);
    const inputs = packed === undefined ? plainSources(infos) : infos.map(asItIs);
    const made = make(inputs, context);
    return {
      expression: made,
      type: expressionType(made, { info: (sourceName) => tensors.get(sourceName)! }),
    };
  });
  const columns = type.shape.at(-1) ?? 1;
  const shape =
    packed === undefined ? type.shape : type.shape.with(-1, (columns / packed.blockBytes) * packed.blockSize);
  const unquantized = name.endsWith(".bias") || shape.length <= 1 || UNQUANTIZED_ROLES.has(role);
  const storage: StoragePolicy =
    packed === undefined ? (unquantized ? "f32" : "follow") : { packed: packed.type };
  return {
    tensor: { name, role, shape, sourceType: type.type, expression, storage },
    sources,
    packed: packed !== undefined,
    ...(together === undefined ? {} : { group: `${context.layer} ${together}` }),
  };
}

/** Adds the names of the tensors to errors that do not say what they are about. */
function typed(
  name: string,
  sources: readonly string[],
  make: () => { expression: TensorExpression; type: ExpressionType },
): { expression: TensorExpression; type: ExpressionType } {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof QuernError) || cause.subject.file !== undefined) throw cause;
    throw new QuernError(
      "MODEL_TENSOR_INVALID",
      `"${name}" cannot be made from ${sources.length > 1 ? `${sources.length} tensors beginning with ` : ""}"${sources[0]}": ${cause.message}`,
      { subject: { tensor: sources[0]! }, cause },
    );
  }
}

function asItIs({ name, shape }: TensorInfo): SourceTensor {
  return { expression: source(name), shape };
}

/** F32 also where a tensor is made from several of different types, such as experts of which some have been quantized. */
function plainSources(infos: readonly TensorInfo[]): SourceTensor[] {
  const alike = infos.every(({ type }) => type === infos[0]!.type && PLAIN_TYPES.has(type));
  return infos.map((info) => {
    const { expression, shape } = asItIs(info);
    return { expression: alike || info.type === "F32" ? expression : toFloat32(expression), shape };
  });
}
