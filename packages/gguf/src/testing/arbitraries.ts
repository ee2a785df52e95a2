import * as fc from "fast-check";
import type { GgufElement } from "../codec/codec.ts";
import type { GgufTensorSpec } from "../layout.ts";
import type { GgufMetadata, GgufScalar, GgufScalarType, GgufValue } from "../value.ts";
import { GGML_TYPES } from "../ggml-type.ts";
import { ggufArray, ggufScalar } from "../values.ts";

const wellFormed = fc.string({ unit: "binary", maxLength: 20 });

const SCALARS: Readonly<Record<GgufScalarType, fc.Arbitrary<GgufScalar>>> = {
  uint8: fc.integer({ min: 0, max: 255 }),
  int8: fc.integer({ min: -128, max: 127 }),
  uint16: fc.integer({ min: 0, max: 65_535 }),
  int16: fc.integer({ min: -32_768, max: 32_767 }),
  uint32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  int32: fc.integer(),
  uint64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  float32: fc.float(),
  float64: fc.double(),
  bool: fc.boolean(),
  string: wellFormed,
};

const scalarType = fc.constantFrom(...(Object.keys(SCALARS) as GgufScalarType[]));

const scalarArray = scalarType.chain((type) =>
  fc.array(SCALARS[type], { maxLength: 8 }).map((values) => ggufArray(type, values)),
);

const nestedArray = fc.array(scalarArray, { maxLength: 4 }).map((arrays) => ggufArray("array", arrays));

const scalar: fc.Arbitrary<GgufValue> = scalarType.chain((type) =>
  SCALARS[type].map((value) => ggufScalar(type, value)),
);

const key = fc
  .stringMatching(/^[a-z0-9_]{1,8}(\.[a-z0-9_]{1,8}){0,2}$/)
  .filter((name) => name !== "general.alignment");

function metadataOf(value: fc.Arbitrary<GgufValue>): fc.Arbitrary<GgufMetadata> {
  return fc
    .uniqueArray(fc.tuple(key, value), { maxLength: 8, selector: ([name]) => name })
    .map((pairs) => new Map(pairs));
}

/** Metadata of every type, arrays of arrays included. */
export const anyMetadata: fc.Arbitrary<GgufMetadata> = metadataOf(fc.oneof(scalar, scalarArray, nestedArray));

/** Metadata that ggml reads: no arrays of arrays. */
export const flatMetadata: fc.Arbitrary<GgufMetadata> = metadataOf(fc.oneof(scalar, scalarArray));

/** Small tensors of every type. The last dimension is above 1: ggml's own writer drops dimensions of 1 at the end. */
export const tensorSpecs: fc.Arbitrary<GgufTensorSpec[]> = fc.uniqueArray(
  fc
    .record({
      name: fc.stringMatching(/^[a-z0-9._]{1,40}$/),
      type: fc.constantFrom(...GGML_TYPES.map(({ name }) => name)),
      blocks: fc.integer({ min: 1, max: 2 }),
      rest: fc.array(fc.integer({ min: 2, max: 3 }), { maxLength: 3 }),
    })
    .map(({ name, type, blocks, rest }) => {
      const blockSize = GGML_TYPES.find((row) => row.name === type)?.blockSize ?? 1;
      return { name, type, ne: [blocks * blockSize, ...rest] };
    }),
  { maxLength: 6, selector: ({ name }) => name },
);

/** Plain data of metadata, to compare. */
export function plain(metadata: GgufMetadata): unknown {
  const element = (value: GgufElement): unknown =>
    typeof value === "object" ? { elements: value.elements, values: [...value].map(element) } : value;
  return [...metadata].map(([name, value]) => [
    name,
    value.type,
    element(value.type === "array" ? value : value.value),
  ]);
}
