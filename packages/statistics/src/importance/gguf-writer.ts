import {
  ggufArray,
  ggufString,
  type GgufTensorSpec,
  ggufUint32,
  type GgufValue,
  planGguf,
} from "@quern/gguf";
import { CHUNK_COUNT_KEY, CHUNK_SIZE_KEY, COUNTS_SUFFIX, DATASETS_KEY, SUMS_SUFFIX } from "./gguf-names.ts";
import { encodeFloats, type ImportanceEntry } from "./importance-file.ts";
import type { MergedImportance } from "./merge-importance.ts";
import type { ImportanceLayout } from "./importance-layout.ts";

/** As `save_imatrix` writes it (llama.cpp v0.5.0: tools/imatrix/imatrix.cpp). @throws as `planGguf` */
export function layOutGguf(importance: MergedImportance): ImportanceLayout {
  const { datasets, chunks, chunkSize, entries } = importance;
  const layout = planGguf({
    metadata: new Map<string, GgufValue>([
      ["general.type", ggufString("imatrix")],
      [DATASETS_KEY, ggufArray("string", datasets)],
      [CHUNK_COUNT_KEY, ggufUint32(chunks)],
      [CHUNK_SIZE_KEY, ggufUint32(chunkSize)],
    ]),
    tensors: entries.flatMap((entry) => specsOf(entry)),
  });
  return {
    fileSize: layout.fileSize,
    header: layout.header,
    entries: entries.length,
    async *parts() {
      for (const [index, entry] of entries.entries()) {
        const [sums, counts] = layout.tensors.slice(2 * index, 2 * index + 2);
        yield { offset: sums!.offset, bytes: encodeFloats(await importance.readSums(entry)) };
        yield { offset: counts!.offset, bytes: encodeFloats(entry.counts) };
      }
    },
  };
}

/** ggml writes no dimensions of 1 at the end. */
function specsOf({ name, length, counts }: ImportanceEntry): GgufTensorSpec[] {
  const matrices = counts.length;
  return [
    {
      name: name + SUMS_SUFFIX,
      type: "F32",
      ne: matrices === 1 ? [length] : [length / matrices, matrices],
    },
    { name: name + COUNTS_SUFFIX, type: "F32", ne: matrices === 1 ? [1] : [1, matrices] },
  ];
}
