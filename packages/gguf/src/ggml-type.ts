import { QuernError } from "@quern/tensor";

/** How a ggml tensor type lays out its elements. */
export interface GgmlType {
  /** Number in files (ggml.h, `enum ggml_type`). */
  readonly id: number;
  /** Name as ggml spells it, in upper case. */
  readonly name: string;
  /** Elements of one block; a row holds a whole number of blocks. */
  readonly blockSize: number;
  /** Bytes of one block. */
  readonly typeSize: number;
}

type Row = readonly [id: number, name: string, blockSize: number, typeSize: number];

// Source: ggml.h `enum ggml_type`, ggml.c `type_traits`, block structs in ggml-common.h (llama.cpp v0.5.0).
const ROWS: readonly Row[] = [
  [0, "F32", 1, 4],
  [1, "F16", 1, 2],
  [2, "Q4_0", 32, 18],
  [3, "Q4_1", 32, 20],
  [6, "Q5_0", 32, 22],
  [7, "Q5_1", 32, 24],
  [8, "Q8_0", 32, 34],
  [9, "Q8_1", 32, 36],
  [10, "Q2_K", 256, 84],
  [11, "Q3_K", 256, 110],
  [12, "Q4_K", 256, 144],
  [13, "Q5_K", 256, 176],
  [14, "Q6_K", 256, 210],
  [15, "Q8_K", 256, 292],
  [16, "IQ2_XXS", 256, 66],
  [17, "IQ2_XS", 256, 74],
  [18, "IQ3_XXS", 256, 98],
  [19, "IQ1_S", 256, 50],
  [20, "IQ4_NL", 32, 18],
  [21, "IQ3_S", 256, 110],
  [22, "IQ2_S", 256, 82],
  [23, "IQ4_XS", 256, 136],
  [24, "I8", 1, 1],
  [25, "I16", 1, 2],
  [26, "I32", 1, 4],
  [27, "I64", 1, 8],
  [28, "F64", 1, 8],
  [29, "IQ1_M", 256, 56],
  [30, "BF16", 1, 2],
  [34, "TQ1_0", 256, 54],
  [35, "TQ2_0", 256, 66],
  [39, "MXFP4", 32, 17],
  [40, "NVFP4", 64, 36],
  [41, "Q1_0", 128, 18],
  [42, "Q2_0", 64, 18],
];

/** Types that ggml once had and no longer reads, by id (ggml.h). */
const REMOVED: ReadonlyMap<number, string> = new Map([
  [4, "Q4_2"],
  [5, "Q4_3"],
  [31, "Q4_0_4_4"],
  [32, "Q4_0_4_8"],
  [33, "Q4_0_8_8"],
  [36, "IQ4_NL_4_4"],
  [37, "IQ4_NL_4_8"],
  [38, "IQ4_NL_8_8"],
]);

/** Every tensor type of ggml, in the order of the ids. */
export const GGML_TYPES: readonly GgmlType[] = ROWS.map(([id, name, blockSize, typeSize]) =>
  Object.freeze({ id, name, blockSize, typeSize }),
);

const BY_NAME: ReadonlyMap<string, GgmlType> = new Map(GGML_TYPES.map((type) => [type.name, type]));
const BY_ID: ReadonlyMap<number, GgmlType> = new Map(GGML_TYPES.map((type) => [type.id, type]));

/** Whether `name` is the name of a ggml type in upper case: "Q4_K". */
export function isGgmlType(name: string): boolean {
  return BY_NAME.has(name);
}

/**
 * The type called `name`, in upper case: "Q4_K".
 *
 * @throws QuernError `GGML_TYPE_UNKNOWN`
 */
export function ggmlType(name: string): GgmlType {
  const type = BY_NAME.get(name);
  if (type !== undefined) return type;
  throw new QuernError(
    "GGML_TYPE_UNKNOWN",
    `unknown ggml type "${name}": expected one of ${[...BY_NAME.keys()].join(", ")}`,
  );
}

/**
 * The type with this number in files.
 *
 * @throws QuernError `GGML_TYPE_UNKNOWN`, which tells removed types from unknown ones.
 */
export function ggmlTypeById(id: number): GgmlType {
  const type = BY_ID.get(id);
  if (type !== undefined) return type;
  const removed = REMOVED.get(id);
  throw new QuernError(
    "GGML_TYPE_UNKNOWN",
    removed === undefined
      ? `unknown ggml type ${id}`
      : `ggml type ${id} (${removed}) has been removed from ggml and is no longer read`,
  );
}

/**
 * Bytes of a row of `columns` elements.
 *
 * @param type A type or its name.
 * @throws QuernError `GGML_TYPE_UNKNOWN`, or `GGML_ROW_INVALID` when `columns` is not a whole number of blocks.
 */
export function rowSize(type: GgmlType | string, columns: number): number {
  const { name, blockSize, typeSize } = typeof type === "string" ? ggmlType(type) : type;
  const blocks = columns / blockSize;
  if (Number.isSafeInteger(blocks) && blocks >= 0) return blocks * typeSize;
  throw new QuernError(
    "GGML_ROW_INVALID",
    `${columns} columns cannot be ${name}: expected a multiple of ${blockSize}`,
  );
}

/**
 * Bytes of a tensor without padding.
 *
 * @param type A type or its name.
 * @param ne ggml order: the contiguous dimension first.
 * @throws QuernError as {@link rowSize}; `GGML_SHAPE_INVALID` when a dimension is not an integer of 0 or more, or the tensor
 * has 2^53 elements or bytes, or more.
 */
export function tensorSize(type: GgmlType | string, ne: readonly number[]): number {
  let elements = 1;
  for (const dimension of ne) {
    elements *= dimension;
    if (!Number.isSafeInteger(dimension) || dimension < 0 || !Number.isSafeInteger(elements))
      throw shapeError(ne);
  }
  const [columns = 1, ...rest] = ne;
  const size = rest.reduce((product, dimension) => product * dimension, rowSize(type, columns));
  if (!Number.isSafeInteger(size)) throw shapeError(ne);
  return size;
}

function shapeError(ne: readonly number[]): QuernError {
  return new QuernError(
    "GGML_SHAPE_INVALID",
    `shape [${ne.join(", ")}]: expected integers of 0 or more and fewer than 2^53 elements and bytes`,
  );
}
