import { constants } from "node:fs";
import { access, lstat, opendir, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { hubCacheFolder } from "@quern/hub/node";
import { formatBytes } from "../format/bytes.ts";
import { formatInteger } from "../format/number.ts";
import { printable } from "../format/printable.ts";
import type { Host } from "../host.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

/** Hardly a quantized model is smaller. */
const LITTLE_SPACE = 2 ** 30;
/** A cache of many models has some ten thousand files; a network drive should not hold the doctor up. */
const MOST_ENTRIES = 200_000;
const MOST_MILLISECONDS = 3000;

/** @param params.output Folder of results, absolute. */
export async function checkFolders(params: {
  readonly output: string;
  readonly host: Host;
}): Promise<Finding[]> {
  const { output, host } = params;
  return [
    await checkSpace("output", output, "Name an output elsewhere (--output)."),
    await checkSpace("temporary", tmpdir(), "Set TMPDIR to a folder that can be written."),
    await checkCache(hubCacheFolder(host.env)),
  ];
}

async function checkSpace(name: string, folder: string, advice: string): Promise<Finding> {
  const shown = printable(folder);
  try {
    const place = await nearestFolder(folder);
    await access(place, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(place);
    const free = bavail * bsize;
    const text = `${shown}: ${formatBytes(free)} free`;
    if (free >= LITTLE_SPACE) return ok(name, text);
    return warning(name, text, `Free some space. ${advice}`);
  } catch (error) {
    return problem(name, `${shown}: cannot be written (${codeOf(error)})`, advice);
  }
}

/** Output folders are made where there are none. */
async function nearestFolder(folder: string): Promise<string> {
  try {
    await access(folder);
    return folder;
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    return nearestFolder(dirname(folder));
  }
}

async function checkCache(folder: string): Promise<Finding> {
  const shown = printable(folder);
  try {
    const { bytes, files, isWhole } = await sizeOf(folder);
    return ok(
      "cache",
      `${shown}: ${isWhole ? "" : "more than "}${formatBytes(bytes)} in ${formatInteger(files)} files`,
    );
  } catch (error) {
    if (codeOf(error) === "ENOENT") return ok("cache", `${shown}: not there yet`);
    return warning(
      "cache",
      `${shown}: cannot be read (${codeOf(error)})`,
      "Set HF_HOME or HF_HUB_CACHE to another folder.",
    );
  }
}

/** Bytes of regular files; links, of which the cache is full, count nothing. */
async function sizeOf(root: string): Promise<{ bytes: number; files: number; isWhole: boolean }> {
  const end = performance.now() + MOST_MILLISECONDS;
  const folders = [root];
  let [bytes, files, seen] = [0, 0, 0];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const entry of await opendir(folder)) {
      if (++seen > MOST_ENTRIES || performance.now() > end) return { bytes, files, isWhole: false };
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      if (!entry.isFile()) continue;
      bytes += (await lstat(path)).size;
      files++;
    }
  }
  return { bytes, files, isWhole: true };
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
