import { parseSplitFileName, readGguf, readGgufSet } from "@quern/gguf";
import type { Manifest, ManifestTensor } from "@quern/manifest";
import { type ByteSource, QuernError } from "@quern/tensor";
import { readSafetensors } from "safetensors-js";
import { originPairs } from "../provenance/provenance-metadata.ts";
import { type Finding, problemOf } from "./finding.ts";

type Place = Omit<ManifestTensor, "file" | "sha256" | "error">;

/** What a file says of itself. */
interface FileContents {
  readonly tensors: ReadonlyMap<string, Place>;
  /** A text of its metadata. */
  text(key: string): string | undefined;
}

/** Formats that are read, by the ending of files. */
const READERS: readonly {
  readonly ending: string;
  read(source: ByteSource): Promise<FileContents>;
}[] = [
  {
    ending: ".gguf",
    async read(source) {
      const { tensors, metadata } = await readGguf(source);
      return {
        tensors: new Map(
          [...tensors.values()].map(({ ne, size, ...rest }) => [
            rest.name,
            { ...rest, shape: ne, bytes: size },
          ]),
        ),
        text(key) {
          const value = metadata.get(key);
          return value?.type === "string" ? (value.value as string) : undefined;
        },
      };
    },
  },
  {
    ending: ".safetensors",
    async read(source) {
      const { tensors, metadata } = await readSafetensors(source);
      return {
        tensors: new Map(
          [...tensors].map(([name, { info, offset, size }]) => [
            name,
            { name, type: info.type, shape: info.shape, offset, bytes: size },
          ]),
        ),
        text: (key) => (Object.hasOwn(metadata, key) ? metadata[key] : undefined),
      };
    },
  },
];

/**
 * Reads a file as its format says, and compares its tensors and what it says of its origin with a manifest.
 *
 * @param params.index Of the file in the manifest.
 */
export async function checkStructure(params: {
  readonly manifest: Manifest;
  readonly index: number;
  readonly source: ByteSource;
}): Promise<Finding[]> {
  const { manifest, index, source } = params;
  const { name: file } = manifest.files[index]!;
  const reader = READERS.find(({ ending }) => file.toLowerCase().endsWith(ending));
  if (reader === undefined) return [];
  let contents: FileContents;
  try {
    contents = await reader.read(source);
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    const { offset, tensor } = error.subject;
    return [
      {
        kind: "structure",
        file,
        ...(tensor === undefined ? {} : { tensor }),
        ...(offset === undefined ? {} : { offset }),
        message: `${problemOf(error, file)} (${error.code})`,
      },
    ];
  }
  return [...differentTensors(manifest, index, contents), ...differentOrigin(manifest, index, contents)];
}

function* differentTensors(manifest: Manifest, index: number, { tensors }: FileContents): Generator<Finding> {
  const { name: file } = manifest.files[index]!;
  const expected = manifest.tensors.filter((tensor) => tensor.file === index);
  for (const tensor of expected) {
    const found = tensors.get(tensor.name);
    const place = { kind: "structure", file, tensor: tensor.name, offset: tensor.offset } as const;
    if (found === undefined) {
      yield { ...place, message: "is not in the file: expected it" };
    } else if (textOf(found) !== textOf(tensor)) {
      yield { ...place, message: `is ${textOf(found)}: expected ${textOf(tensor)}` };
    }
  }
  const known = new Set(expected.map(({ name }) => name));
  for (const { name, offset } of tensors.values()) {
    if (known.has(name)) continue;
    yield { kind: "structure", file, tensor: name, offset, message: "is not in the manifest" };
  }
}

function textOf({ type, shape, offset, bytes }: Place): string {
  return `${type} [${shape.join(", ")}], ${bytes} bytes from ${offset} on`;
}

/** Only the first file of a set has the metadata. */
function* differentOrigin(manifest: Manifest, index: number, { text }: FileContents): Generator<Finding> {
  if (manifest.recipe.container === "gguf" && index > 0) return;
  const { name: file } = manifest.files[index]!;
  for (const [key, value] of originPairs(manifest)) {
    const found = text(key);
    if (found === value) continue;
    const says = found === undefined ? `has no ${key}` : `says ${key} = ${JSON.stringify(found)}`;
    yield { kind: "structure", file, message: `${says}: the manifest says ${JSON.stringify(value)}` };
  }
}

/** Whether files of GGUF are the whole set that their names and keys say they are. */
export async function checkSet(params: {
  readonly manifest: Manifest;
  readonly open: (name: string) => Promise<ByteSource>;
}): Promise<Finding[]> {
  const { manifest, open } = params;
  const { name: file } = manifest.files[0]!;
  if (manifest.recipe.container !== "gguf" || parseSplitFileName(file) === undefined) return [];
  try {
    const set = await readGgufSet({ fileName: file, open });
    await set.close();
    if (set.files.length === manifest.files.length) return [];
    const message = `begins a set of ${set.files.length} files: expected ${manifest.files.length}`;
    return [{ kind: "structure", file, message }];
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    return [{ kind: "structure", file, message: `${problemOf(error, file)} (${error.code})` }];
  }
}
