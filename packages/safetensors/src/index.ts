export { readSafetensors } from "./read/file.ts";
export type { SafetensorsFile } from "./read/file.ts";
export type { SafetensorsMetadata } from "./format.ts";
export { planSafetensorsShards } from "./shards/plan-shards.ts";
export type { SafetensorsShard, SafetensorsShardPlan } from "./shards/plan-shards.ts";
export { planSafetensors } from "./write/plan.ts";
export type { SafetensorsLayout, SafetensorsPlacedTensor } from "./write/plan.ts";
export { serializeSafetensors } from "./write/serialize.ts";
export type { SafetensorsTensorData } from "./write/serialize.ts";
export { readShardedSafetensors } from "./shards/sharded-file.ts";
export type { ShardedSafetensors } from "./shards/sharded-file.ts";
export { readSafetensorsIndex } from "./shards/sharded-index.ts";
export type { SafetensorsIndex } from "./shards/sharded-index.ts";
export type { SafetensorsTensor } from "./read/tensor.ts";
export {
  blobSource,
  bytesSource,
  byteSize,
  decodeElements,
  elementCount,
  ELEMENT_TYPES,
  encodeElements,
  httpRangeSource,
  isElementType,
  QuernError,
} from "@quern/tensor";
export type {
  ByteSource,
  ElementType,
  ElementTypeTraits,
  ErrorSubject,
  HttpRangeSourceParams,
  TensorInfo,
} from "@quern/tensor";
