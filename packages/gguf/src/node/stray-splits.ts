import { readdir } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { QuernError } from "@quern/tensor";
import { parseSplitFileName } from "../split/split-name.ts";

/**
 * Looks for files that an earlier division of an output left behind: they have its name, but belong to a set of another number
 * of files. Whoever loads one of them gets the old model.
 *
 * @param path Any file of the set that is going to be written.
 * @returns QuernError `OUTPUT_STRAY_SPLITS` as a warning; undefined when there are none, or `path` is no part of a set
 */
export async function findStraySplits(path: string): Promise<QuernError | undefined> {
  const own = parseSplitFileName(basename(path));
  if (own === undefined) return undefined;
  const folder = dirname(path);
  const names = await readdir(folder).catch(() => []);
  const strays = names.filter((name) => {
    const other = parseSplitFileName(name);
    return other !== undefined && other.prefix === own.prefix && other.count !== own.count;
  });
  const [first] = strays.sort();
  if (first === undefined) return undefined;
  const more = strays.length === 1 ? "" : ` and ${strays.length - 1} more`;
  return new QuernError(
    "OUTPUT_STRAY_SPLITS",
    `${folder} holds files of another division of "${own.prefix}": ${first}${more}. They stay as they are; remove them if they are old.`,
    { subject: { file: first } },
  );
}
