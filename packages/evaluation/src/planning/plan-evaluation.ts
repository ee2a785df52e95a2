import { tmpdir } from "node:os";
import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import type { TextSource, TextTokenizer } from "@quern/corpus";
import { type KernelBackend, loadKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import { checkOutputPlaces } from "@quern/tensor/node";
import { resolveThreads } from "@quern/threads";
import { type Confidence, DEFAULT_CONFIDENCE } from "../measures/bootstrap.ts";
import type { SavedReference } from "../node/open-reference.ts";
import { planReferenceFile } from "../node/reference-writer.ts";
import type { ReferenceHeader } from "../reference/reference-header.ts";
import { checkSameVocabulary, vocabularyHash, vocabularyMismatch } from "../vocabulary.ts";
import {
  DEFAULT_RULE,
  type EvaluationRule,
  type ScoredPositions,
  scoredPositions,
} from "../windows/evaluation-rule.ts";
import { type EvaluationCorpus, evaluationWindows } from "../windows/evaluation-windows.ts";
import { divideMemory, type MemoryDivision, resolveMemory } from "./divide-memory.ts";
import { estimateSeconds } from "./estimate-seconds.ts";
import { type EvaluationModel, openEvaluationModel } from "./evaluation-model.ts";
import { operationsOf, totalOperations } from "./operations.ts";

/** A model with the tokenizer that reads its texts. */
export interface EvaluationInput {
  readonly source: Checkpoint | GgufModel;
  readonly tokenizer: TextTokenizer;
}

/** What an evaluation is to do. */
export interface EvaluationRequest {
  readonly model: EvaluationInput;
  /** What the model is compared with. */
  readonly reference?: EvaluationInput | SavedReference;
  /** Texts, each a domain. Default: those of a saved reference. */
  readonly sources?: readonly TextSource[];
  /** Default: as a saved reference has it, otherwise llama-perplexity's. */
  readonly rule?: Partial<EvaluationRule>;
  /** Windows after which to stop; texts take turns. Default: all. */
  readonly limit?: number;
  /** Where to keep what a later comparison with this model needs. */
  readonly save?: { readonly path: string; readonly likeliest?: number; readonly force?: boolean };
  /** Worker threads; 0: the calling thread. Default: one per core. */
  readonly threads?: number;
  /** Bytes for weights, hidden states and logits. Default: a quarter of the machine's, at most 4 GiB. */
  readonly memory?: number;
  readonly backend?: KernelBackend;
  /** For hidden states that do not fit in memory. Default: the system's for temporary files. */
  readonly folder?: string;
  readonly confidence?: Confidence;
  /** Name and version of the program, for the report. */
  readonly tool: string;
}

/** Everything that is known before a weight is read. */
export interface EvaluationPlan {
  readonly model: EvaluationModel;
  readonly reference?:
    | ({ readonly kind: "model" } & EvaluationModel)
    | { readonly kind: "saved"; readonly saved: SavedReference };
  readonly corpus: EvaluationCorpus;
  /** Scored ones of each window. */
  readonly positions: ScoredPositions;
  readonly save?: {
    readonly path: string;
    readonly header: ReferenceHeader;
    readonly bytes: number;
    readonly replaces: boolean;
    readonly force: boolean;
  };
  readonly threads: number;
  readonly backend?: KernelBackend;
  /** "native avx2" */
  readonly kernels: string;
  readonly memory: MemoryDivision;
  readonly folder: string;
  readonly estimate: { readonly seconds: number; readonly peakMemory: number };
  readonly confidence: Confidence;
  readonly tool: string;
  readonly warnings: readonly QuernError[];
}

/** Tokens that are kept of each position unless said otherwise. */
export const DEFAULT_LIKELIEST = 256;

/**
 * Resident memory of Node with this package loaded and a model described, and of each further thread with its kernels: as measured
 * (Node 20 on Linux x64, native kernels), rounded up.
 */
const PROCESS_BYTES = 130 * 2 ** 20;
const THREAD_BYTES = 40 * 2 ** 20;

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
  const budget = resolveMemory(request.memory);
  const saved = savedOf(request.reference);
  const rule = { ...(saved?.header.rule ?? DEFAULT_RULE), ...request.rule };
  const positions = scoredPositions(rule);
  const model = await openEvaluationModel(request.model.source, rule);
  const other = inputOf(request.reference);
  const compared = other === undefined ? undefined : await openEvaluationModel(other.source, rule);
  if (compared !== undefined) checkSameVocabulary(model.vocabulary, compared.vocabulary);
  if (saved !== undefined) await checkSavedVocabulary(model, saved);
  const corpus = await corpusOf(request, { rule, model, saved });
  const warnings = other === undefined ? [] : await tokenizerWarnings(request, other, corpus);

  const models = [model, ...(compared === undefined ? [] : [compared])].map(({ runnable }) => runnable);
  const memory = divideMemory({ budget, models, corpus, threads });
  const kernels = await loadKernels(backend === undefined ? {} : { backend });
  const operations = models.map((each) => totalOperations(operationsOf(each, corpus, positions)));
  const logits = models.length * model.facts.vocabularySize * corpus.windows.length * positions.count;
  const seconds = estimateSeconds({
    kernels,
    operations: operations.reduce((sum, each) => sum + each, 0),
    logits,
    threads,
  });
  const save = await planSave(request, model, corpus);
  return {
    model,
    ...(compared === undefined ? {} : { reference: { kind: "model", ...compared } }),
    ...(saved === undefined ? {} : { reference: { kind: "saved", saved } }),
    corpus,
    positions,
    ...(save === undefined ? {} : { save }),
    threads,
    ...(backend === undefined ? {} : { backend }),
    kernels: `${kernels.info.backend} ${kernels.info.isa}`,
    memory,
    folder,
    estimate: { seconds, peakMemory: PROCESS_BYTES + threads * THREAD_BYTES + memory.used },
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

/** Windows of the texts, or those of a saved reference; where both are there, they have to be the same. */
async function corpusOf(
  request: EvaluationRequest,
  params: {
    readonly rule: EvaluationRule;
    readonly model: EvaluationModel;
    readonly saved: SavedReference | undefined;
  },
): Promise<EvaluationCorpus> {
  const { sources, limit } = request;
  const { rule, model, saved } = params;
  if (saved !== undefined) {
    const { context, score } = saved.header.rule;
    if (rule.context !== context || rule.score !== score) {
      throw otherWindows(saved, `windows of ${context} tokens, with --score ${score}`);
    }
    if (sources === undefined) {
      if (limit === undefined) return saved.corpus;
      throw otherWindows(saved, `${saved.header.windows} windows, and all of them count`);
    }
  }
  if (sources === undefined) {
    throw new QuernError("EVALUATION_OPTION_INVALID", "sources: expected texts", {
      subject: { key: "sources" },
    });
  }
  const corpus = await evaluationWindows({
    sources,
    tokenizer: request.model.tokenizer,
    rule,
    vocabularySize: model.facts.vocabularySize,
    ...(limit === undefined ? {} : { limit }),
  });
  if (saved !== undefined && saved.header.hash !== corpus.hash) {
    throw otherWindows(
      saved,
      `other windows (${saved.header.domains.join(", ")}, read with ${saved.header.tokenizer})`,
    );
  }
  return corpus;
}

function otherWindows({ header }: SavedReference, has: string): QuernError {
  return new QuernError(
    "EVALUATION_REFERENCE_MISMATCH",
    `the saved reference ${header.model.name} has ${has}: leave texts and rules out to take its own`,
  );
}

/** Both models get the same tokens, whatever the tokenizer of the reference would have made of the texts. */
async function tokenizerWarnings(
  { sources, limit, model }: EvaluationRequest,
  { tokenizer }: EvaluationInput,
  corpus: EvaluationCorpus,
): Promise<QuernError[]> {
  const theirs = await evaluationWindows({
    sources: sources!,
    tokenizer,
    rule: corpus.rule,
    vocabularySize: Number.POSITIVE_INFINITY,
    ...(limit === undefined ? {} : { limit }),
  }).catch((error: unknown) => {
    if (error instanceof QuernError) return undefined;
    throw error;
  });
  if (theirs?.hash === corpus.hash) return [];
  return [
    new QuernError(
      "EVALUATION_TOKENIZERS_DIFFER",
      `${tokenizer.name} reads these texts otherwise than ${model.tokenizer.name}; both models get the tokens of the latter`,
    ),
  ];
}

async function planSave(
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
    sources: source.shards.map((shard) => shard.path),
    force,
  });
  return { path, header, bytes: fileSize, replaces: replaces!, force };
}
