import { createHash } from "node:crypto";
import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import { openModel, remoteBytes } from "@quern/checkpoints/node";
import {
  evaluate,
  type EvaluationInput,
  type EvaluationPlan,
  type EvaluationRequest,
  type KeptReference,
  openEvaluationText,
  planEvaluation,
  runReference,
} from "@quern/evaluation";
import { parameterBytes } from "@quern/inference";
import type { EvaluationEstimate, ItemEvaluation, PlanItemEvaluation } from "@quern/publishing";
import { QuernError } from "@quern/tensor";
import type { Host } from "../host.ts";
import { tool } from "../version.ts";
import { evaluationInput, evaluationResources } from "./evaluation-request.ts";
import { type ModelText, openTexts } from "./model-text.ts";
import type { PublishOptions } from "./publish-options.ts";

interface EvaluationParams {
  readonly source: Checkpoint | GgufModel;
  readonly options: PublishOptions;
  /** For hidden states that are kept: that of the files. */
  readonly directory: string;
  readonly host: Host;
}

/**
 * Plans what `--eval` asks for: each item is compared with the model that it is made of. The items are not there yet; that they can be evaluated
 * on the texts is known by their headers, before anything is made.
 *
 * @returns undefined where it is not asked for
 * @throws QuernError `USAGE_EVAL`; the plan throws what `planEvaluation` throws
 */
export function publicationEvaluation(params: EvaluationParams): PlanItemEvaluation | undefined {
  const { eval: texts, context, windows } = params.options;
  if (texts !== undefined) return (models) => planItems(params, models);
  if (context === undefined && windows === undefined) return undefined;
  throw new QuernError("USAGE_EVAL", "--context and --windows are about --eval, which is not asked for.");
}

async function planItems(
  params: EvaluationParams,
  models: readonly (Checkpoint | GgufModel)[],
): Promise<ItemEvaluation> {
  const { input: reference, chatTemplate } = await evaluationInput(params.source, "half");
  const keepsReference = models.length > 1;
  const planFor = (model: EvaluationInput): Promise<EvaluationPlan> =>
    planComparison({ ...params, chatTemplate }, { model, reference, keepsReference });
  // The largest takes the most of everything, and all have the same tokens.
  const [largest] = [...models].sort((one, other) => other.totalBytes - one.totalBytes);
  const { input } = await evaluationInput(largest!, "half");
  const plan = await planFor(input);
  let kept: Promise<KeptReference> | undefined;
  return {
    identity: createHash("sha256")
      .update(JSON.stringify([tool, plan.corpus.hash]))
      .digest("hex"),
    estimate: estimateOf(plan, params.source, models.length),
    async evaluate({ path, signal, onProgress }) {
      const onEvent = (event: { type: string; place?: string }): void => {
        if (event.type === "progress") onProgress(`evaluating ${event.place}`);
      };
      const own = await planFor((await evaluationInput(await openModel(path), "half")).input);
      if (!keepsReference) return evaluate(own, { signal, onEvent });
      kept ??= runReference(own, { signal, onEvent });
      return evaluate(own, { kept: await kept, signal, onEvent });
    },
    async close() {
      // Why it failed is said by the evaluation that it was for.
      const reference = await kept?.catch(() => undefined);
      await reference?.close();
    },
  };
}

async function planComparison(
  {
    options,
    directory,
    host,
    chatTemplate,
  }: EvaluationParams & { readonly chatTemplate: ModelText["chatTemplate"] | undefined },
  compared: Required<Pick<EvaluationRequest, "model" | "reference" | "keepsReference">>,
): Promise<EvaluationPlan> {
  const { eval: texts, context, windows: limit } = options;
  const files = texts === true ? undefined : texts;
  const opened = await openTexts({ files, chatTemplate, host, bundled: openEvaluationText });
  try {
    return await planEvaluation({
      ...compared,
      sources: opened.sources,
      rule: { score: "half", ...(context === undefined ? {} : { context }) },
      ...(limit === undefined ? {} : { limit }),
      folder: directory,
      ...evaluationResources(options),
    });
  } finally {
    await opened.close();
  }
}

/** @param plan Of the largest of the items. */
function estimateOf(
  { corpus, estimate, memory, kept, reference }: EvaluationPlan,
  source: Checkpoint | GgufModel,
  items: number,
): EvaluationEstimate {
  const runnable = reference?.kind === "model" ? reference.runnable : undefined;
  const outputBytes = runnable === undefined ? 0 : parameterBytes(runnable, runnable.graph.output.tensors);
  const remote = remoteBytes(source.tensors.values(), source.shards);
  return {
    windows: corpus.windows.length,
    context: corpus.rule.context,
    seconds: items * estimate.seconds + (kept?.seconds ?? 0),
    // Hidden states and weights of the item before are in memory that threads share, too: it may be there when the next is evaluated.
    peakMemory: estimate.peakMemory + (items > 1 ? memory.states + memory.released : 0),
    scratchBytes: kept?.bytes ?? 0,
    // The output layer is read for each of them.
    networkBytes: remote === 0 ? 0 : remote + (items - 1) * outputBytes,
  };
}
