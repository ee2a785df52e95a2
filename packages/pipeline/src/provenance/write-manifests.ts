import { basename } from "node:path";
import type { Manifest } from "@quern/manifest";
import { writeManifest } from "@quern/manifest/node";
import { relativeError } from "../errors.ts";
import type { ConversionReport, ConvertedOutput } from "../events.ts";
import type { ConversionPlan, PlannedOutput } from "../plan.ts";
import { type HashedFile, hashOutputs } from "./hash-outputs.ts";

/** How far reading files again is. */
export interface FileProgressEvent {
  readonly type: "progress";
  /** Name of a file, or of a tensor. */
  readonly place: string;
  /** Bytes that are done, and all of them. */
  readonly done: number;
  readonly total: number;
}

export interface WriteManifestsParams {
  /** With provenance. */
  readonly plan: ConversionPlan;
  /** Of the run of the plan. */
  readonly report: ConversionReport;
  readonly signal?: AbortSignal;
  /** Called with news of the work. */
  readonly onEvent?: (event: FileProgressEvent) => void;
}

/**
 * Hashes the files of a conversion whose plan was asked for provenance, and writes the manifest of each output beside it: from `onWritten`
 * of the conversion, so that whole files without a manifest are gone on with.
 *
 * @returns paths of the manifests
 * @throws the reason of the signal; QuernError `OUTPUT_*`, `SOURCE_*`
 */
export async function writeManifests(params: WriteManifestsParams): Promise<string[]> {
  const { plan, report, signal, onEvent } = params;
  const total = plan.outputs.reduce((sum, { fileSize }) => sum + fileSize, 0);
  let done = 0;
  const paths: string[] = [];
  for (const [index, output] of plan.outputs.entries()) {
    if (output.manifest === undefined) continue;
    const { path } = output.manifest;
    const manifest = await outputManifest({
      plan,
      report,
      output: index,
      ...(signal && { signal }),
      onBytes: (bytes, place) => onEvent?.({ type: "progress", place, done: (done += bytes), total }),
    });
    await writeManifest({ path, manifest, replace: plan.force });
    paths.push(path);
  }
  return paths;
}

/** What manifests take over from the report of a conversion. */
type FilesReport = Pick<ConversionReport, "kernels"> & {
  readonly outputs: readonly Pick<ConvertedOutput, "tensors" | "errors">[];
};

/**
 * The manifest of an output whose files are finished.
 *
 * @param params.output Position among the outputs.
 * @throws the reason of the signal; QuernError `SOURCE_*`
 */
export async function outputManifest(params: {
  readonly plan: ConversionPlan;
  /** Tensors whose hashes it does not have are hashed, too. */
  readonly report: FilesReport;
  readonly output: number;
  readonly signal?: AbortSignal;
  readonly onBytes?: (bytes: number, file: string) => void;
}): Promise<Manifest> {
  const { plan, report, output: index, signal, onBytes } = params;
  const output = plan.outputs[index]!;
  const files = hashedFiles(output, report, index);
  const hashes = await hashOutputs({ files, ...(signal && { signal }), ...(onBytes && { onBytes }) });
  return {
    ...output.manifest!.origin,
    ...(plan.rounding === undefined ? {} : { kernels: report.kernels }),
    ...hashes,
  };
}

function hashedFiles(output: PlannedOutput, report: FilesReport, index: number): HashedFile[] {
  const { errors: measured, tensors } = report.outputs[index]!;
  const errors = new Map(measured?.map((error) => [error.name, error]));
  const hashes = new Map(tensors.map(({ name, sha256 }) => [name, sha256]));
  return output.files.map(({ path, layout }, file) => ({
    name: basename(path),
    path,
    headerBytes: layout.header.byteLength,
    tensors: output.tensors
      .filter((tensor) => tensor.file === file)
      .map(({ name, type, ne, offset, size }) => {
        const error = errors.get(name);
        return {
          name,
          type,
          shape: ne,
          offset,
          bytes: size,
          ...(hashes.has(name) ? { sha256: hashes.get(name)! } : {}),
          ...(error === undefined ? {} : { error: relativeError([error]) }),
        };
      }),
  }));
}
