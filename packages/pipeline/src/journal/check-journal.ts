import { basename } from "node:path";
import { QuernError } from "@quern/tensor";
import { differingParts, type FoundJournal, type RunParts } from "@quern/tensor/node";
import { type ConversionIdentity, differingPart, type IdentityPart } from "./identity.ts";

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
 * Checks that a journal is of this very conversion.
 *
 * @throws QuernError `RESUME_OTHER_RUN`, whose subject names the part that differs as key
 */
export function checkSameConversion(
  { path, identity }: Pick<FoundJournal<ConversionIdentity>, "path" | "identity">,
  planned: ConversionIdentity,
): void {
  const part = identity === undefined ? "tool" : differingPart(identity, planned);
  if (part === undefined) return;
  throw otherRun({
    path,
    key: part,
    problem: `an unfinished conversion lies here, and ${REASONS[part]}${describe(identity, planned, part)}`,
  });
}

/**
 * Checks that a journal is of this very run.
 *
 * @throws QuernError `RESUME_OTHER_RUN`, whose subject names the parts that differ as key
 */
export function checkSameCheckpoint(
  { path, identity }: Pick<FoundJournal<RunParts>, "path" | "identity">,
  planned: RunParts,
): void {
  const parts = identity === undefined ? ["tool"] : differingParts(planned, identity);
  if (parts.length === 0) return;
  const key = parts.join(", ");
  throw otherRun({ path, key, problem: `an unfinished run lies here, and it differs in ${key}` });
}

function otherRun({ path, key, problem }: { path: string; key: string; problem: string }): QuernError {
  return new QuernError(
    "RESUME_OTHER_RUN",
    `${path}: ${problem}. Finish it as it was begun, or restart to throw it away.`,
    { subject: { file: path, key } },
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
