import { createHash } from "node:crypto";
import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import { openModel } from "@quern/checkpoints/node";
import {
  evaluate,
  type EvaluationInput,
  type EvaluationPlan,
  openEvaluationText,
  planEvaluation,
} from "@quern/evaluation";
import type { ItemEvaluation } from "@quern/publishing";
import { QuernError } from "@quern/tensor";
import type { Host } from "../host.ts";
import { tool } from "../version.ts";
import { evaluationInput, evaluationResources } from "./evaluation-request.ts";
import { openTexts } from "./model-text.ts";
import type { PublishOptions } from "./publish-options.ts";

/**
 * Plans what `--eval` asks for: each file is compared with the model that it is made of. The files are not there yet; that their model, which has
 * the same tokens, can be evaluated on the texts is known before anything is made.
 *
 * @returns undefined where it is not asked for
 * @throws QuernError `USAGE_EVAL`, and what `planEvaluation` throws
 */
export async function planPublicationEvaluation(params: {
  readonly source: Checkpoint | GgufModel;
  readonly options: PublishOptions;
  readonly host: Host;
}): Promise<ItemEvaluation | undefined> {
  const { source, options, host } = params;
  const { eval: texts, context, windows: limit } = options;
  if (texts === undefined) {
    if (context === undefined && limit === undefined) return undefined;
    throw new QuernError("USAGE_EVAL", "--context and --windows are about --eval, which is not asked for.");
  }
  const { input: reference, chatTemplate } = await evaluationInput(source, "half");
  const planFor = async (model: EvaluationInput): Promise<EvaluationPlan> => {
    const files = texts === true ? undefined : texts;
    const opened = await openTexts({ files, chatTemplate, host, bundled: openEvaluationText });
    try {
      return await planEvaluation({
        model,
        reference,
        sources: opened.sources,
        rule: { score: "half", ...(context === undefined ? {} : { context }) },
        ...(limit === undefined ? {} : { limit }),
        ...evaluationResources(options),
      });
    } finally {
      await opened.close();
    }
  };
  const { corpus, estimate } = await planFor(reference);
  return {
    identity: createHash("sha256")
      .update(JSON.stringify([tool, corpus.hash]))
      .digest("hex"),
    estimate: { ...estimate, windows: corpus.windows.length, context: corpus.rule.context },
    async evaluate({ files, signal, onProgress }) {
      const { input } = await evaluationInput(await openModel(files[0]!), "half");
      return evaluate(await planFor(input), {
        signal,
        onEvent: (event) => {
          if (event.type === "progress") onProgress(`evaluating ${event.place}`);
        },
      });
    },
  };
}
