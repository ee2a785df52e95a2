import type { QuernError } from "@quern/tensor";
import { checkOutputPlaces } from "@quern/tensor/node";
import type { GgufLayout } from "../layout.ts";
import type { OpenGgufSet } from "./open-set.ts";
import { findStraySplits } from "./stray-splits.ts";

/** Bytes to copy as they are. */
export interface CopyRange {
  /** What they are, for progress: the name of a tensor, or of a whole file. */
  readonly name: string;
  /** Index of the file to read. */
  readonly source: number;
  /** Byte offset there. */
  readonly from: number;
  /** Byte offset in the file to write. */
  readonly to: number;
  readonly size: number;
}

/** A file that is going to be written. */
export interface CopiedFile {
  readonly path: string;
  readonly fileSize: number;
  readonly header: Uint8Array;
  /** Tensors in it. */
  readonly tensors: number;
  readonly ranges: readonly CopyRange[];
}

export interface GgufCopyFile extends CopiedFile {
  /** Whether a file is there now, which the new one will replace. */
  readonly replaces: boolean;
}

/** Files that are made of the tensors of others: everything is known but the bytes of the tensors. */
export interface GgufCopyPlan {
  /** Files to read, with the size that they had. */
  readonly sources: readonly { readonly path: string; readonly size: number }[];
  /** Files to write, which make up a set. */
  readonly files: readonly GgufCopyFile[];
  /** Bytes that are copied. */
  readonly bytes: number;
  /** `OUTPUT_STRAY_SPLITS`: files of an earlier division. */
  readonly warnings: readonly QuernError[];
  /** Whether files that exist are replaced. */
  readonly force: boolean;
}

/**
 * The files of layouts, with their tensors out of a set.
 *
 * @param params.paths One for each layout.
 */
export function copiedFiles(params: {
  set: OpenGgufSet;
  layouts: readonly GgufLayout[];
  paths: readonly string[];
}): CopiedFile[] {
  const { set, layouts, paths } = params;
  return layouts.map((layout, index) => ({
    path: paths[index]!,
    fileSize: layout.fileSize,
    header: layout.header,
    tensors: layout.tensors.length,
    ranges: layout.tensors.map(({ name, offset, size }): CopyRange => {
      const { file, offset: from } = set.tensors.get(name)!;
      return { name, source: file, from, to: offset, size };
    }),
  }));
}

/**
 * A plan to write files, once it is sure that they can be written.
 *
 * @param params.inPlace Whether the files may replace those that are read.
 * @throws QuernError as `checkOutputPlaces`
 */
export async function planCopy(params: {
  set: OpenGgufSet;
  files: readonly CopiedFile[];
  force: boolean;
  inPlace?: boolean;
}): Promise<GgufCopyPlan> {
  const { set, files, force, inPlace = false } = params;
  const replaced = await checkOutputPlaces({
    places: files,
    sources: inPlace ? [] : set.paths,
    force: force || inPlace,
  });
  const stray = inPlace ? undefined : await findStraySplits(files[0]!.path);
  return {
    sources: set.sources.map(({ size }, index) => ({ path: set.paths[index]!, size })),
    files: files.map((file, index) => ({ ...file, replaces: replaced[index]! })),
    bytes: files.reduce((sum, { ranges }) => ranges.reduce((total, { size }) => total + size, sum), 0),
    warnings: stray === undefined ? [] : [stray],
    force: force || inPlace,
  };
}
