import { tmpdir } from "node:os";
import { loadKernels } from "@quern/kernels";
import { processMemory, resolveMemory, resolveThreads } from "@quern/threads";
import { DEFAULT_CONFIDENCE } from "../measures/bootstrap.ts";
import type { SavedReference } from "../node/open-reference.ts";
import { checkSameVocabulary, vocabularyHash, vocabularyMismatch } from "../vocabulary.ts";
import { DEFAULT_RULE, scoredPositions } from "../windows/evaluation-rule.ts";
import { divideMemory, stateBytes } from "./divide-memory.ts";
import { estimateSeconds } from "./estimate-seconds.ts";
import { type EvaluationModel, openEvaluationModel } from "./evaluation-model.ts";
import type { EvaluationInput, EvaluationPlan, EvaluationRequest } from "./evaluation-plan.ts";
import { blockOperations, operationsOf, totalOperations } from "./operations.ts";
import { planCorpus, tokenizerWarnings } from "./plan-corpus.ts";
import { planSave } from "./plan-save.ts";

/** Hidden states of a hundred thousand tokens of the largest dense models fit in this. */
const LARGEST_DEFAULT = 4 * 2 ** 30;

/**
 * Resident memory of Node with this package loaded and a model described, of a further model with its tokenizer, and of each further thread with its
 * kernels: as measured (Node 20 on Linux x64, native kernels), rounded up.
 */
const PROCESS_BYTES = 120 * 2 ** 20;
const MODEL_BYTES = 8 * 2 ** 20;
const THREAD_BYTES = 26 * 2 ** 20;

/**
 * Opens models, cuts texts, and checks what can be checked before weights are read.
 *
 * @throws QuernError
 * - `EVALUATION_VOCABULARY_MISMATCH` the reference has other tokens
 * - `EVALUATION_REFERENCE_MISMATCH` a saved reference is of other texts, or of other windows
 * - `EVALUATION_NO_LOGITS`, `EVALUATION_CONTEXT`, `EVALUATION_MEMORY`, `EVALUATION_OPTION_INVALID`
 * - `CORPUS_*`, `TOKENIZER_*`, `FORWARD_*`, `OUTPUT_*`, `PLAN_THREADS`, and what describing models throws
 */
export async function planEvaluation(request: EvaluationRequest): Promise<EvaluationPlan> {
  const { folder = tmpdir(), confidence = DEFAULT_CONFIDENCE, backend, tool } = request;
  const threads = resolveThreads(request.threads);
  const budget = resolveMemory({
    memory: request.memory,
    most: LARGEST_DEFAULT,
    code: "EVALUATION_MEMORY",
  });
  const saved = savedOf(request.reference);
  const rule = { ...(saved?.header.rule ?? DEFAULT_RULE), ...request.rule };
  const positions = scoredPositions(rule);
  const model = await openEvaluationModel(request.model.source, rule);
  const other = inputOf(request.reference);
  const compared = other === undefined ? undefined : await openEvaluationModel(other.source, rule);
  if (compared !== undefined) checkSameVocabulary(model.vocabulary, compared.vocabulary);
  if (saved !== undefined) await checkSavedVocabulary(model, saved);
  const corpus = await planCorpus(request, { rule, model, saved });
  const warnings = other === undefined ? [] : await tokenizerWarnings(request, other, corpus);

  const models = [model, ...(compared === undefined ? [] : [compared])].map(({ runnable }) => runnable);
  const keeps = request.keepsReference === true && compared !== undefined;
  const memory = divideMemory({ budget, models, corpus, threads, running: keeps ? 1 : models.length });
  const kernels = await loadKernels(backend === undefined ? {} : { backend });
  const operations = models.map((each) => operationsOf(each, corpus, positions));
  const before = keeps ? blockOperations(operations[1]!) : 0;
  const logits = models.length * model.facts.vocabularySize * corpus.windows.length * positions.count;
  const secondsOf = (count: number, scored: number): number =>
    estimateSeconds({ kernels, operations: count, logits: scored, threads });
  const seconds = secondsOf(
    operations.reduce((sum, each) => sum + totalOperations(each), -before),
    logits,
  );
  const kept = keeps && { bytes: stateBytes(models[1]!, corpus), seconds: secondsOf(before, 0) };
  const save = await planSave(request, model, corpus);
  return {
    model,
    ...(compared === undefined ? {} : { reference: { kind: "model", ...compared } }),
    ...(saved === undefined ? {} : { reference: { kind: "saved", saved } }),
    ...(kept && { kept }),
    corpus,
    positions,
    ...(save === undefined ? {} : { save }),
    threads,
    ...(backend === undefined ? {} : { backend }),
    kernels: `${kernels.info.backend} ${kernels.info.isa}`,
    memory,
    folder,
    estimate: {
      seconds,
      peakMemory:
        processMemory(PROCESS_BYTES) +
        (models.length - 1) * MODEL_BYTES +
        threads * THREAD_BYTES +
        memory.used +
        memory.released,
    },
    confidence,
    tool,
    warnings,
  };
}

function savedOf(reference: EvaluationRequest["reference"]): SavedReference | undefined {
  return reference !== undefined && "header" in reference ? reference : undefined;
}

function inputOf(reference: EvaluationRequest["reference"]): EvaluationInput | undefined {
  return reference !== undefined && "source" in reference ? reference : undefined;
}

async function checkSavedVocabulary(model: EvaluationModel, { header }: SavedReference): Promise<void> {
  const { name } = model.facts;
  if (header.vocabulary === (await vocabularyHash(model.vocabulary))) return;
  throw vocabularyMismatch(name, `its tokens are not those of the reference ${header.model.name}`);
}
