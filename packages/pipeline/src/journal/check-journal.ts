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
  const sources = compared(repositoryIn(identity?.["source"]), repositoryIn(planned["source"]));
  throw otherRun({ path, key, problem: `an unfinished run lies here, and it differs in ${key}${sources}` });
}

function otherRun({ path, key, problem }: { path: string; key: string; problem: string }): QuernError {
  return new QuernError(
    "RESUME_OTHER_RUN",
    `${path}: ${problem}. Finish it as it was begun, or restart to throw it away.`,
    { subject: { file: path, key } },
  );
}

/** What can be named again, so that the earlier run can be finished: above all the commit that a branch was then. */
function describe(
  earlier: ConversionIdentity | undefined,
  planned: ConversionIdentity,
  part: IdentityPart,
): string {
  if (earlier === undefined) return "";
  if (part === "tool") return compared(earlier.tool, planned.tool);
  if (part === "source") return compared(sourceOf(earlier), sourceOf(planned));
  if (part === "recipe") return compared(typesOf(earlier), typesOf(planned));
  if (part === "importance" && earlier.importance !== undefined)
    return ` (${basename(earlier.importance.file)})`;
  return "";
}

function sourceOf({ source: { repository, name } }: ConversionIdentity): string {
  return repository ?? name;
}

function typesOf({ outputs }: ConversionIdentity): string {
  return outputs.map(({ type }) => type).join(", ");
}

/** The repository and commit in front of the digest of a source. */
function repositoryIn(source: string | undefined): string | undefined {
  return source?.split(" ").find((word) => word.startsWith("hf:"));
}

function compared(earlier: string | undefined, planned: string | undefined): string {
  return earlier === undefined || planned === undefined || earlier === planned
    ? ""
    : ` (${earlier}; this is ${planned})`;
}
