import { readFile, rm, stat } from "node:fs/promises";
import { QuernError } from "@quern/tensor";
import { createOutputSet, partialPathOf, reportingAs } from "@quern/tensor/node";
import type { Manifest } from "../manifest.ts";
import { LARGEST_MANIFEST } from "../names.ts";

/** Its schema takes a while to load, and most who load this module write nothing. */
const loadFormat = (): Promise<typeof import("../file/parse-manifest.ts")> =>
  import("../file/parse-manifest.ts");

/**
 * Reads a manifest.
 *
 * @throws QuernError `MANIFEST_NOT_FOUND` where there is none, `MANIFEST_INVALID` for what is not one
 */
export async function readManifest(path: string): Promise<Manifest> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > LARGEST_MANIFEST) {
      throw new QuernError(
        "MANIFEST_INVALID",
        `${path}: ${size} bytes are no manifest: expected at most ${LARGEST_MANIFEST}`,
        { subject: { file: path } },
      );
    }
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof QuernError) throw cause;
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const problem = isMissing ? "there is no manifest" : "the manifest cannot be read";
    throw new QuernError("MANIFEST_NOT_FOUND", `${path}: ${problem}`, { subject: { file: path }, cause });
  }
  const { parseManifest } = await loadFormat();
  return parseManifest({ text, file: path });
}

/**
 * Writes a manifest: under its name it is there whole, or not at all.
 *
 * @param params.replace Whether another one that exists is replaced. The very same stays as it is.
 * @throws QuernError `OUTPUT_*`, `MANIFEST_INVALID`
 */
export async function writeManifest(params: {
  readonly path: string;
  readonly manifest: Manifest;
  readonly replace: boolean;
}): Promise<void> {
  const { path, manifest, replace } = params;
  const { manifestText } = await loadFormat();
  const header = new TextEncoder().encode(manifestText(manifest));
  if (await holds(path, header)) {
    // A crash may have left both names.
    await reportingAs(path, () => rm(partialPathOf(path), { force: true }));
    return;
  }
  const set = await createOutputSet({ files: [{ path, size: header.byteLength, header }], replace });
  try {
    await set.finish();
  } catch (error) {
    await set.abandon();
    throw error;
  }
}

async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  if (there?.isFile() !== true || there.size !== bytes.byteLength) return false;
  return reportingAs(path, async () => (await readFile(path)).equals(bytes));
}
