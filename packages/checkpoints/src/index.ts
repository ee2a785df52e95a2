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
export {
  checkLayer,
  dequantize,
  FORMATS,
  formatOf,
  layerTensors,
  packLayer,
  unpackLayer,
} from "./formats/index.ts";
export type {
  Layer,
  LayerConstants,
  LayerParameters,
  LayerTensor,
  MatrixForm,
  Part,
  PartBytes,
  QuantizedFormat,
  Range,
  Window,
} from "./formats/index.ts";
export type { GgufModel, GgufModelTensor } from "./gguf-model.ts";
export { describeQuantization, quantizationOf } from "./reading/describe-quantization.ts";
export type { QuantizedCheckpoint, QuantizedLayer } from "./reading/describe-quantization.ts";
export type { QuantizedInputs } from "./reading/quantized-inputs.ts";
export type { LayerStack } from "./writing/stacked-layers.ts";
export { planQuantizedCheckpoint } from "./writing/plan-quantized-checkpoint.ts";
export type { QuantizedCheckpointPlan, TensorOrigin } from "./writing/plan-quantized-checkpoint.ts";
export type { PlannedLayer } from "./writing/quantized-model.ts";
