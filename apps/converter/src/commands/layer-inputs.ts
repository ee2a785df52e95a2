import { resolve } from "node:path";
import {
  collectCalibrationWindows,
  planSequential,
  sequentialInputs,
  type SequentialPlan,
} from "@quern/calibration";
import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import { openRunnable } from "@quern/inference";
import { type InputSource, openStatistics, type Statistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import type { Host } from "../host.ts";
import { DEFAULT_TOKENS, DEFAULT_WINDOW } from "./calibrate.ts";
import { openModelText, openTexts } from "./model-text.ts";
import type { RoundingOptions } from "./rounding-options.ts";
import type { ResourceOptions } from "./shared-options.ts";

/** Of how many windows one is kept apart. */
const HOLD_OUT = 10;

/** How it becomes known what layers read: one of the two, or none. To be closed. */
export interface LayerInputs {
  readonly statistics?: Statistics;
  readonly inputs?: InputSource;
  /** Of the run that goes along. */
  readonly sequential?: SequentialPlan;
  /** Ends that run. */
  stop(reason: unknown): void;
  close(): Promise<void>;
}

/**
 * Opens what options say about the inputs of layers.
 *
 * @throws QuernError `USAGE_SEQUENTIAL` for options of a run that is not asked for, and the codes of `openStatistics` and `planSequential`
 */
export async function openLayerInputs(params: {
  readonly source: Checkpoint | GgufModel;
  readonly options: RoundingOptions & ResourceOptions;
  readonly host: Host;
}): Promise<LayerInputs> {
  const { options, host } = params;
  const { statistics: file, sequential, data, tokens } = options;
  if (sequential === true) return runAlong(params);
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

async function runAlong({
  source,
  options,
  host,
}: Parameters<typeof openLayerInputs>[0]): Promise<LayerInputs> {
  const model = await openRunnable(source);
  const { tokenizer, chatTemplate } = await openModelText({ source, as: "original" });
  const texts = await openTexts({ files: options.data, chatTemplate, host });
  const { memory, threads, kernels } = options;
  let plan: SequentialPlan;
  try {
    const windows = await collectCalibrationWindows({
      model,
      sources: texts.sources,
      tokenizer,
      rule: { kind: "packed", length: DEFAULT_WINDOW },
      holdOut: HOLD_OUT,
      tokens: options.tokens ?? DEFAULT_TOKENS,
    });
    plan = await planSequential({
      model,
      windows,
      temporary: resolve(host.cwd, `${source.name}-sequential`),
      ...(memory === undefined ? {} : { memory }),
      ...(threads === undefined ? {} : { threads }),
      ...(kernels === undefined ? {} : { backend: kernels }),
    });
  } finally {
    await texts.close();
  }
  const stopped = new AbortController();
  const inputs = sequentialInputs(plan, { signal: stopped.signal });
  return {
    inputs,
    sequential: plan,
    stop: (reason) => stopped.abort(reason),
    close: () => inputs.close(),
  };
}
