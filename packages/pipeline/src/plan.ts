import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import type { GgufLayout } from "@quern/gguf";
import type { KernelBackend, KernelInfo } from "@quern/kernels";
import type { ModelTensor } from "@quern/models";
import type { QuernError } from "@quern/tensor";
import type { MemberSpec } from "@quern/quantize";
import type { ManifestCalibration, ManifestOrigin, ManifestSource, ManifestTool } from "@quern/manifest";
import type { Importance, InputSource, Statistics } from "@quern/statistics";
import type { ConversionIdentity } from "./journal/identity.ts";
import type { BlockRounding } from "./layers/block-plan.ts";
import type { PlannedHessians } from "./planning/find-hessians.ts";
import type { Flavour, OutputRequest } from "./recipe.ts";

/** Where weights come from: a Hugging Face checkpoint, or GGUF files. */
export type ModelSource = Checkpoint | GgufModel;

export interface PlanParams {
  readonly checkpoint: ModelSource;
  /** At least one; all are written in one pass over the weights. */
  readonly outputs: readonly OutputRequest[];
  /** Folder for outputs without a path. @default the current directory */
  readonly directory?: string;
  /** Replace output files that exist. @default false */
  readonly force?: boolean;
  /** Throw away what an interrupted run has left, instead of going on with it. @default false */
  readonly restart?: boolean;
  /** Weights of the columns, for all outputs of the quantizer's flavour. */
  readonly importance?: Importance;
  /** Pre-tokenizer name instead of the one that is derived from tokenizer.json; not for GGUF. */
  readonly preTokenizer?: string;
  /**
   * Bytes for buffers, all workers together; the process needs about `resources.peakMemory` in all.
   *
   * @default a quarter of the machine's memory, at most 256 MiB
   */
  readonly memory?: number;
  /** Worker threads; 0 runs in the calling thread. @default the number of available cores */
  readonly threads?: number;
  /** Kernels to run. @default native where they load, else Wasm */
  readonly backend?: KernelBackend;
  /**
   * Measure what becomes of all weights that are rounded; those that are quantized again always are. Where `importance` is a statistics file
   * with Hessians, so are the outputs of their layers, which takes longer than converting.
   *
   * @default false
   */
  readonly measureErrors?: boolean;
  /** Program and version that files are made by: another one does not go on with them. @default "quern" */
  readonly tool?: string;
  /** Absolute paths of files that the caller is going to write besides, such as a report: checked with the outputs. */
  readonly companions?: readonly string[];
  /** Rounds linear layers of the blocks by what is known of their inputs, where their type has a grid; "quantizer" only. */
  readonly rounding?: RoundingRequest;
  /** Says in the metadata of outputs what they are made of, and keeps a place beside each for its manifest. @default neither */
  readonly provenance?: ProvenanceRequest;
  /** Whether the places of outputs are checked; not for a plan that writes nothing, as its bytes are compared. @default true */
  readonly checkPlaces?: boolean;
}

/** What is to be said of where files come from. */
export interface ProvenanceRequest {
  readonly tool: ManifestTool;
  /** What is known of the inputs of layers, where something is. */
  readonly calibration?: ManifestCalibration;
  /** What is said of the source. @default what it is */
  readonly source?: ManifestSource;
}

/** How layers are rounded by what is known of their inputs. */
export interface RoundingRequest {
  /** One of the roundings of `@quern/quantize` that need a Hessian; with the options that are best for blocks of ggml, unless given. */
  readonly method: MemberSpec;
  /** Of checkpoints, with statistics: transforms whose factors are folded into the weights before anything is rounded. @default none */
  readonly transforms?: readonly MemberSpec[];
  /** What is known of a model as it was. Not with `inputs`. */
  readonly statistics?: Statistics;
  /** Where inputs become known otherwise, such as a source that follows what layers become; for a single output. Not with `statistics`. */
  readonly inputs?: InputSource;
}

/** Why a tensor does not get the type that its recipe wants for it. */
export interface TensorFallback {
  /** ggml type that the recipe wanted. */
  readonly from: string;
  /** For people: "256 columns are not a multiple of 512". */
  readonly reason: string;
}

