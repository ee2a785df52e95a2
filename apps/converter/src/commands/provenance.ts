import { basename, resolve } from "node:path";
import type { ManifestCalibration } from "@quern/manifest";
import type { ProvenanceRequest } from "@quern/pipeline";
import { fileSource } from "@quern/tensor/node";
import type { Host } from "../host.ts";
import { version } from "../version.ts";
import type { LayerInputs } from "./layer-inputs.ts";
import type { RoundingOptions } from "./rounding-options.ts";

/** Options that say what is known of the inputs of layers. */
type CalibrationOptions = RoundingOptions & {
  readonly imatrix?: string;
  readonly includeWeights?: readonly string[];
  readonly excludeWeights?: readonly string[];
};

/** What manifests and the metadata of files say of a run. */
export async function provenanceOf(params: {
  readonly options: CalibrationOptions;
  readonly inputs: LayerInputs;
  readonly host: Host;
}): Promise<ProvenanceRequest> {
  const calibration = await calibrationOf(params);
  return { tool: { name: "quern", version }, ...(calibration && { calibration }) };
}

async function calibrationOf(params: {
  readonly options: CalibrationOptions;
  readonly inputs: LayerInputs;
  readonly host: Host;
}): Promise<ManifestCalibration | undefined> {
  const { options, inputs, host } = params;
  const { imatrix, statistics, includeWeights: include, excludeWeights: exclude } = options;
  const path = statistics ?? imatrix;
  const selection = { ...(include && { include }), ...(exclude && { exclude }) };
  if (inputs.sequential !== undefined) {
    const { corpusHash } = inputs;
    return { kind: "sequential", ...(corpusHash === undefined ? {} : { sha256: corpusHash }), ...selection };
  }
  if (path === undefined) return undefined;
  return {
    kind: statistics === undefined ? "importance" : "statistics",
    file: basename(path),
    sha256: await hashOf(resolve(host.cwd, path)),
    ...selection,
  };
}

/** SHA-256 of a file. @throws QuernError `SOURCE_*` */
export async function hashOf(path: string): Promise<string> {
  // Most runs hash nothing.
  const { hashFile } = await import("@quern/manifest/node");
  const source = await fileSource({ path });
  try {
    return (await hashFile({ source })).sha256;
  } finally {
    await source.close();
  }
}
