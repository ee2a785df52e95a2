import { byteSize, QuernError, type TensorInfo } from "@quern/tensor";
import { compareCodePoints } from "../write/code-point-order.ts";
import type { SafetensorsMetadata } from "../format.ts";
import { planSafetensors, type SafetensorsLayout } from "../write/plan.ts";

export interface SafetensorsShard {
  readonly fileName: string;
  readonly layout: SafetensorsLayout;
}

/** The files of a checkpoint, before any data is written. */
export interface SafetensorsShardPlan {
  readonly shards: readonly SafetensorsShard[];
  /** The index that belongs beside the shards; undefined when one file holds everything. */
  readonly index: { readonly fileName: string; readonly bytes: Uint8Array } | undefined;
}

/**
 * Distributes tensors over files as `huggingface_hub.split_torch_state_dict_into_shards` does: in the order given, a new file
 * when the next tensor would make it larger than the limit, and a file of its own for a tensor larger than the limit.
 * One file is called `model.safetensors`, several `model-00001-of-00003.safetensors` and so on.
 *
 * @param params.together Names of groups: neighbours of one group come into one file.
 * @param params.metadata Written into every file.
 * @param params.maxShardSize Most bytes of tensors in a file.
 * @param params.baseName What the file names begin with. @default "model"
 * @param params.indexMetadata Added to the `metadata` of the index beside `total_size`, such as `total_parameters`.
 * @throws QuernError as `planSafetensors`; `SAFETENSORS_BAD_SHARD_SIZE` when the limit is not a positive number.
 */
export function planSafetensorsShards(params: {
  tensors: Iterable<TensorInfo>;
  metadata?: SafetensorsMetadata;
  maxShardSize: number;
  baseName?: string;
  indexMetadata?: Readonly<Record<string, unknown>>;
  together?: (name: string) => string | undefined;
}): SafetensorsShardPlan {
  const { metadata, maxShardSize, baseName = "model", indexMetadata = {} } = params;
  if (!(maxShardSize > 0)) {
    throw new QuernError(
      "SAFETENSORS_BAD_SHARD_SIZE",
      `the largest size of a shard is ${maxShardSize}: expected a positive number of bytes`,
    );
  }
  const tensors = [...params.tensors];
  checkUnique(tensors);
  const groups = groupBySize(inUnits(tensors, params.together), maxShardSize);
  const shards = groups.map((group, i) => ({
    fileName:
      groups.length === 1
        ? `${baseName}.safetensors`
        : `${baseName}-${fiveDigits(i + 1)}-of-${fiveDigits(groups.length)}.safetensors`,
    layout: planSafetensors({ tensors: group, ...(metadata === undefined ? {} : { metadata }) }),
  }));
  if (shards.length === 1) return { shards, index: undefined };
  return {
    shards,
    index: { fileName: `${baseName}.safetensors.index.json`, bytes: indexOf(shards, indexMetadata) },
  };
}

function fiveDigits(value: number): string {
  return String(value).padStart(5, "0");
}

/** Tensors of different shards must differ in name too. */
function checkUnique(tensors: readonly TensorInfo[]): void {
  const names = new Set<string>();
  for (const { name } of tensors) {
    if (names.has(name)) {
      throw new QuernError("SAFETENSORS_DUPLICATE_TENSOR", `two tensors are called ${JSON.stringify(name)}`, {
        subject: { tensor: name },
      });
    }
    names.add(name);
  }
}

/** Neighbours that belong together; other tensors are alone. */
function inUnits(
  tensors: readonly TensorInfo[],
  together: (name: string) => string | undefined = () => undefined,
): TensorInfo[][] {
  const units: TensorInfo[][] = [];
  let last: string | undefined;
  for (const tensor of tensors) {
    const group = together(tensor.name);
    if (group !== undefined && group === last) units.at(-1)!.push(tensor);
    else units.push([tensor]);
    last = group;
  }
  return units;
}

function groupBySize(units: readonly (readonly TensorInfo[])[], maxShardSize: number): TensorInfo[][] {
  const groups: TensorInfo[][] = [];
  let current: TensorInfo[] = [];
  let currentSize = 0;
  for (const unit of units) {
    const size = unit.reduce((total, tensor) => total + byteSize(tensor, { tensor: tensor.name }), 0);
    if (size > maxShardSize) {
      groups.push([...unit]);
      continue;
    }
    if (currentSize + size > maxShardSize) {
      groups.push(current);
      current = [];
      currentSize = 0;
    }
    current.push(...unit);
    currentSize += size;
  }
  if (current.length > 0 || groups.length === 0) groups.push(current);
  return groups;
}

/** As `json.dumps(index, indent=2, sort_keys=True)` lays it out, which is how transformers writes it. */
function indexOf(shards: readonly SafetensorsShard[], extra: Readonly<Record<string, unknown>>): Uint8Array {
  const entries: [name: string, fileName: string][] = [];
  let totalSize = 0;
  for (const { fileName, layout } of shards) {
    for (const [name, { size }] of layout.tensors) {
      entries.push([name, fileName]);
      totalSize += size;
    }
  }
  entries.sort(([a], [b]) => compareCodePoints(a, b));
  const index = {
    metadata: { ...extra, total_size: totalSize },
    weight_map: Object.fromEntries(entries),
  };
  return new TextEncoder().encode(`${JSON.stringify(index, undefined, 2)}\n`);
}
