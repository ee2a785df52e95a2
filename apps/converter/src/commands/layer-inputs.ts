import { resolve } from "node:path";
import type { SequentialPlan } from "@quern/calibration";
import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import type { InputsAlong } from "@quern/recipes";
import { type InputSource, openStatistics, type Statistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import type { Host } from "../host.ts";
import type { RoundingOptions } from "./rounding-options.ts";
import type { ResourceOptions } from "./shared-options.ts";

/** How it becomes known what layers read: one of the two, or none. To be closed. */
export interface LayerInputs {
  readonly statistics?: Statistics;
  readonly inputs?: InputSource;
  /** Of the run that goes along. */
  readonly sequential?: SequentialPlan;
  /** Of the windows of texts of that run. */
  readonly corpusHash?: string;
  /** Ends that run. */
  stop(reason: unknown): void;
  close(): Promise<void>;
}

export interface LayerInputsParams {
  readonly source: Checkpoint | GgufModel;
  readonly options: RoundingOptions & ResourceOptions;
  readonly needs: InputsAlong;
  /** Absolute path of what is written, which files of a run along are named after. */
  readonly output: string;
  readonly host: Host;
}

/**
 * Opens what options say about the inputs of layers.
 *
 * @throws QuernError `USAGE_SEQUENTIAL` for options of a run that is not asked for, and the codes of `openStatistics` and `planSequential`
 */
export async function openLayerInputs(params: LayerInputsParams): Promise<LayerInputs> {
  const { options, host } = params;
  const { statistics: file, sequential, data, tokens } = options;
  if (sequential === true) {
    const { runAlong } = await import("./run-along.ts");
    return runAlong(params);
  }
  const stray = data === undefined ? (tokens === undefined ? undefined : "--tokens") : "--data";
  if (stray !== undefined) {
    throw new QuernError(
      "USAGE_SEQUENTIAL",
      `${stray} is for --sequential, or for "quern calibrate", which makes what --statistics takes.`,
    );
  }
  const statistics =
    file === undefined ? undefined : await openStatistics(resolve(host.cwd, file), { name: file });
  return {
    ...(statistics && { statistics }),
    stop: () => undefined,
    close: async () => statistics?.close(),
  };
}
