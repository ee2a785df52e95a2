import {
  collectCalibrationWindows,
  planSequential,
  sequentialInputs,
  type SequentialPlan,
} from "@quern/calibration";
import { parseWeightedFile } from "@quern/corpus";
import { openRunnable } from "@quern/inference";
import { foldingNeeds } from "@quern/pipeline/layers";
import { DEFAULT_TOKENS, DEFAULT_WINDOW } from "./calibrate.ts";
import type { LayerInputs, LayerInputsParams } from "./layer-inputs.ts";
import { openModelText, openTexts } from "./model-text.ts";

/** Of how many windows one is kept apart. */
const HOLD_OUT = 10;

/** Windows of those of which all inputs of attention are kept, for transforms that compare what it makes of them. */
const KEPT_WINDOWS = 4;

/**
 * Plans to run a model along with its quantization.
 *
 * @throws QuernError the codes of `openRunnable`, `collectCalibrationWindows` and `planSequential`
 */
export async function runAlong(params: LayerInputsParams): Promise<LayerInputs> {
  const { source, options, needs, output, host } = params;
  const { transforms, cross } = needs;
  const model = await openRunnable(source);
  const { tokenizer, chatTemplate } = await openModelText({ source, as: "original" });
  const texts = await openTexts({ files: options.data?.map(parseWeightedFile), chatTemplate, host });
  const { memory, threads, kernels } = options;
  let plan: SequentialPlan;
  let corpusHash: string | undefined;
  try {
    const windows = await collectCalibrationWindows({
      model,
      sources: texts.sources,
      tokenizer,
      rule: { kind: "packed", length: DEFAULT_WINDOW },
      holdOut: HOLD_OUT,
      tokens: options.tokens ?? DEFAULT_TOKENS,
    });
    corpusHash = windows.calibration.summary.hash;
    const folding = foldingNeeds(transforms);
    const keepWindows = folding?.parents ? Math.min(KEPT_WINDOWS, windows.holdOut?.windows.length ?? 0) : 0;
    plan = await planSequential({
      model,
      windows,
      cross,
      output: needs.output,
      changes: transforms.length > 0,
      ...(folding && { folds: { hessians: folding.hessians, keepWindows } }),
      temporary: output,
      saves: true,
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
    ...(corpusHash === undefined ? {} : { corpusHash }),
    stop: (reason) => stopped.abort(reason),
    close: () => inputs.close(),
  };
}