/** A tensor of one output. */
export interface PlannedTensor {
  /** GGUF name. */
  readonly name: string;
  /** Name of the model's tensor that it is made from: another one where layers in front of it are left out. */
  readonly source: string;
  /** Index of its file among those of the output. */
  readonly file: number;
  /** ggml type. */
  readonly type: string;
  /** ggml order: the contiguous dimension first. */
  readonly ne: readonly number[];
  /** Absolute byte offset in the file. */
  readonly offset: number;
  /** Bytes without padding. */
  readonly size: number;
  readonly fallback?: TensorFallback;
  /** Whether its bytes are there already, and are copied. */
  readonly packed: boolean;
  /** Whether it was quantized already: the change adds to its error, and is measured. */
  readonly requantized: boolean;
  /** Type that the weights pass through first, where that rounds them. */
  readonly via?: string;
  /** Whether importance weights steer its quantization. */
  readonly usesImportance: boolean;
  /** How it is rounded by what is known of its inputs: "gptq". Absent where it is rounded as ggml does. */
  readonly rounding?: string;
}

/** A file of an output. */
export interface PlannedFile {
  /** Absolute path of the finished file; while it is written it is called `<path>.partial`. */
  readonly path: string;
  /** Whether a file is there now, which the finished one will replace. */
  readonly replaces: boolean;
  readonly fileSize: number;
  readonly layout: GgufLayout;
}

/** A model to write. */
export interface PlannedOutput {
  /** Name of the recipe: "Q4_K_M" ("auto" is resolved). */
  readonly type: string;
  readonly flavour: Flavour;
  /** Floating-point type of the virtual intermediate file; absent for the converter's flavour, and for GGUF. */
  readonly intermediate?: string;
  /** One, or the files of a split set in order. */
  readonly files: readonly PlannedFile[];
  /** Bytes of all files together. */
  readonly fileSize: number;
  /** Bits of tensor data per parameter. */
  readonly bitsPerWeight: number;
  /** In the order of the files. */
  readonly tensors: readonly PlannedTensor[];
  /** Where its provenance is asked for: the absolute path of its manifest, and what that says of its origin. */
  readonly manifest?: { readonly path: string; readonly origin: ManifestOrigin };
}

export interface PlannedResources {
  /** Worker threads; 0 is the calling thread. */
  readonly threads: number;
  /** Bytes for buffers, all workers together. */
  readonly memory: number;
  /** Parts of tensors that a worker has in hand at once: while its kernels work on one, others are being read or written. */
  readonly slabsInFlight: number;
  /** Estimated peak of the process's resident memory in bytes. */
  readonly peakMemory: number;
  /** Estimated duration. */
  readonly seconds: number;
}

/** Everything about a conversion that is known before weights are read. */
export interface ConversionPlan {
  /** Program and version that files are made by. */
  readonly tool: string;
  /** What tells the conversion from others: only the same one goes on with files that it has left unfinished. */
  readonly identity: ConversionIdentity;
  readonly checkpoint: ModelSource;
  /** GGUF architecture name: "llama". */
  readonly architecture: string;
  /** Elements of all tensors that are made. */
  readonly parameters: number;
  /** Bytes of weights that are read. */
  readonly sourceBytes: number;
  /** Those of them that come over the network. */
  readonly networkBytes: number;
  /** Those of these that are still to come: not what belongs to tensors that an interrupted run has finished, as far as its journal says. */
  readonly networkBytesLeft: number;
  /** Tensors that are made, for whichever output, in the order in which llama.cpp's converter writes them or GGUF has them. */
  readonly tensors: readonly ModelTensor[];
  readonly outputs: readonly PlannedOutput[];
  readonly importance?: Importance;
  /** What is rounded by inputs. */
  readonly rounding?: BlockRounding;
  /**
   * What does no harm: errors of files of little weight (model card, generation_config.json), which are left out; importance weights
   * that are missing or fit no tensor; rules for types that have no effect; `OUTPUT_STRAY_SPLITS`, files of another division of the
   * same output.
   */
  readonly warnings: readonly QuernError[];
  /** Whether what becomes of all weights that are rounded is measured. */
  readonly measuresErrors: boolean;
  /** What errors of outputs are measured with, where errors are and a statistics file has it. */
  readonly hessians?: PlannedHessians;
  /** Whether files that exist when an output is finished are replaced. */
  readonly force: boolean;
  /** Whether what an interrupted run has left is thrown away. */
  readonly restart: boolean;
  /** Whether an interrupted run of this conversion has left something to go on with, as far as its journal says. */
  readonly resumes: boolean;
  /** Kernels that were asked for; the best that load unless given. */
  readonly backend?: KernelBackend;
  /** Kernels that load, as every worker is going to do. */
  readonly kernels: KernelInfo;
  readonly resources: PlannedResources;
}
