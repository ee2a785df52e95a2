import type { ModelTensor } from "@quern/models";
import type { ElementType, TensorInfo } from "@quern/tensor";

/** Floating-point ggml types that an unquantized file can have. */
export type FloatType = "F32" | "F16" | "BF16";

/** Whether kernels read and write elements of this ggml type, checking each. */
export function isFloatType(type: string): type is FloatType {
  return Object.hasOwn(HELD, type);
}

/**
 * What the converter takes for `--outtype auto`: the type of the first matrix that is F16 or BF16; F16 when there is none
 * (llama.cpp v0.5.0: conversion/base.py, `ModelBase.__init__`).
 */
export function converterAutoType(tensors: Iterable<TensorInfo>): FloatType {
  for (const { type, shape } of tensors) {
    if (shape.length >= 2 && (type === "F16" || type === "BF16")) return type;
  }
  return "F16";
}

/** The narrowest type that holds all matrices of a model without rounding any. */
export function losslessFloatType(tensors: readonly ModelTensor[]): FloatType {
  const matrices = tensors.filter(({ storage }) => storage === "follow");
  const fits = (type: FloatType): boolean => matrices.every(({ sourceType }) => holds(type, sourceType));
  return (["BF16", "F16"] as const).find(fits) ?? "F32";
}

/** Whether `type` holds every value of an element type as it is. */
export function holds(type: string, sourceType: ElementType): boolean {
  return HELD[type]?.includes(sourceType) ?? false;
}

const F8: readonly ElementType[] = ["F8_E4M3", "F8_E5M2"];
const HELD: Readonly<Record<string, readonly ElementType[]>> = {
  F32: ["F32", "F16", "BF16", ...F8],
  F16: ["F16", ...F8],
  BF16: ["BF16", ...F8],
};
