// Formats of quantized layers by themselves: `@quern/checkpoints/formats`, for threads that evaluate tensors and read no configuration.
export { dequantize } from "./dequantize.ts";
export type {
  Layer,
  LayerConstants,
  LayerParameters,
  MatrixForm,
  Part,
  PartBytes,
  QuantizedFormat,
  Range,
  Window,
} from "./format.ts";
export { checkLayer, layerTensors, packLayer, unpackLayer } from "./layer.ts";
export type { LayerTensor } from "./layer.ts";
export { FORMATS, formatOf } from "./registry.ts";
