import { crc32 } from "node:zlib";
import type { Kernels } from "@quern/kernels";
import { evaluateRows, type TensorReader } from "@quern/models/expressions";
import { checkCopied } from "./check-copied.ts";
import type { LaneBuffers } from "./lane-buffers.ts";
import { type HessianReader, matricesOf, measureOutputs } from "./measure-outputs.ts";
import type { MeasuredRows, OutputRows, Slab, SlabConversion, SlabResult } from "./slab.ts";
import { weightError } from "./weight-error.ts";

/** Receives finished rows. */
export type SlabWriter = (file: number, bytes: Uint8Array, offset: number) => Promise<void>;

/**
 * Reads and evaluates the rows of a slab once, converts them for every output, and writes them.
 *
 * @throws QuernError `WEIGHT_NOT_FINITE`, `WEIGHT_OVERFLOWS`, and what reading and writing throw
 */
export async function processSlab(params: {
  slab: Slab;
  reader: TensorReader;
  kernels: Kernels;
  buffers: LaneBuffers;
  write: SlabWriter;
  /** For slabs that name a Hessian. */
  readHessian?: HessianReader;
}): Promise<SlabResult> {
  const { slab, kernels, buffers, write } = params;
  const started = performance.now();
  let allocated = 0;
  let read = 0;
  const reading = async <Bytes>(bytes: Promise<Bytes>): Promise<Bytes> => {
    const asked = performance.now();
    try {
      return await bytes;
    } finally {
      read += performance.now() - asked;
    }
  };
  const source = await evaluateRows(slab.expression, {
    reader: {
      info: (name) => params.reader.info(name),
      readRows: (name, start, count) => reading(params.reader.readRows(name, start, count)),
    },
    firstRow: slab.firstRow,
    rows: slab.rows,
    allocate: (size) => buffers.take(`rearranged ${allocated++}`, size),
  });
  const evaluated = performance.now();
  const readForRows = read;
  const writes: Promise<void>[] = [];
  const errors: MeasuredRows[] = [];
  const checksums: number[] = [];
  const measured = new Map<number, Uint8Array>();
  let outputs: readonly OutputRows[] = [];
  let measuring = 0;
  let bytesWritten = 0;
  let handedOver = evaluated;
  try {
    for (const [index, conversion] of slab.conversions.entries()) {
      if (conversion.packed) checkCopied({ slab, source, kernels });
      const converted = conversion.packed
        ? source
        : convertRows({ slab, conversion, index, source, kernels, buffers });
      if (conversion.measured) {
        const asked = performance.now();
        errors.push(...measureRows({ slab, conversion, index, source, converted, kernels }));
        measuring += performance.now() - asked;
        measured.set(index, converted);
      }
      checksums.push(crc32(converted));
      for (const { file, offset } of conversion.targets) {
        writes.push(write(file, converted, offset + slab.firstRow * conversion.rowSize));
        bytesWritten += converted.byteLength;
      }
    }
    if (slab.hessian !== undefined && measured.size > 0) {
      const asked = performance.now();
      outputs = await measureOutputs({
        slab,
        module: slab.hessian,
        source,
        converted: measured,
        readHessian: (request) => reading(params.readHessian!(request)),
        kernels,
        buffers,
      });
      measuring += performance.now() - asked - (read - readForRows);
    }
    handedOver = performance.now();
  } finally {
    // Whatever fails, no buffer may still be in use, and no file.
    await Promise.allSettled(writes);
  }
  await Promise.all(writes);
  const times = {
    read,
    convert: Math.max(0, evaluated - started - readForRows),
    quantize: handedOver - evaluated - measuring - (read - readForRows),
    measure: measuring,
    write: performance.now() - handedOver,
  };
  return { bytesWritten, checksums, errors, outputs, times };
}

/** Rows of `slab` as `conversion.type`, in a buffer of the lane. */
function convertRows(params: {
  slab: Slab;
  conversion: SlabConversion;
  index: number;
  source: Uint8Array;
  kernels: Kernels;
  buffers: LaneBuffers;
}): Uint8Array {
  const { slab, conversion, index, kernels, buffers } = params;
  const { rows } = slab;
  let { source } = params;
  let sourceType = slab.weightType;
  if (conversion.via !== undefined) {
    const { type, rowSize } = conversion.via;
    const rounded = buffers.take(`via ${index}`, rows * rowSize);
    const bad = kernels.quantize({ type, sourceType, source, target: rounded, rows, columns: slab.columns });
    if (bad !== undefined) throw weightError({ slab, type, passing: true, ...bad });
    source = rounded;
    sourceType = type;
  }
  const target = buffers.take(`target ${index}`, rows * conversion.rowSize);
  const sourceRowSize = source.byteLength / rows;
  for (const { start, count, importance } of rowGroups(slab, conversion)) {
    const bad = kernels.quantize({
      type: conversion.type,
      sourceType,
      source: source.subarray(start * sourceRowSize, (start + count) * sourceRowSize),
      target: target.subarray(start * conversion.rowSize, (start + count) * conversion.rowSize),
      rows: count,
      columns: slab.columns,
      ...(importance === undefined ? {} : { importance }),
    });
    if (bad !== undefined) {
      const { fault, index } = bad;
      const { type } = conversion;
      throw weightError({ slab, type, passing: false, fault, index: start * slab.columns + index });
    }
  }
  return target;
}

/** What a conversion did to the rows of a slab, against the weights as they came. */
function* measureRows(params: {
  slab: Slab;
  conversion: SlabConversion;
  index: number;
  source: Uint8Array;
  converted: Uint8Array;
  kernels: Kernels;
}): Generator<MeasuredRows> {
  const { slab, conversion, index, source, converted, kernels } = params;
  const { weightType: sourceType, columns, rows } = slab;
  const { type, rowSize } = conversion;
  const sourceRowSize = source.byteLength / rows;
  for (const { start, count, importance } of rowGroups(slab, conversion)) {
    const errors = kernels.measureError({
      sourceType,
      source: source.subarray(start * sourceRowSize, (start + count) * sourceRowSize),
      type,
      quantized: converted.subarray(start * rowSize, (start + count) * rowSize),
      rows: count,
      columns,
      importance,
    });
    yield { conversion: index, firstRow: slab.firstRow + start, errors };
  }
}

/** Runs of rows that share their importance weights: each matrix of merged experts has its own. */
function* rowGroups(
  slab: Slab,
  { importance }: SlabConversion,
): Generator<{ start: number; count: number; importance?: Float32Array }> {
  if (importance === undefined) {
    yield { start: 0, count: slab.rows };
    return;
  }
  const { columns, matrixRows, firstRow } = slab;
  const first = Math.floor(firstRow / matrixRows);
  for (const { matrix, start, count } of matricesOf(slab)) {
    const from = (matrix - first) * columns;
    yield { start, count, importance: importance.subarray(from, from + columns) };
  }
}
