import { realpath } from "node:fs/promises";
import type { ByteSource } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import { type GgufSet, readGgufSet } from "../split/gguf-set.ts";

/** A set that is read from disk. */
export interface OpenGgufSet extends GgufSet {
  /** The bytes of each file; the set closes them. */
  readonly sources: readonly ByteSource[];
  /** Real path of each file. */
  readonly paths: readonly string[];
}

/**
 * Opens the split set that a file belongs to, or a file that is not split as a set of one.
 *
 * @param params `path`: any file of the set.
 * @throws QuernError as `readGgufSet` and `fileSource`
 */
export async function openGgufSet({ path }: { path: string }): Promise<OpenGgufSet> {
  const sources: ByteSource[] = [];
  const paths: string[] = [];
  const set = await readGgufSet({
    fileName: path,
    async open(fileName) {
      const source = await fileSource({ path: fileName });
      sources.push(source);
      paths.push(await realpath(fileName));
      return source;
    },
  });
  return { ...set, sources, paths };
}
