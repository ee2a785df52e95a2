import { resolve } from "node:path";
import { splitFileName, splitPrefix } from "@quern/gguf";
import { findStraySplits } from "@quern/gguf/node";
import { type ManifestOrigin, manifestName } from "@quern/manifest";
import { elementCount, type QuernError } from "@quern/tensor";
import {
  checkOutputPlaces,
  checkUnused,
  findOutputFile,
  journalPathOf,
  type OutputPlace,
} from "@quern/tensor/node";
import { type ConversionState, readConversionJournal } from "../journal/conversion-journal.ts";
import type { PlannedFile, PlannedOutput } from "../plan.ts";
import type { OutputRequest } from "../recipe.ts";
import { outputName } from "./output-name.ts";
import type { FileContents } from "./file-contents.ts";

/** What an interrupted run has left. */
export interface UnfinishedOutputs {
  /** What its journal says. */
  readonly state: ConversionState;
  /** Of the files of each output, whether they are there as they were begun. */
  readonly kept: readonly (readonly boolean[])[];
}

/**
 * Gives outputs their paths, and checks that all files can be written.
 *
 * @param params.contents What each request's files hold.
 * @param params.directory Folder for outputs without a path.
 * @param params.companions Files that the caller writes besides.
 * @param params.sources Real paths of the files that are read.
 * @param params.checkPlaces Whether anything is checked.
 * @returns also what an interrupted run with these files has left, if it is to be gone on with
 * @throws QuernError as `checkOutputPlaces`; `OUTPUT_IN_USE`
 */
export async function planOutputs(params: {
  requests: readonly OutputRequest[];
  contents: readonly FileContents[];
  directory: string;
  companions: readonly string[];
  sources: readonly string[];
  force: boolean;
  restart: boolean;
  /** What manifests say of the origin of each output, where they are asked for. */
  origins?: readonly ManifestOrigin[];
  checkPlaces: boolean;
}): Promise<{ outputs: PlannedOutput[]; unfinished: UnfinishedOutputs | undefined; warnings: QuernError[] }> {
  const { contents, companions, sources, force, restart, origins, checkPlaces } = params;
  const paths = contents.map((output, index) => pathsOf(output, params.requests[index]!, params.directory));
  const manifests = origins?.map((origin, index) => ({ path: manifestName(paths[index]![0]!), origin }));
  const journal = checkPlaces ? await readConversionJournal(journalPathOf(paths[0]![0]!)) : undefined;
  if (journal !== undefined) await checkUnused(journal);
  const unfinished = restart ? undefined : journal;
  const places: OutputPlace[] = [];
  const kept: boolean[][] = contents.map(() => []);
  for (const [index, { layouts }] of contents.entries()) {
    const mayBePlaced = unfinished?.finishing.has(index) === true;
    for (const [file, { fileSize, header }] of layouts.entries()) {
      const path = paths[index]![file]!;
      const found = unfinished && (await findOutputFile({ path, size: fileSize, header, mayBePlaced }));
      kept[index]!.push(found !== undefined);
      places.push({ path, fileSize, isFinished: found === "placed" });
    }
  }
  for (const path of companions) places.push({ path, fileSize: 0 });
  for (const [index, { path }] of (manifests ?? []).entries()) {
    // That of finished files may have been written, too: whoever writes it looks.
    places.push({ path, fileSize: 0, isFinished: unfinished?.finishing.has(index) === true });
  }
  const replaced = checkPlaces
    ? await checkOutputPlaces({ places, sources, force })
    : places.map(() => false);
  const strays = await Promise.all(paths.map(([first]) => findStraySplits(first!)));

  let next = 0;
  const outputs = contents.map(
    ({ layouts, isSplit: _isSplit, warnings: _warnings, ...output }, index): PlannedOutput => {
      const dataSize = output.tensors.reduce((sum, { size }) => sum + size, 0);
      const elements = output.tensors.reduce((sum, { ne }) => sum + elementCount(ne), 0);
      const files = layouts.map((layout, file): PlannedFile => ({
        path: paths[index]![file]!,
        replaces: replaced[next++]!,
        fileSize: layout.fileSize,
        layout,
      }));
      return {
        ...output,
        files,
        fileSize: files.reduce((sum, { fileSize }) => sum + fileSize, 0),
        bitsPerWeight: (dataSize * 8) / elements,
        ...(manifests && { manifest: manifests[index]! }),
      };
    },
  );
  const left = unfinished && { state: unfinished, kept };
  return { outputs, unfinished: left, warnings: strays.filter((warning) => warning !== undefined) };
}

function pathsOf(
  { type, layouts, isSplit }: FileContents,
  request: OutputRequest,
  directory: string,
): string[] {
  const path =
    request.path === undefined
      ? resolve(directory, outputName({ metadata: layouts[0]!.metadata, type }))
      : resolve(request.path);
  if (!isSplit) return [path];
  const prefix = splitPrefix(path);
  return layouts.map((_, index) => splitFileName({ prefix, index, count: layouts.length }));
}
