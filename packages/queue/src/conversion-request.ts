import {
  ggufArray,
  type GgufArrayValue,
  type GgufScalar,
  ggufScalar,
  type GgufScalarType,
  type GgufValue,
} from "@quern/gguf";
import type { OutputRequest } from "@quern/pipeline";
import { z } from "zod";
import { type SharedModel, sharedModel } from "./shared-model.ts";
import { sharedPath, type SharedPath } from "./shared-path.ts";

/** A value of the metadata. Numbers are text: JSON has none for NaN, nor for integers of 64 bits. */
type PlainValue =
  | { readonly type: GgufScalarType; readonly value: string | boolean }
  | {
      readonly type: "array";
      readonly elements: GgufScalarType;
      readonly values: readonly (string | boolean)[];
    }
  | { readonly type: "array"; readonly elements: "array"; readonly values: readonly PlainValue[] };

type Plain<T> = { readonly [Key in keyof T]: T[Key] | undefined };

/** An output as other machines are told it. */
export interface SharedOutput extends Plain<Omit<OutputRequest, "type" | "path" | "metadata" | "split">> {
  readonly type: string;
  readonly path?: SharedPath | undefined;
  readonly metadata?: readonly (readonly [string, PlainValue])[] | undefined;
  readonly split?: SharedSplit | undefined;
}

type SharedSplit =
  | { readonly maxTensors: number; readonly firstWithoutTensors?: boolean | undefined }
  | { readonly maxBytes: number; readonly firstWithoutTensors?: boolean | undefined }
  | { readonly fileOf: readonly (readonly [string, number])[] };

/** What GGUF files are asked for, so that other machines can plan the same: plain data that refers to files. */
export interface ConversionRequest {
  readonly container: "gguf";
  readonly model: SharedModel;
  /** At least one. */
  readonly outputs: readonly SharedOutput[];
  /** Of outputs without a path. */
  readonly directory: SharedPath;
  readonly measureErrors: boolean;
  readonly importance?:
    | {
        readonly path: SharedPath;
        /** What files that are made call it. */
        readonly name: string;
        readonly include?: readonly string[] | undefined;
        readonly exclude?: readonly string[] | undefined;
      }
    | undefined;
  readonly preTokenizer?: string | undefined;
  /** How layers are rounded by what is known of their inputs. */
  readonly rounding?:
    | {
        readonly method: SharedMember;
        readonly transforms?: readonly SharedMember[] | undefined;
        readonly statistics: SharedPath;
      }
    | undefined;
}

/** A member of an axis; with its own options. */
interface SharedMember {
  readonly name: string;
}

const sharedMember: z.ZodType<SharedMember> = z.strictObject({ name: z.string() });

const scalarType = z.enum([
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "uint64",
  "int64",
  "float32",
  "float64",
  "bool",
  "string",
]);

const plainScalars = z.union([z.string(), z.boolean()]);

const plainValue: z.ZodType<PlainValue> = z.lazy(() =>
  z.union([
    z.strictObject({ type: scalarType, value: plainScalars }),
    z.strictObject({ type: z.literal("array"), elements: scalarType, values: z.array(plainScalars) }),
    z.strictObject({ type: z.literal("array"), elements: z.literal("array"), values: z.array(plainValue) }),
  ]),
);

const firstWithoutTensors = z.boolean().optional();

const sharedOutput: z.ZodType<SharedOutput> = z.strictObject({
  type: z.string(),
  path: sharedPath.optional(),
  flavour: z.enum(["converter", "quantizer"]).optional(),
  intermediate: z.enum(["auto", "F32", "F16", "BF16"]).optional(),
  pure: z.boolean().optional(),
  leaveOutputTensor: z.boolean().optional(),
  outputTensorType: z.string().optional(),
  tokenEmbeddingType: z.string().optional(),
  tensorTypes: z.array(z.strictObject({ pattern: z.string(), type: z.string() })).optional(),
  allowRequantize: z.boolean().optional(),
  pruneLayers: z.array(z.number()).optional(),
  keepSplit: z.boolean().optional(),
  metadata: z.array(z.tuple([z.string(), plainValue])).optional(),
  split: z
    .union([
      z.strictObject({ maxTensors: z.number(), firstWithoutTensors }),
      z.strictObject({ maxBytes: z.number(), firstWithoutTensors }),
      z.strictObject({ fileOf: z.array(z.tuple([z.string(), z.number()])) }),
    ])
    .optional(),
});

export const conversionRequest: z.ZodType<ConversionRequest> = z.strictObject({
  container: z.literal("gguf"),
  model: sharedModel,
  outputs: z.array(sharedOutput).min(1),
  directory: sharedPath,
  measureErrors: z.boolean(),
  importance: z
    .strictObject({
      path: sharedPath,
      name: z.string(),
      include: z.array(z.string()).optional(),
      exclude: z.array(z.string()).optional(),
    })
    .optional(),
  preTokenizer: z.string().optional(),
  rounding: z
    .strictObject({
      method: sharedMember,
      transforms: z.array(sharedMember).optional(),
      statistics: sharedPath,
    })
    .optional(),
});

/** Tells other machines of an output. @param share How they are told paths. */
export function shareOutput(
  { path, metadata, split, ...rest }: OutputRequest,
  share: (path: string) => SharedPath,
): SharedOutput {
  return {
    ...rest,
    ...(path !== undefined && { path: share(path) }),
    ...(metadata && { metadata: Array.from(metadata, ([key, value]) => [key, toPlain(value)] as const) }),
    ...(split && { split: "fileOf" in split ? { fileOf: [...split.fileOf] } : split }),
  };
}

/** The output that {@link shareOutput} has told of. @param locate Where paths are on this machine. */
export function requestedOutput(
  { path, metadata, split, ...rest }: SharedOutput,
  locate: (path: SharedPath) => string,
): OutputRequest {
  return {
    ...rest,
    ...(path && { path: locate(path) }),
    ...(metadata && { metadata: new Map(metadata.map(([key, value]) => [key, fromPlain(value)])) }),
    ...(split && { split: "fileOf" in split ? { fileOf: new Map(split.fileOf) } : split }),
  } as OutputRequest;
}

function toPlain(value: GgufValue): PlainValue {
  if (value.type !== "array") return { type: value.type, value: plainScalar(value.value) };
  const { elements } = value;
  if (elements === "array") {
    return {
      type: "array",
      elements,
      values: Array.from(value, (inner) => toPlain(inner as GgufArrayValue)),
    };
  }
  return {
    type: "array",
    elements,
    values: Array.from(value, (scalar) => plainScalar(scalar as GgufScalar)),
  };
}

function fromPlain(plain: PlainValue): GgufValue {
  if (plain.type !== "array") return ggufScalar(plain.type, scalarOf(plain.type, plain.value));
  if (plain.elements === "array") {
    return ggufArray(
      "array",
      plain.values.map((value) => fromPlain(value) as GgufArrayValue),
    );
  }
  const { elements } = plain;
  return ggufArray(
    elements,
    plain.values.map((value) => scalarOf(elements, value)),
  );
}

function plainScalar(value: GgufScalar): string | boolean {
  if (typeof value === "boolean" || typeof value === "string") return value;
  return Object.is(value, -0) ? "-0" : String(value);
}

function scalarOf(type: GgufScalarType, plain: string | boolean): GgufScalar {
  if (type === "string" || typeof plain === "boolean") return plain;
  return type === "uint64" || type === "int64" ? BigInt(plain) : Number(plain);
}
