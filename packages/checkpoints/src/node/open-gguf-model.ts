import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type GgufMetadata, type GgufSetTensor, parseSplitFileName, readGgufSet, rowSize } from "@quern/gguf";
import { type ElementType, isElementType } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import type { CheckpointShard } from "../checkpoint.ts";
import type { GgufModel, GgufModelTensor } from "../gguf-model.ts";

/**
 * Opens a GGUF file as a model: reads and checks the headers, no weights. No file stays open.
 *
 * @param path A file, or any file of a split set (`name-00001-of-00003.gguf`), whose others lie beside it.
 * @throws QuernError what `readGgufSet` throws (`GGUF_SPLIT_INVALID`, `GGUF_TENSOR_OUTSIDE_FILE` for a file that has been cut, ...),
 * `SOURCE_NOT_FOUND` for a file that is missing, and other `SOURCE_*`
 */
export async function openGgufModel(path: string): Promise<GgufModel> {
  const given = resolve(path);
  const folder = dirname(given);
  const shards: CheckpointShard[] = [];
  const set = await readGgufSet({
    fileName: basename(given),
    open: async (name) => {
      const file = join(folder, name);
      // Where links lead: what must not be written to, and what workers open even when a link is changed meanwhile.
      const target = await realpath(file).catch(() => file);
      const source = await fileSource({ path: target, name: file });
      shards.push({ name, location: { kind: "file", path: target }, size: source.size });
      return source;
    },
  });
  await set.close();
  return ggufModel({ path: given, metadata: set.metadata, shards, tensors: set.tensors.values() });
}

/**
 * A GGUF file or split set as a model, from what its headers say.
 *
 * @param params.path Absolute path of any of its files.
 * @param params.metadata Of the first file, without what makes it part of a set.
 */
export function ggufModel(params: {
  readonly path: string;
  readonly metadata: GgufMetadata;
  readonly shards: readonly CheckpointShard[];
  readonly tensors: Iterable<GgufSetTensor>;
}): GgufModel {
  const { path, metadata, shards } = params;
  const tensors = new Map<string, GgufModelTensor>();
  for (const tensor of params.tensors) tensors.set(tensor.name, modelTensor(tensor, shards));
  return {
    name: modelName(basename(path)),
    location: join(dirname(path), shards[0]!.name),
    metadata,
    shards,
    tensors,
    totalBytes: [...tensors.values()].reduce((total, { size }) => total + size, 0),
  };
}

function modelTensor(tensor: GgufSetTensor, shards: readonly CheckpointShard[]): GgufModelTensor {
  const { name, type: ggmlType, ne, offset, size, file } = tensor;
  const [columns = 1, ...others] = ne;
  const isElements = isElementType(ggmlType);
  const type: ElementType = isElements ? ggmlType : "U8";
  const shape = [...others.toReversed(), isElements ? columns : rowSize(ggmlType, columns)];
  return { name, type, shape, ggmlType, ne, shard: shards[file]!.name, file, offset, size };
}

function modelName(fileName: string): string {
  return parseSplitFileName(fileName)?.prefix ?? fileName.replace(/\.gguf$/i, "");
}
