import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import type { TextSource, TextTokenizer } from "@quern/corpus";
import type { KernelBackend } from "@quern/kernels";
import type { QuernError } from "@quern/tensor";
import type { Confidence } from "../measures/bootstrap.ts";
import type { SavedReference } from "../node/open-reference.ts";
import type { ReferenceHeader } from "../reference/reference-header.ts";
import type { EvaluationRule, ScoredPositions } from "../windows/evaluation-rule.ts";
import type { EvaluationCorpus } from "../windows/evaluation-windows.ts";
import type { MemoryDivision } from "./divide-memory.ts";
import type { EvaluationModel } from "./evaluation-model.ts";

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
  /** Whether a model that is compared with has gone through its blocks before, by `runReference`: its hidden states are in a file. @default false */
  readonly keepsReference?: boolean;
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
  /** Where the reference is a model that `runReference` runs: the file of its hidden states, and how long that takes. */
  readonly kept?: { readonly bytes: number; readonly seconds: number };
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
