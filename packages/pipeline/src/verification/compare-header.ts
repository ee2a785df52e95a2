import { join } from "node:path";
import { type GgufMetadata, planGguf, readGguf } from "@quern/gguf";
import { bytesSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import { firstDifference } from "./file-comparer.ts";
import type { Finding } from "./finding.ts";

/**
 * Compares the beginning of a file with bytes that it should have.
 *
 * @param params.kind What the bytes are.
 */
export async function compareBeginning(params: {
  readonly folder: string;
  readonly file: string;
  readonly expected: Uint8Array;
  readonly kind: "header" | "content";
}): Promise<Finding[]> {
  const { folder, file, expected, kind } = params;
  const source = await openOrUndefined(join(folder, file), file);
  // What is missing is found without a source.
  if (source === undefined) return [];
  try {
    const there = await source.read(0, Math.min(expected.byteLength, source.size));
    const offset = firstDifference(expected, there);
    if (offset === undefined) return [];
    const keys = file.toLowerCase().endsWith(".gguf") ? await differentKeys(expected, there) : [];
    const which = keys.length === 0 ? "" : `: the metadata differs in ${keys.join(", ")}`;
    return [{ kind, file, offset, message: `is not what the source becomes${which}` }];
  } finally {
    await source.close();
  }
}

async function openOrUndefined(
  path: string,
  name: string,
): Promise<Awaited<ReturnType<typeof fileSource>> | undefined> {
  try {
    return await fileSource({ path, name });
  } catch (error) {
    if (error instanceof QuernError && error.code === "SOURCE_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Most keys that a message names. */
const MOST_KEYS = 5;

/** Keys whose values differ between two headers; none where one of them cannot be read. */
async function differentKeys(expected: Uint8Array, found: Uint8Array): Promise<string[]> {
  const [a, b] = await Promise.all([metadataOf(expected), metadataOf(found)]);
  if (a === undefined || b === undefined) return [];
  const keys = [...new Set([...a.keys(), ...b.keys()])];
  const different = keys.filter((key) => !sameValue(a, b, key));
  return different.length > MOST_KEYS ? [...different.slice(0, MOST_KEYS), "others"] : different;
}

/** Of a header alone: without tensors, whose data is not there. */
async function metadataOf(header: Uint8Array): Promise<GgufMetadata | undefined> {
  const alone = header.slice();
  if (alone.byteLength < 24) return undefined;
  // How many tensors there are stands behind the magic number and the version.
  new DataView(alone.buffer).setBigUint64(8, 0n, true);
  try {
    return (await readGguf(bytesSource({ bytes: alone, name: "header" }))).metadata;
  } catch (error) {
    if (error instanceof QuernError) return undefined;
    throw error;
  }
}

function sameValue(a: GgufMetadata, b: GgufMetadata, key: string): boolean {
  const bytes = [a, b].map((metadata) => {
    const value = metadata.get(key);
    return (
      value &&
      planGguf({ metadata: new Map([[key === "general.alignment" ? "key" : key, value]]), tensors: [] })
        .header
    );
  });
  const [first, second] = bytes;
  return first !== undefined && second !== undefined && firstDifference(first, second) === undefined;
}
