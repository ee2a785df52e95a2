import { type Checkpoint, formatOf, type LayerStack, type QuantizedFormat } from "@quern/checkpoints";
import {
  describeSource,
  hasMergedExperts,
  keepsRows,
  LINEAR_ROLES,
  type ModelDescription,
  type ModelModule,
  plainTensors,
  type PlainTensor,
  separateExperts,
} from "@quern/models";
import type { LinearLayer } from "@quern/recipes";
import { type ElementType, QuernError } from "@quern/tensor";

/** A linear layer of a checkpoint: a weight of outputs x inputs. */
export interface CheckpointLinear extends LinearLayer {
  /** Number of the block; absent outside the blocks. */
  readonly block?: number;
  /** Under what name its inputs are known: GGUF module, and which matrix of a stack. Absent where they are those of no module alone. */
  readonly inputs?: { readonly module: string; readonly matrix: number };
  /** Whether it is one of the experts of a block. */
  readonly expert: boolean;
  /** Whether the checkpoint has its weight as inputs x outputs (transformers, `Conv1D`). */
  readonly exchanged: boolean;
  /** Name of its bias, if it has one. */
  readonly bias?: string;
}

/** Weights of linear layers that no format of checkpoints has a place for as they are stored. */
interface UnfitWeight {
  /** Name in the checkpoint. */
  readonly tensor: string;
  readonly reason: string;
}

/** A checkpoint as the linear layers that it is made of: nothing of its weights has been read. */
export interface LayeredModel {
  readonly checkpoint: Checkpoint;
  readonly description: ModelDescription;
  /** config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** All tensors, quantized ones as the weights that they stand for; in the order of the checkpoint. */
  readonly tensors: ReadonlyMap<string, PlainTensor>;
  /** Linear layers that the format stores as one. */
  readonly stacks: readonly LayerStack[];
  /** Block by block. */
  readonly linears: readonly CheckpointLinear[];
  /** What cannot be among them, for want of a place in the format. */
  readonly unfit: readonly UnfitWeight[];
  /** Weight of the embedding where that is the output too, so that this is no layer of its own. */
  readonly tiedOutput?: string;
  /** Element type of weights that nothing is known of but that they were quantized. */
  readonly dtype: ElementType;
  /** Of files of little weight, which are left out of the description. */
  readonly warnings: readonly QuernError[];
}

/**
 * Finds the linear layers of a checkpoint. Experts that it keeps in one tensor, and weights of inputs x outputs, are among them where
 * programs that load the format take them; where they do not, they are listed.
 *
 * @param params.format How layers will be stored. @default not in a checkpoint
 * @throws QuernError `PLAN_SOURCE_PACKED` for experts that are in blocks of a ggml type already (gpt-oss), and the codes of `describeSource`
 */
export async function openLayeredModel(
  checkpoint: Checkpoint,
  params: { readonly format?: string } = {},
): Promise<LayeredModel> {
  const format = params.format === undefined ? undefined : formatOf(params.format);
  const described = await describeSource(checkpoint);
  checkPacked(described);
  const plain = await plainTensors(checkpoint);
  const dtype = dtypeOf(plain.config);
  const { description, tensors } = separateExperts(
    { description: described, tensors: plain.tensors },
    (module) => whyMerged(module, format) === undefined,
  );
  return {
    checkpoint,
    description,
    config: plain.config,
    tensors,
    stacks: format?.experts === "stacked" ? expertStacks(description, tensors) : [],
    ...linearLayers({ description, tensors, dtype, format }),
    ...tiedOutput(description),
    dtype,
    warnings: described.warnings,
  };
}

function tiedOutput({ modules }: ModelDescription): Pick<LayeredModel, "tiedOutput"> {
  if (modules.some(({ role }) => role === "output")) return {};
  const [weight] = modules.find(({ role }) => role === "embedding")?.weights ?? [];
  return weight === undefined ? {} : { tiedOutput: weight };
}

/** Their rows are not those that the checkpoint would have if it were not quantized. */
function checkPacked({ tensors }: ModelDescription): void {
  const packed = tensors.find(({ storage }) => typeof storage === "object");
  if (packed === undefined) return;
  throw new QuernError(
    "PLAN_SOURCE_PACKED",
    `"${packed.name}" is made from weights in ${(packed.storage as { packed: string }).packed}, which become GGUF and nothing else: expected a checkpoint in floating point`,
    { subject: { tensor: packed.name } },
  );
}

