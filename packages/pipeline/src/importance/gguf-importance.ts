import type { GgufFile, GgufMetadata, GgufPlacedTensor } from "@quern/gguf";
import { elementCount, QuernError } from "@quern/tensor";
import type { Importance } from "./importance.ts";

const SUMS = ".in_sum2";
const COUNTS = ".counts";

/**
 * Importance from an open GGUF file: tensors `<name>.in_sum2` (sums of squared inputs, `columns` by matrix) and `<name>.counts`
 * (one number of inputs by matrix), both F32. A weight is the mean; 1 where nothing was counted, as for an expert that no token
 * chose (llama.cpp v0.5.0: common/imatrix-loader.cpp, tools/quantize/quantize.cpp `load_imatrix`).
 *
 * @throws QuernError `IMPORTANCE_INVALID`
 */
export async function readGgufImportance(gguf: GgufFile): Promise<Importance> {
  const { name: file, metadata } = gguf;
  for (const key of ["imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"]) {
    if (metadata.has(key)) continue;
    throw new QuernError(
      "IMPORTANCE_INVALID",
      `${file}: the key "${key}" of an importance matrix is missing`,
      {
        subject: { file, key },
      },
    );
  }
  const names = [...gguf.tensors.keys()].flatMap((name) => {
    const suffix = [SUMS, COUNTS].find((suffix) => name.endsWith(suffix));
    return suffix === undefined ? [] : [name.slice(0, -suffix.length)];
  });
  const weights = new Map<string, Float32Array>();
  for (const name of new Set(names)) {
    const sums = await readFloats(gguf, name, SUMS);
    const counts = await readFloats(gguf, name, COUNTS);
    weights.set(name, meansOf({ file, name, sums, counts }));
  }
  if (weights.size === 0) {
    throw new QuernError("IMPORTANCE_INVALID", `${file}: there are no importance weights in it`, {
      subject: { file },
    });
  }
  return { file, datasets: datasetsOf(metadata), chunks: chunksOf(metadata), weights };
}

function meansOf(params: {
  file: string;
  name: string;
  sums: Float32Array;
  counts: Float32Array;
}): Float32Array {
  const { file, name, sums, counts } = params;
  const columns = sums.length / counts.length;
  if (!Number.isInteger(columns) || columns === 0) {
    throw new QuernError(
      "IMPORTANCE_INVALID",
      `${file}: "${name}" has ${sums.length} sums for ${counts.length} counts: expected a multiple`,
      { subject: { file, tensor: name } },
    );
  }
  return sums.map((sum, index) => {
    const count = Math.round(counts[Math.floor(index / columns)]!);
    return count > 0 ? sum / count : 1;
  });
}

async function readFloats(gguf: GgufFile, name: string, suffix: string): Promise<Float32Array> {
  const tensor: GgufPlacedTensor | undefined = gguf.tensors.get(name + suffix);
  if (tensor === undefined || tensor.type !== "F32") {
    const found = tensor === undefined ? "is missing" : `is ${tensor.type}`;
    throw new QuernError(
      "IMPORTANCE_INVALID",
      `${gguf.name}: "${name}${suffix}" ${found}: expected an F32 tensor`,
      {
        subject: { file: gguf.name, tensor: name },
      },
    );
  }
  const bytes = await gguf.readTensor(tensor.name);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: elementCount(tensor.ne) }, (_, index) =>
    view.getFloat32(index * 4, true),
  );
}

function datasetsOf(metadata: GgufMetadata): string[] {
  const value = metadata.get("imatrix.datasets");
  return value?.type === "array" && value.elements === "string" ? ([...value] as string[]) : [];
}

function chunksOf(metadata: GgufMetadata): number {
  const value = metadata.get("imatrix.chunk_count");
  return value?.type === "uint32" ? (value.value as number) : 0;
}
