import { type ByteSource, QuernError } from "@quern/tensor";
import type { GgufPlacedTensor } from "../layout.ts";
import { type GgufFile, type GgufTensors, readGguf } from "../read/gguf-file.ts";
import type { GgufMetadata } from "../value.ts";
import { type SplitPosition, splitPositionOf, withoutSplitKeys } from "./split-keys.ts";
import { parseSplitFileName, splitFileName } from "./split-name.ts";

/** A tensor of a set. */
export interface GgufSetTensor extends GgufPlacedTensor {
  /** Index in {@link GgufSet.files} of the file that `offset` refers to. */
  readonly file: number;
}

/** The files of a split set, read as one. */
export interface GgufSet extends GgufTensors {
  readonly files: readonly GgufFile[];
  /** Metadata of the first file, without the `split.` keys. */
  readonly metadata: GgufMetadata;
  /** Tensors of all files in order. */
  readonly tensors: ReadonlyMap<string, GgufSetTensor>;
  /** Closes the sources of all files. */
  close(): Promise<void>;
}

/**
 * Opens a split set, or a file that is not split, as a set of one.
 *
 * @param params.fileName Name of any file of the set, as `open` takes it; the names of the others follow from it.
 * @param params.open Opens a file; the set closes it.
 * @throws QuernError `GGUF_SPLIT_INVALID` when the files do not make up a set: wrong numbers, counts or names;
 * `GGUF_DUPLICATE_TENSOR`; or what `readGguf` and `open` throw
 */
export async function readGgufSet(params: {
  fileName: string;
  open: (fileName: string) => Promise<ByteSource>;
}): Promise<GgufSet> {
  const sources: ByteSource[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(sources.map((source) => source.close()));
  };
  const openFile = async (fileName: string): Promise<GgufFile> => {
    const source = await params.open(fileName);
    sources.push(source);
    return readGguf(source);
  };
  try {
    const files = await openFiles(params.fileName, openFile);
    return { ...joinFiles(files), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openFiles(
  fileName: string,
  openFile: (fileName: string) => Promise<GgufFile>,
): Promise<GgufFile[]> {
  const named = parseSplitFileName(fileName);
  const first = await openFile(named === undefined ? fileName : splitFileName({ ...named, index: 0 }));
  const { count = 0 } = splitPositionOf(first.metadata, first.name);
  if (count <= 1) return [first];
  if (named?.count !== count) {
    throw splitError(
      first,
      `it is one of ${count} files: expected a name that ends in "-00001-of-${String(count).padStart(5, "0")}.gguf"`,
    );
  }
  const files = [first];
  for (let index = 1; index < count; index++) files.push(await openFile(splitFileName({ ...named, index })));
  checkPositions(files);
  return files;
}

function checkPositions(files: readonly GgufFile[]): void {
  const positions = files.map((file) => splitPositionOf(file.metadata, file.name));
  const total = files.reduce((sum, file) => sum + file.tensors.size, 0);
  for (const [index, file] of files.entries()) {
    const position: SplitPosition | undefined = positions[index];
    if (position?.index !== index) {
      throw splitError(file, `metadata key "split.no" is ${position?.index ?? "missing"}: expected ${index}`);
    }
    if (position.count !== undefined && position.count !== files.length) {
      throw splitError(file, `metadata key "split.count" is ${position.count}: expected ${files.length}`);
    }
    const required = index === 0;
    if ((required || position.tensorCount !== undefined) && position.tensorCount !== total) {
      throw splitError(
        file,
        `metadata key "split.tensors.count" is ${position.tensorCount ?? "missing"}: expected ${total}, which the files hold`,
      );
    }
  }
}

function joinFiles(files: readonly GgufFile[]): Omit<GgufSet, "close"> {
  const tensors = new Map<string, GgufSetTensor>();
  const owners = new Map<string, GgufFile>();
  for (const [index, file] of files.entries()) {
    for (const tensor of file.tensors.values()) {
      const owner = owners.get(tensor.name);
      if (owner !== undefined) {
        throw new QuernError(
          "GGUF_DUPLICATE_TENSOR",
          `${file.name}: tensor "${tensor.name}" is in ${owner.name} too`,
          {
            subject: { file: file.name, tensor: tensor.name },
          },
        );
      }
      owners.set(tensor.name, file);
      tensors.set(tensor.name, { ...tensor, file: index });
    }
  }
  const [first] = files;
  const find = (name: string): GgufFile => {
    const owner = owners.get(name);
    if (owner !== undefined) return owner;
    throw new QuernError(
      "GGUF_TENSOR_NOT_FOUND",
      `${first?.name ?? "the set"}: no tensor "${name}" in ${files.length} files`,
      {
        subject: { tensor: name },
      },
    );
  };
  return {
    files,
    metadata: withoutSplitKeys(first?.metadata ?? new Map()),
    tensors,
    readTensor: async (name, into) => find(name).readTensor(name, into),
    readRows: async (rows) => find(rows.name).readRows(rows),
  };
}

function splitError(file: GgufFile, message: string): QuernError {
  return new QuernError("GGUF_SPLIT_INVALID", `${file.name}: ${message}`, { subject: { file: file.name } });
}
