import { chmod, realpath, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { QuernError } from "@quern/tensor";
import { editGgufMetadata, type GgufChange, type GgufEdit } from "../edit/edit-metadata.ts";
import { planGgufEdit, planGgufHeaderInPlace } from "../edit/plan-edit.ts";
import { parseSplitFileName, splitFileName, splitPrefix } from "../split/split-name.ts";
import { copyGguf, type GgufCopyOptions } from "./copy-gguf.ts";
import { copiedFiles, type CopiedFile, type GgufCopyPlan, planCopy } from "./copy-plan.ts";
import { type OpenGgufSet, openGgufSet } from "./open-set.ts";
import { type HeaderPatch, patchHeader, undoPathOf } from "./patch-header.ts";

/** An edit of a file, and how it is carried out. */
export type GgufFileEdit = { readonly changes: readonly GgufChange[] } & (
  | {
      /** Nothing is different: nothing is written. */
      readonly method: "none";
    }
  | {
      /** The new header fits where the old one is: it is overwritten, and the tensor data stays where it is. */
      readonly method: "patch";
      readonly patch: HeaderPatch;
    }
  | {
      /** Files are written anew; tensor data is copied as it is. */
      readonly method: "copy";
      readonly copy: GgufCopyPlan;
    }
);

/**
 * Plans to change the metadata of a GGUF file, or of a set, whose first file holds it.
 *
 * @param params.path The file, or any file of the set.
 * @param params.output File to write; of a set, its first file or what the files have in front. Default: the file is edited in
 * place. Its header is overwritten when the new one fits; otherwise a copy takes its name.
 * @param params.reserve As for `planGgufEdit`, where a header is not overwritten.
 * @param params.allowBreaking As `force` of `editGgufMetadata`. Default false.
 * @param params.force Whether files of the output that exist are replaced. Default false.
 * @throws QuernError `GGUF_UNDO_PENDING` when an earlier edit in place was interrupted; and as `openGgufSet`, `editGgufMetadata`,
 * `planGgufEdit` and `checkOutputPlaces`
 */
export async function planGgufFileEdit(params: {
  path: string;
  edit: GgufEdit;
  output?: string;
  reserve?: number;
  allowBreaking?: boolean;
  force?: boolean;
}): Promise<GgufFileEdit> {
  const { path, edit, output, allowBreaking = false, force = false } = params;
  await checkNoUndo(path);
  const set = await openGgufSet({ path });
  try {
    const file = set.files[0]!;
    const { metadata, changes } = editGgufMetadata({ metadata: file.metadata, edit, force: allowBreaking });
    if (output === undefined && changes.length === 0) return { changes, method: "none" };
    if (output === undefined) {
      const after = planGgufHeaderInPlace({ file, metadata });
      if (after !== undefined) {
        const before = await set.sources[0]!.read(0, file.dataOffset);
        return { changes, method: "patch", patch: { path: set.paths[0]!, before, after } };
      }
    }
    const { reserve } = params;
    const layouts = [planGgufEdit({ file, metadata, ...(reserve === undefined ? {} : { reserve }) })];
    const paths = output === undefined ? [set.paths[0]!] : outputPaths(resolve(output), set.files.length);
    const edited = copiedFiles({ set, layouts, paths });
    const others = output === undefined ? [] : wholeFiles(set, paths);
    const copy = await planCopy({ set, files: [...edited, ...others], force, inPlace: output === undefined });
    return { changes, method: "copy", copy };
  } finally {
    await set.close();
  }
}

/** Carries out an edit. @throws QuernError as `copyGguf`; in place `SOURCE_CHANGED` and `OUTPUT_` codes */
export async function editGguf(edit: GgufFileEdit, options: GgufCopyOptions = {}): Promise<void> {
  if (edit.method === "patch") await patchHeader(edit.patch);
  if (edit.method !== "copy") return;
  // A copy that takes the place of a file is as readable and writable as that was.
  const modes = await Promise.all(edit.copy.files.map(({ path }) => modeOf(path)));
  const { files } = await copyGguf(edit.copy, options);
  for (const [index, { path }] of files.entries()) {
    const mode = modes[index];
    if (mode !== undefined) await chmod(path, mode);
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mode }) => mode & 0o777,
    () => undefined,
  );
}

function outputPaths(output: string, count: number): string[] {
  if (count === 1) return [output];
  const prefix = splitPrefix(output);
  return Array.from({ length: count }, (_, index) => splitFileName({ prefix, index, count }));
}

/** All files of a set but the first, as they are. */
function wholeFiles(set: OpenGgufSet, paths: readonly string[]): CopiedFile[] {
  return set.files.flatMap(({ name, tensors }, index): CopiedFile[] => {
    const { size } = set.sources[index]!;
    const range = { name: basename(name), source: index, from: 0, to: 0, size };
    if (index === 0) return [];
    return [
      {
        path: paths[index]!,
        fileSize: size,
        header: new Uint8Array(0),
        tensors: tensors.size,
        ranges: [range],
      },
    ];
  });
}

async function checkNoUndo(path: string): Promise<void> {
  const named = parseSplitFileName(path);
  const first = named === undefined ? path : splitFileName({ ...named, index: 0 });
  const undoPath = undoPathOf(await realpath(first).catch(() => first));
  const isThere = await stat(undoPath).then(
    () => true,
    () => false,
  );
  if (!isThere) return;
  throw new QuernError(
    "GGUF_UNDO_PENDING",
    `${undoPath}: an edit of this file was interrupted, and its header may be damaged`,
    { subject: { file: first } },
  );
}
