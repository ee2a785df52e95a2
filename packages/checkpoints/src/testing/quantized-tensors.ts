import type { TensorInfo } from "@quern/tensor";
import { dequantize } from "../formats/dequantize.ts";
import type { LayerParameters } from "../formats/format.ts";
import { layerTensors, packLayer } from "../formats/layer.ts";
import { formatOf } from "../formats/registry.ts";
import { unpackLayer } from "../formats/layer.ts";
import { GLOBAL_SCALE, layerOf, randomMatrix } from "./random-layer.ts";

/** Tensors of a quantized checkpoint with their bytes, and the weights that they stand for. */
export interface QuantizedTensors {
  readonly tensors: Map<string, TensorInfo>;
  readonly bytes: Map<string, Uint8Array>;
  /** By name of the weight. */
  readonly weights: Map<string, Float32Array>;
}

/** Random layers of one format, module -> outputs and inputs. */
export function quantizedTensors(params: {
  format: string;
  parameters: Partial<LayerParameters>;
  modules: Readonly<Record<string, readonly [rows: number, columns: number]>>;
}): QuantizedTensors {
  const format = formatOf(params.format);
  const tensors = new Map<string, TensorInfo>();
  const bytes = new Map<string, Uint8Array>();
  const weights = new Map<string, Float32Array>();
  for (const [index, [module, [rows, columns]]] of Object.entries(params.modules).entries()) {
    const layer = layerOf(rows, columns, params.parameters);
    const matrix = randomMatrix(format, layer, index);
    const constants = { globalScale: GLOBAL_SCALE, inputScale: 1 };
    const packed = packLayer({ format, layer, matrix, constants, module });
    for (const { name, suffix, type, shape } of layerTensors(format, layer, module)) {
      tensors.set(name, { name, type, shape });
      bytes.set(name, packed.get(suffix)!);
    }
    weights.set(`${module}.weight`, dequantize(unpackLayer({ format, layer, bytes: packed, module })));
  }
  return { tensors, bytes, weights };
}