/** Why experts of one tensor are not layers of their own in a format; undefined where they are. */
function whyMerged({ experts }: ModelModule, format: QuantizedFormat | undefined): string | undefined {
  if (format === undefined || experts === undefined) return "several matrices in one tensor, such as experts";
  const where = `experts in one tensor, and nothing that loads ${format.name} takes those`;
  if (format.experts === undefined) return `${where} quantized`;
  return format.experts === "apart" && !experts.apart ? `${where} of this architecture apart` : undefined;
}

/** The experts of each projection, as one. */
function expertStacks({ modules }: ModelDescription, tensors: LayeredModel["tensors"]): LayerStack[] {
  return modules.flatMap((module): LayerStack[] =>
    module.experts === undefined || hasMergedExperts(module, tensors)
      ? []
      : [{ module: module.experts.stacked, members: module.weights.map(moduleOf) }],
  );
}

const WEIGHT = ".weight";

function moduleOf(weight: string): string {
  return weight.slice(0, -WEIGHT.length);
}

function linearLayers({
  description: { modules, tensors: described },
  tensors,
  dtype,
  format,
}: Pick<LayeredModel, "description" | "tensors" | "dtype"> & {
  readonly format: QuantizedFormat | undefined;
}): Pick<LayeredModel, "linears" | "unfit"> {
  const expressions = new Map(described.map(({ name, expression }) => [name, expression]));
  /** By name of the weight: several modules may have parts of one. */
  const users = new Map<string, { module: ModelModule; matrix: number; keeps: boolean }[]>();
  for (const module of modules) {
    if (!LINEAR_ROLES.has(module.role)) continue;
    const expression = expressions.get(`${module.name}${WEIGHT}`);
    if (expression === undefined) continue;
    for (const [matrix, weight] of module.weights.entries()) {
      const known = users.get(weight) ?? [];
      users.set(weight, [...known, { module, matrix, keeps: keepsRows(expression) }]);
    }
  }
  const unfit: UnfitWeight[] = [];
  const linears = [...users].flatMap(([weight, found]): CheckpointLinear[] => {
    const { info, quantized } = tensors.get(weight)!;
    const { shape } = info;
    const reason = whyUnfit(weight, shape, { users: found, format });
    if (reason !== undefined) {
      unfit.push({ tensor: weight, reason });
      return [];
    }
    const exchanged = isExchanged(found);
    const [rows, columns] = (exchanged ? shape.toReversed() : shape) as [number, number];
    const [{ module, matrix }] = found as [(typeof found)[0]];
    const name = moduleOf(weight);
    const bias = `${name}.bias`;
    return [
      {
        module: name,
        rows,
        columns,
        role: module.role,
        type: quantized ? dtype : info.type,
        expert: module.experts !== undefined,
        exchanged,
        ...(module.layer === undefined ? {} : { block: module.layer }),
        ...(found.length === 1 ? { inputs: { module: module.name, matrix } } : {}),
        ...(tensors.has(bias) ? { bias } : {}),
      },
    ];
  });
  return { linears, unfit };
}

function whyUnfit(
  weight: string,
  shape: readonly number[],
  {
    users,
    format,
  }: {
    readonly users: readonly { readonly module: ModelModule; readonly keeps: boolean }[];
    readonly format: QuantizedFormat | undefined;
  },
): string | undefined {
  if (shape.length > 2) return whyMerged(users[0]!.module, format);
  if (shape.length !== 2 || !weight.endsWith(WEIGHT)) return "no weight of a layer of its own";
  if (!isExchanged(users) || format?.conv1d === true) return undefined;
  const which = format === undefined ? "" : `, which nothing that loads ${format.name} takes quantized`;
  return `stored as inputs x outputs, as Conv1D is${which}`;
}

/** Whether it is transposed for all that use it. */
function isExchanged(users: readonly { readonly keeps: boolean }[]): boolean {
  return users.every(({ keeps }) => !keeps);
}

const DTYPES: ReadonlyMap<unknown, ElementType> = new Map([
  ["bfloat16", "BF16"],
  ["float16", "F16"],
  ["float32", "F32"],
]);

/** What config.json says that weights are computed in; BF16 unless it says so. */
function dtypeOf(config: Readonly<Record<string, unknown>>): ElementType {
  const text = (config["text_config"] ?? {}) as Readonly<Record<string, unknown>>;
  const found = [config["dtype"], config["torch_dtype"], text["dtype"], text["torch_dtype"]].find((name) =>
    DTYPES.has(name),
  );
  return DTYPES.get(found) ?? "BF16";
}
