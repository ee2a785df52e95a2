export type {
  Checkpoint,
  CheckpointFileSet,
  CheckpointShard,
  CheckpointTensor,
  LocalFileLocation,
  ShardLocation,
} from "./checkpoint.ts";
export { compatibility, LOADERS, modelCompatibility } from "./compatibility/compatibility.ts";
export type { Loader } from "./compatibility/loader-rules.ts";
export { dequantize } from "./formats/dequantize.ts";
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
} from "./formats/format.ts";
export { checkLayer, layerTensors, packLayer, unpackLayer } from "./formats/layer.ts";
export type { LayerTensor } from "./formats/layer.ts";
export { FORMATS, formatOf } from "./formats/registry.ts";
export type { GgufModel, GgufModelTensor } from "./gguf-model.ts";
export { describeQuantization, quantizationOf } from "./reading/describe-quantization.ts";
export type { QuantizedCheckpoint, QuantizedLayer } from "./reading/describe-quantization.ts";
export { planQuantizedCheckpoint } from "./writing/plan-quantized-checkpoint.ts";
export type { QuantizedCheckpointPlan, TensorOrigin } from "./writing/plan-quantized-checkpoint.ts";
export type { PlannedLayer } from "./writing/quantized-model.ts";
