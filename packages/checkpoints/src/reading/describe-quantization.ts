import { elementCount, QuernError, type TensorInfo } from "@quern/tensor";
import type { Layer, Part } from "../formats/format.ts";
import { checkLayer } from "../formats/layer.ts";
import { formatOf } from "../formats/registry.ts";
import {
  isJsonObject,
  type JsonObject,
  ModuleTensors,
  type QuantizationReader,
  unknownQuantization,
} from "./quantization-reader.ts";
import type { QuantizedInputs } from "./quantized-inputs.ts";
import { READERS } from "./readers.ts";

/** A linear layer that a checkpoint holds quantized. */
export interface QuantizedLayer {
  /** Name in the checkpoint without what follows it. */
  readonly module: string;
  /** The weight that it dequantizes to: as the checkpoint would hold it unquantized, in F32. */
  readonly weight: TensorInfo;
  /** Name of the format. */
  readonly format: string;
  readonly layer: Layer;
  /** Tensors to unpack it from, in the order of the format's parts. */
  readonly parts: readonly { readonly suffix: string; readonly name: string }[];
  /** How its inputs are quantized when the model runs. @default not at all */
  readonly inputs?: QuantizedInputs;
}

/** What is quantized in a checkpoint. */
export interface QuantizedCheckpoint {
  /** `quant_method` of config.json, "mlx" for MLX. */
  readonly method: string;
  /** In the order of the checkpoint. */
  readonly layers: readonly QuantizedLayer[];
  /** Names of all tensors that quantized layers consist of. */
  readonly consumed: ReadonlySet<string>;
}

/** The quantization that config.json speaks of; undefined when it speaks of none. */
export function quantizationOf(
  config: JsonObject,
): { readonly method: string; readonly settings: JsonObject } | undefined {
  const text = config["text_config"];
  for (const object of [config, ...(isJsonObject(text) ? [text] : [])]) {
    const settings = object["quantization_config"];
    const method = isJsonObject(settings) ? settings["quant_method"] : undefined;
    if (isJsonObject(settings) && typeof method === "string") return { method, settings };
    const mlx = object["quantization"] ?? settings;
    if (isJsonObject(mlx)) return { method: "mlx", settings: mlx };
  }
  return undefined;
}

/**
 * Finds the quantized layers of a checkpoint, from names, shapes and config.json; where these do not tell (bitsandbytes,
 * pack-quantized), a tensor of some bytes is read for each layer.
 *
 * @param params.config All of config.json.
 * @param params.readTensor Bytes of a small tensor.
 * @returns undefined when the checkpoint is not quantized
 * @throws QuernError `CHECKPOINT_QUANTIZATION_UNKNOWN` for a method that cannot be read, `CHECKPOINT_QUANTIZATION_INVALID` for layers
 * that lack a tensor or whose shapes and types do not fit together, `FORMAT_PARTS_INVALID`, and what `readTensor` throws
 */
export async function describeQuantization(params: {
  config: JsonObject;
  tensors: ReadonlyMap<string, TensorInfo>;
  readTensor: (name: string) => Promise<Uint8Array>;
}): Promise<QuantizedCheckpoint | undefined> {
  const { config, tensors, readTensor } = params;
  const quantization = quantizationOf(config);
  if (quantization === undefined) return undefined;
  const { method, settings } = quantization;
  const reader = READERS.find((known) => known.method === method);
  if (reader === undefined) {
    throw unknownQuantization("quant_method", method, READERS.map((known) => known.method).join(", "));
  }
  const layers: QuantizedLayer[] = [];
  const consumed = new Set<string>();
  for (const module of quantizedModules(reader, tensors)) {
    const own = new ModuleTensors({ module, tensors, read: readTensor });
    const described = await reader.describe(own, settings);
    const format = formatOf(described.format);
    checkDescribed(own, () => checkLayer(format, described.layer, module));
    const parts = format.parts(described.layer);
    for (const part of parts) if (!part.informative) checkPart(own, part, described.leading?.length ?? 0);
    for (const { suffix } of parts) consumed.add(module + suffix);
    for (const suffix of reader.companions) consumed.add(module + suffix);
    const { rows, columns } = described.layer;
    const leading = described.leading ?? [];
    layers.push({
      module,
      weight: {
        name: module + (reader.weight ?? ".weight"),
        type: "F32",
        shape: [...leading, rows / elementCount(leading), columns],
      },
      format: described.format,
      layer: described.layer,
      parts: parts
        .filter(({ informative }) => !informative)
        .map(({ suffix }) => ({ suffix, name: module + suffix })),
      ...(described.inputs === undefined ? {} : { inputs: described.inputs }),
    });
  }
  return { method, layers, consumed: new Set([...consumed].filter((name) => tensors.has(name))) };
}

function quantizedModules(
  { markers }: QuantizationReader,
  tensors: ReadonlyMap<string, TensorInfo>,
): Set<string> {
  const modules = new Set<string>();
  for (const name of tensors.keys()) {
    const marker = markers.find((suffix) => name.endsWith(suffix));
    if (marker !== undefined) modules.add(name.slice(0, -marker.length));
  }
  return modules;
}

/** Dimensions of stacked experts count as rows. */
function checkPart(module: ModuleTensors, { suffix, type, shape }: Part, leading: number): void {
  const tensor = module.need(suffix, shape.length + leading);
  const [rows, ...rest] = shape;
  const folded = [elementCount(tensor.shape.slice(0, leading + 1)), ...tensor.shape.slice(leading + 1)];
  const same =
    shape.length === 0 || (folded[0] === rows && rest.every((size, axis) => folded[axis + 1] === size));
  // MLX writes words without a sign, others with one, and their bits are the same.
  const words = ["I32", "U32"];
  const sameType = tensor.type === type || (words.includes(tensor.type) && words.includes(type));
  if (same && sameType) return;
  throw module.invalid(
    `"${tensor.name}" is ${tensor.type} [${tensor.shape.join(", ")}]: expected ${type} [${shape.join(", ")}]`,
  );
}

function checkDescribed(module: ModuleTensors, check: () => void): void {
  try {
    check();
  } catch (cause) {
    throw cause instanceof QuernError ? module.invalid(cause.message) : cause;
  }
}
