import { createHash } from "node:crypto";
import { rm, stat } from "node:fs/promises";
import { basename } from "node:path";
import { writeManifest } from "@quern/manifest/node";
import type { ConversionPlan, ConvertedOutput, PlannedOutput } from "@quern/pipeline";
import { outputManifest } from "@quern/pipeline/provenance";
import { journalPathOf } from "@quern/tensor/node";
import { hashFiles } from "../hash-files.ts";
import type { HashedLocalFile, LocalFile, MadeRecord, PublicationItem } from "../plan.ts";

/** The items that outputs become. */
export function ggufItems(plan: ConversionPlan): PublicationItem[] {
  return plan.outputs.map((output, index) => ggufItem(plan, output, index));
}

function ggufItem(plan: ConversionPlan, output: PlannedOutput, index: number): PublicationItem {
  const { files, type: name, manifest } = output;
  return {
    name,
    identity: identityOf(plan, index),
    targets: [...files, ...(manifest === undefined ? [] : [manifest])].map(({ path }) => path),
    bytes: output.fileSize,
    goesOnUntilNoted: true,
    findFiles: () => findFiles(output),
    finish: (params) => finish({ ...params, plan, index }),
  };
}

/** A file has its name only once it is complete: the right size at the right place is the right file, if nobody else made it. */
async function findFiles({ files }: PlannedOutput): Promise<readonly LocalFile[] | undefined> {
  const found: LocalFile[] = [];
  for (const { path, fileSize } of files) {
    const there = await stat(path).catch(() => undefined);
    if (there?.isFile() !== true || there.size !== fileSize) return undefined;
    found.push({ path: basename(path), local: path, bytes: fileSize });
  }
  return found;
}

/** The Hub decides which files it keeps as objects of git; above 10 MB it is none (preupload of huggingface_hub). Some bytes to spare. */
const LARGEST_GIT_OBJECT = 64 * 2 ** 20;

/** What a conversion says of an output, for its manifest. */
export type MadeOutput = Pick<ConvertedOutput, "tensors" | "errors">;

/** Hashes the files, and writes their manifest, which has the hashes of their tensors besides. */
async function finish(params: {
  readonly plan: ConversionPlan;
  readonly index: number;
  readonly files: readonly LocalFile[];
  readonly made: MadeRecord | undefined;
  readonly signal: AbortSignal;
}): Promise<readonly HashedLocalFile[]> {
  const { plan, index, files, made, signal } = params;
  const { manifest: place, files: planned } = plan.outputs[index]!;
  // That the files are made is noted before the journal of their conversion goes.
  await rm(journalPathOf(planned[0]!.path), { force: true });
  if (place === undefined) return hashFiles(files, signal);
  const known = (made?.details ?? { tensors: [] }) as MadeOutput;
  const report = {
    outputs: plan.outputs.map(() => known),
    kernels: `${plan.kernels.backend} ${plan.kernels.isa}`,
  };
  const manifest = await outputManifest({ plan, output: index, report, signal });
  await writeManifest({ path: place.path, manifest, replace: true });
  const large = files.flatMap((file, position) =>
    file.bytes > LARGEST_GIT_OBJECT ? [{ ...file, sha256: manifest.files[position]!.sha256 }] : [],
  );
  const small = files.filter(({ bytes: size }) => size <= LARGEST_GIT_OBJECT);
  const { size: bytes } = await stat(place.path);
  const beside = { path: basename(place.path), local: place.path, bytes };
  return [...large, ...(await hashFiles([...small, beside], signal))];
}

/** What is measured on the way decides about no byte, and other outputs do not either. */
function identityOf({ identity }: ConversionPlan, index: number): string {
  const { tool, source, importance, rounding } = identity.digests;
  return createHash("sha256")
    .update(JSON.stringify([tool, source, importance, rounding, identity.outputs[index]]))
    .digest("hex");
}
