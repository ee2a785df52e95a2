import type { SourceFileIdentity, SourceIdentity } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { z } from "zod";

/** What must be the same on all machines for the bytes to be. Times of files are no part of it: copies may have others. */
export interface SharedIdentity {
  /** "quern 1.0.0" */
  readonly tool: string;
  readonly source: SharedSource;
  /** Everything else, in the order in which differences are looked for: a digest for each part, or what people know it by. */
  readonly parts: Readonly<Record<string, string>>;
}

interface SharedSource {
  readonly name: string;
  readonly repository?: string | undefined;
  readonly files: readonly SharedFile[];
}

interface SharedFile {
  readonly name: string;
  readonly size: number;
  /** SHA-256 of its table. */
  readonly tensors: string;
  readonly etag?: string | undefined;
}

export const sharedIdentity: z.ZodType<SharedIdentity> = z.strictObject({
  tool: z.string(),
  source: z.strictObject({
    name: z.string(),
    repository: z.string().optional(),
    files: z.array(
      z.strictObject({
        name: z.string(),
        size: z.number(),
        tensors: z.string(),
        etag: z.string().optional(),
      }),
    ),
  }),
  parts: z.record(z.string(), z.string()),
});

export function shareSource({ name, repository, files }: SourceIdentity): SharedSource {
  return { name, ...(repository === undefined ? {} : { repository }), files: files.map(withoutTime) };
}

/** @throws QuernError `QUEUE_OTHER_RUN` saying what differs; `tool` can be told before anything is planned */
export function checkTool(ours: string, theirs: string): void {
  if (ours === theirs) return;
  throw otherRun(`the run is of ${theirs}, and this is ${ours}`);
}

/** @throws QuernError `QUEUE_OTHER_RUN` saying what differs */
export function checkIdentity(ours: SharedIdentity, theirs: SharedIdentity): void {
  checkTool(ours.tool, theirs.tool);
  const difference = sourceDifference(ours.source, theirs.source);
  if (difference !== undefined) throw otherRun(`the source is another one here: ${difference}`);
  const parts = new Set([...Object.keys(ours.parts), ...Object.keys(theirs.parts)]);
  for (const part of parts) {
    const [here, there] = [ours.parts[part], theirs.parts[part]];
    if (here !== there) throw otherRun(DIFFERENCES[part]?.(here, there) ?? `${part} differs`);
  }
}

/** What is said of parts that differ. */
const DIFFERENCES: Readonly<
  Record<string, (ours: string | undefined, theirs: string | undefined) => string>
> = {
  importance: () => "the importance matrix holds other weights here",
  config: () => "the configuration of the model is another one here",
  statistics: () => "the statistics hold other inputs here",
  kernels: (ours, theirs) =>
    `sums are those of the kernels, which are ${ours || "none"} here, and in the run ${theirs || "none"}`,
  rounding: () => "layers are rounded by other inputs here",
  recipe: () => "the plan comes out otherwise here: headers or types of tensors differ",
};

function sourceDifference(
  ours: SharedIdentity["source"],
  theirs: SharedIdentity["source"],
): string | undefined {
  if (ours.name !== theirs.name) return `it is called ${ours.name}, and in the run ${theirs.name}`;
  // What is read from a cache on one machine may come from the Hub on another: only one of them tells these.
  const differ = (one: string | undefined, other: string | undefined): boolean =>
    one !== undefined && other !== undefined && one !== other;
  if (differ(ours.repository, theirs.repository))
    return `${ours.repository}, and in the run ${theirs.repository}`;
  if (ours.files.length !== theirs.files.length) {
    return `${ours.files.length} files of weights, and in the run ${theirs.files.length}`;
  }
  for (const [index, one] of ours.files.entries()) {
    const other = theirs.files[index]!;
    if (one.name !== other.name) return `a file ${one.name}, and in the run ${other.name}`;
    if (one.size !== other.size) return `${one.name} has ${one.size} bytes, and in the run ${other.size}`;
    if (one.tensors !== other.tensors) return `the tensors of ${one.name} are not those of the run`;
    if (differ(one.etag, other.etag)) return `${one.name} has another content than in the run`;
  }
  return undefined;
}

function withoutTime({ name, size, tensors, etag }: SourceFileIdentity): SharedFile {
  return { name, size, tensors, ...(etag === undefined ? {} : { etag }) };
}

function otherRun(problem: string): QuernError {
  return new QuernError("QUEUE_OTHER_RUN", `This worker cannot take part in the run: ${problem}.`);
}
