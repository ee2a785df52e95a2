export type {
  GgufArrayValue,
  GgufMetadata,
  GgufScalar,
  GgufScalarType,
  GgufScalarValue,
  GgufValue,
  GgufValueType,
} from "./value.ts";
export type { GgufLayout, GgufPlacedTensor, GgufTensorSpec } from "./layout.ts";
export type { GgufElement } from "./codec/codec.ts";
export {
  ggufArray,
  ggufBool,
  ggufFloat32,
  ggufFloat64,
  ggufInt16,
  ggufInt32,
  ggufInt64,
  ggufInt8,
  ggufScalar,
  ggufString,
  ggufUint16,
  ggufUint32,
  ggufUint64,
  ggufUint8,
} from "./values.ts";
export { GGML_TYPES, ggmlType, ggmlTypeById, isGgmlType, rowSize, tensorSize } from "./ggml-type.ts";
export type { GgmlType } from "./ggml-type.ts";
export { readGguf } from "./read/gguf-file.ts";
export type { GgufFile, GgufTensors } from "./read/gguf-file.ts";
export type { TensorRows } from "./read/tensor-data.ts";
export { planGguf } from "./write/plan-gguf.ts";
export { editGgufMetadata } from "./edit/edit-metadata.ts";
export type { GgufChange, GgufEdit } from "./edit/edit-metadata.ts";
export { planGgufEdit, planGgufHeaderInPlace } from "./edit/plan-edit.ts";
export { ggufFileName } from "./file-name.ts";
export { parseSplitFileName, splitFileName, splitPrefix } from "./split/split-name.ts";
export type { SplitFileName } from "./split/split-name.ts";
export type { GgufDivision } from "./split/division.ts";
export { planGgufMerge } from "./split/plan-merge.ts";
export { planGgufSplits } from "./split/plan-splits.ts";
export { readGgufSet } from "./split/gguf-set.ts";
export type { GgufSet, GgufSetTensor } from "./split/gguf-set.ts";
export { withoutSplitKeys } from "./split/split-keys.ts";
