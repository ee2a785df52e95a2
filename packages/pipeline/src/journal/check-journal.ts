import { basename } from "node:path";
import { QuernError } from "@quern/tensor";
import { type ConversionIdentity, differingPart, type IdentityPart } from "./identity.ts";
import { isWriting } from "./owner.ts";
import type { JournalState } from "./read-journal.ts";

/** What an earlier run did otherwise, for people. */
const REASONS: Readonly<Record<IdentityPart, string>> = {
  tool: "another program or version has begun it",
  source: "its weights are others, or their files have been changed since",
  recipe: "its types, options or metadata are others",
  importance: "its importance matrix is another one",
  rounding: "its layers are rounded otherwise, by other inputs, or with other kernels",
  measured: "it measures something else",
};

/**
 * Checks that nobody else is writing the files of a journal.
 *
 * @throws QuernError `OUTPUT_IN_USE`
 */
export async function checkUnused({ path, owner }: Pick<JournalState, "path" | "owner">): Promise<void> {
  if (owner === undefined || !(await isWriting(owner, path))) return;
  throw inUse(path, `the process ${owner.pid} is writing this`);
}

export function inUse(path: string, problem: string): QuernError {
  return new QuernError("OUTPUT_IN_USE", `${path}: ${problem}`, { subject: { file: path } });
}

/**
 * Checks that a journal is of this very conversion.
 *
 * @throws QuernError `RESUME_OTHER_RUN`, whose subject names the part that differs as key
 */
export function checkSame({ path, identity }: JournalState, planned: ConversionIdentity): void {
  const part = identity === undefined ? "tool" : differingPart(identity, planned);
  if (part === undefined) return;
  throw new QuernError(
    "RESUME_OTHER_RUN",
    `${path}: an unfinished conversion lies here, and ${REASONS[part]}${describe(identity, planned, part)}. ` +
      "Finish it as it was begun, or restart to throw it away.",
    { subject: { file: path, key: part } },
  );
}

function describe(
  earlier: ConversionIdentity | undefined,
  planned: ConversionIdentity,
  part: IdentityPart,
): string {
  if (part === "tool" && earlier !== undefined) return ` (${earlier.tool}; this is ${planned.tool})`;
  if (part === "importance" && earlier?.importance !== undefined)
    return ` (${basename(earlier.importance.file)})`;
  return "";
}
