import { type ByteSource, QuernError } from "@quern/tensor";
import { JsonCursor } from "../json-cursor.ts";

/** Longest index read. 500,000 tensors take about 60 MB. */
const MAX_INDEX_BYTES = 100_000_000;

/** What a `model.safetensors.index.json` says. */
export interface SafetensorsIndex {
  /** File name or URL of the index. */
  readonly name: string;
  /** The `metadata` object as it stands: `total_size` (bytes of all tensors) and what else the writer put there. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** File name of the shard of every tensor, in the order of the index. Plain names, always of the index's own folder. */
  readonly weightMap: ReadonlyMap<string, string>;
  /** The shards, each once, sorted. */
  readonly fileNames: readonly string[];
}

/**
 * Reads and checks an index. Keys other than `metadata` and `weight_map` are ignored.
 *
 * @throws QuernError `SAFETENSORS_INDEX_TOO_LARGE`; `SAFETENSORS_BAD_INDEX` when it is not UTF-8 JSON with a `weight_map` of
 * strings; `SAFETENSORS_DUPLICATE_KEY`; `SAFETENSORS_INDEX_ESCAPES_FOLDER` when a shard is not a plain file name.
 */
export async function readSafetensorsIndex(source: ByteSource): Promise<SafetensorsIndex> {
  const file = source.name;
  if (source.size > MAX_INDEX_BYTES) {
    throw new QuernError(
      "SAFETENSORS_INDEX_TOO_LARGE",
      `${file}: ${source.size} bytes are beyond the limit of ${MAX_INDEX_BYTES} for an index`,
      { subject: { file } },
    );
  }
  const text = decodeText(await source.read(0, source.size), file);
  const cursor = new JsonCursor({ text, file, code: "SAFETENSORS_BAD_INDEX", textOffset: 0 });
  let metadata: Record<string, unknown> = {};
  let weightMap: Map<string, string> | undefined;
  cursor.object("the index object", (key) => {
    if (key === "metadata") metadata = readIndexMetadata(cursor);
    else if (key === "weight_map") weightMap = readWeightMap(cursor, file);
    else cursor.skipValue();
  });
  cursor.end();
  if (weightMap === undefined) {
    throw new QuernError("SAFETENSORS_BAD_INDEX", `${file}: expected a "weight_map"`, {
      subject: { file, key: "weight_map" },
    });
  }
  return { name: file, metadata, weightMap, fileNames: [...new Set(weightMap.values())].sort() };
}

function decodeText(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new QuernError("SAFETENSORS_BAD_INDEX", `${file}: the index is not UTF-8 text`, {
      subject: { file },
      cause,
    });
  }
}

function readIndexMetadata(cursor: JsonCursor): Record<string, unknown> {
  if (cursor.takeNull()) return {};
  const metadata: [string, unknown][] = [];
  cursor.object("an object (metadata)", (key) => {
    metadata.push([key, JSON.parse(cursor.skipValue())]);
  });
  return Object.fromEntries(metadata);
}

function readWeightMap(cursor: JsonCursor, file: string): Map<string, string> {
  const weightMap = new Map<string, string>();
  cursor.object("an object of strings (weight_map)", (tensor) => {
    const fileName = cursor.string(`a file name (value of ${JSON.stringify(tensor)} in weight_map)`);
    checkShardName(fileName, tensor, file);
    weightMap.set(tensor, fileName);
  });
  return weightMap;
}

/** Characters that lead out of a folder, or that no file name can have, on any of the usual systems. */
const NOT_IN_A_NAME = /[/\\:\p{Cc}]/u;

/** A shard lies beside its index: anything but a plain file name could be made to read other files of the machine. */
function checkShardName(fileName: string, tensor: string, file: string): void {
  if (fileName !== "" && fileName !== "." && fileName !== ".." && !NOT_IN_A_NAME.test(fileName)) return;
  throw new QuernError(
    "SAFETENSORS_INDEX_ESCAPES_FOLDER",
    `${file}: tensor ${JSON.stringify(tensor)}: the shard ${JSON.stringify(fileName)} is not a plain file name in the folder of the index`,
    { subject: { file, tensor, key: "weight_map" } },
  );
}
