import { resolve } from "node:path";
import type { Manifest } from "@quern/manifest";
import type { RederiveParams } from "@quern/pipeline/verification";
import { openStatistics, readImportance, selectImportance } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { hashOf } from "./provenance.ts";

/** What was known of the inputs of layers. To be closed. */
export interface OpenCalibration {
  readonly known: Pick<RederiveParams, "importance" | "statistics">;
  close(): Promise<void>;
}

/**
 * Opens the statistics or the importance matrix that a model was made with, where it is given.
 *
 * @throws QuernError `USAGE_VERIFY` for one that the manifest does not speak of, `VERIFICATION_OTHER_CALIBRATION` for another file, and
 * what reading throws
 */
export async function openCalibration(params: {
  readonly manifest: Manifest;
  readonly options: { readonly statistics?: string; readonly imatrix?: string };
  readonly cwd: string;
}): Promise<OpenCalibration> {
  const { manifest, options, cwd } = params;
  const { calibration, recipe } = manifest;
  const kind = options.statistics === undefined ? "importance" : "statistics";
  const file = options.statistics ?? options.imatrix;
  if (file === undefined) return { known: {}, close: async () => undefined };
  if (calibration?.kind !== kind) {
    const used = calibration === undefined ? "nothing was known of inputs" : `it was ${calibration.kind}`;
    throw new QuernError("USAGE_VERIFY", `${file}: is ${kind}, and the manifest says that ${used}.`);
  }
  const path = resolve(cwd, file);
  const hash = await hashOf(path);
  if (calibration.sha256 !== undefined && hash !== calibration.sha256) {
    throw new QuernError(
      "VERIFICATION_OTHER_CALIBRATION",
      `${file}: has the SHA-256 ${hash}; the one that was used has ${calibration.sha256}`,
      { subject: { file } },
    );
  }
  // Metadata has its name.
  const name = calibration.file ?? file;
  const { include, exclude } = calibration;
  const importance =
    recipe.container === "gguf"
      ? selectImportance(await readImportance(path, { name }), {
          ...(include && { include }),
          ...(exclude && { exclude }),
        })
      : undefined;
  const statistics = kind === "statistics" ? await openStatistics(path, { name }) : undefined;
  return {
    known: { ...(importance && { importance }), ...(statistics && { statistics }) },
    close: async () => statistics?.close(),
  };
}
