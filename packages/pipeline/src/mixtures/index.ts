export { findMixture, MIXTURES } from "./registry.ts";
export { selectQuantizedTypes } from "./select-types.ts";
export type { SelectionParams } from "./select-types.ts";
export type { TypeOverrides } from "./type-overrides.ts";
export { quantizedTensorOrder } from "./tensor-order.ts";
export { quantizedMetadata } from "./quantized-metadata.ts";
export type { ImportanceSummary } from "./quantized-metadata.ts";
export { STORAGE_FORMATS, storageFormat, storageType } from "./storage-type.ts";
export type { StorageFormat } from "./storage-type.ts";
