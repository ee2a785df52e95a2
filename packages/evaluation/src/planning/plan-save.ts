import { localPaths } from "@quern/checkpoints/node";
import { QuernError } from "@quern/tensor";
import { checkOutputPlaces } from "@quern/tensor/node";
import { planReferenceFile } from "../node/reference-writer.ts";
import type { ReferenceHeader } from "../reference/reference-header.ts";
import { vocabularyHash } from "../vocabulary.ts";
import type { EvaluationCorpus } from "../windows/evaluation-windows.ts";
import type { EvaluationModel } from "./evaluation-model.ts";
import type { EvaluationPlan, EvaluationRequest } from "./evaluation-plan.ts";

/** Tokens that are kept of each position unless said otherwise. */
export const DEFAULT_LIKELIEST = 256;

/** @throws QuernError `EVALUATION_OPTION_INVALID`, `OUTPUT_*` */
export async function planSave(
  { save, model: { source }, tool }: EvaluationRequest,
  { facts, vocabulary }: EvaluationModel,
  corpus: EvaluationCorpus,
): Promise<EvaluationPlan["save"]> {
  if (save === undefined) return undefined;
  const { path, likeliest = DEFAULT_LIKELIEST, force = false } = save;
  if (!Number.isSafeInteger(likeliest) || likeliest < 1) {
    throw new QuernError(
      "EVALUATION_OPTION_INVALID",
      `likeliest must be a whole number from 1 on, not ${likeliest}.`,
      {
        subject: { key: "likeliest" },
      },
    );
  }
  const { rule, hash, tokenizer, domains, windows } = corpus;
  const header: ReferenceHeader = {
    tool,
    model: facts,
    vocabulary: await vocabularyHash(vocabulary),
    rule,
    hash,
    tokenizer,
    domains,
    windows: windows.length,
    likeliest: Math.min(likeliest, facts.vocabularySize),
  };
  const { fileSize } = planReferenceFile(header);
  const [replaces] = await checkOutputPlaces({
    places: [{ path, fileSize }],
    sources: localPaths(source.shards),
    force,
  });
  return { path, header, bytes: fileSize, replaces: replaces!, force };
}
