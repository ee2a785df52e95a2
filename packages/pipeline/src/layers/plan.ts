import type { CheckpointTensor, Layer, Loader, QuantizedCheckpointPlan } from "@quern/checkpoints";
import type { KernelBackend, KernelInfo } from "@quern/kernels";
import type { CheckpointOrigin, JsonObject } from "@quern/manifest";
import type { BlockGraph, Folding, FoldingParent, ModelTensor } from "@quern/models";
import type { QuantizedLayer, ResolvedRecipe } from "@quern/recipes";
import type { InputSource, Statistics } from "@quern/statistics";
import type { ElementType, QuernError, TensorInfo } from "@quern/tensor";
import type { RunParts } from "@quern/tensor/node";
import type { CheckpointLinear, LayeredModel } from "./linear-layers.ts";
import type { ProvenanceRequest } from "../plan.ts";
import type { PlannedRotation } from "./planning/plan-rotation.ts";
import type { Target } from "./tasks/target.ts";
import type { Weights } from "./tasks/weights.ts";

export interface PlanCheckpointParams {
  readonly model: LayeredModel;
  readonly recipe: ResolvedRecipe;
  /** Of the recipe, for the model card. */
  readonly recipeName: string;
  /** Folder to write. */
  readonly output: string;
  /** Replace a folder with a model that exists. @default false */
  readonly force?: boolean;
  /** Throw away what an interrupted run has left unfinished, whatever it would have become. @default false */
  readonly restart?: boolean;
  /** What is known of the inputs of layers, of a model as it was. Not with `inputs`. */
  readonly statistics?: Statistics;
  /** Where inputs become known otherwise, such as a source that follows what layers become. Not with `statistics`. */
  readonly inputs?: InputSource;
  /** Programs that must be able to load the result. @default none in particular */
  readonly loaders?: readonly Loader[];
  /** Bytes for Hessians, codes and what is rounded at a time. @default half of the machine's memory */
  readonly memory?: number;
  /** Worker threads; 0 runs in the calling thread. @default the number of available cores */
  readonly threads?: number;
  /** Kernels to run. @default native where they load, else Wasm */
  readonly backend?: KernelBackend;
  /** Most bytes of tensors in a file. @default 5e9 */
  readonly maxShardSize?: number;
  /** Name and version of the program: "quern 1.2.3". */
  readonly tool: string;
  /** Where the model comes from, as the Hub calls it: "Qwen/Qwen3-0.6B". @default unknown */
  readonly baseModel?: string;
  /** What it is going to be called on the Hub, for the commands of its card. @default it is the folder one is in */
  readonly publishedAs?: string;
  /** Says in the files of weights what they are made of, and writes a manifest into the folder. @default neither */
  readonly provenance?: CheckpointProvenance;
  /** Whether the place of the folder is checked; not for a plan that writes nothing, as its bytes are compared. @default true */
  readonly checkPlaces?: boolean;
}

/** What is to be said of where a folder comes from. */
export interface CheckpointProvenance extends ProvenanceRequest {
  /** The recipe as it was before it was resolved, a plain object. */
  readonly recipe: JsonObject;
}

/** A matrix that is rounded, whatever becomes of its codes. */
export interface PlannedMatrix {
  readonly linear: Pick<CheckpointLinear, "rows" | "columns" | "inputs">;
  readonly decision: Pick<QuantizedLayer, "treatment" | "guard">;
  readonly weights: Weights;
  readonly needs: InputNeeds;
  /** What its rounding makes of a Hessian for all rows is the same for layers of a group with the same text here. Absent where it makes nothing. */
  readonly prepares?: string;
  /** How its matrix may be divided. */
  readonly division: RowDivision;
  /** The largest magnitude that its grid is made for is that of all layers of a group with the same name here. */
  readonly sharesLargest?: string;
}

/** A linear layer that is quantized. */
export interface PlannedLinear extends PlannedMatrix {
  readonly linear: CheckpointLinear;
  readonly decision: QuantizedLayer;
  readonly layer: Layer;
  /** Places of its tensors, by what follows the name of the module. */
  readonly targets: ReadonlyMap<string, Target>;
  /** Its bias, where that makes up for what outputs lose on average. */
  readonly bias?: PlannedCopy;
}

export interface RowDivision {
  /** Parts have a multiple of so many rows; all of them where it must not be divided. */
  readonly step: number;
  /** Whether it is rounded as one row. */
  readonly flattened: boolean;
}

/** What is to be known of the inputs of a group. */
export interface InputNeeds {
  readonly channels: boolean;
  readonly hessian: boolean;
  readonly cross: boolean;
  readonly heldOut: boolean;
  readonly histogram: boolean;
}

/** Layers that read the same inputs. */
export interface PlannedGroup<M extends PlannedMatrix = PlannedLinear> {
  readonly inputs?: { readonly module: string; readonly matrix: number };
  readonly needs: InputNeeds;
  /** Whether their Hessian is needed for one thing alone, which is prepared once: then it need not outlast that. */
  readonly consumesHessian: boolean;
  readonly columns: number;
  readonly layers: readonly M[];
  /** Memory that it takes beside what threads work with. */
  readonly bytes: number;
}

/** Groups of which none depends on what another becomes. */
export interface PlannedStage<M extends PlannedMatrix = PlannedLinear> {
  /** Absent outside the blocks. */
  readonly block?: number;
  /** For people: "blk.0.attn_q". */
  readonly name: string;
  readonly groups: readonly PlannedGroup<M>[];
}

/** A place where factors are folded in. */
export interface PlannedFolding {
  readonly folding: Folding;
  /** Those for which the factors are chosen. */
  readonly layers: readonly Pick<PlannedMatrix, "weights" | "decision">[];
  readonly usesHessian: boolean;
  /** What is compared with what it was while factors are chosen, for transforms that do. */
  readonly parent?: PlannedParent;
  /** The norm that is divided, and what the model adds to its weight: factors are fitted to the type in which that is stored. */
  readonly norm?: { readonly weights: Weights; readonly offset: number };
  /** Memory that choosing takes. */
  readonly bytes: number;
}

/** What stands around layers, to be run on inputs that were held out. Plain data. */
export interface PlannedParent {
  readonly parent: FoldingParent;
  /** Inputs on which it is compared, at most. */
  readonly rows: number;
  /** Those that it consists of, the weights of the checkpoint in them, and the tensors that these are made from. */
  readonly tensors: readonly ModelTensor[];
  readonly weights: readonly TensorInfo[];
  readonly sources: readonly CheckpointTensor[];
}

/** A block that is run on a few hidden states, as it was and as it became, before anything is written. */
export interface PlannedBlockCheck {
  readonly graph: BlockGraph;
  /** Elements of a hidden state. */
  readonly width: number;
  /** Those that the block needs, and the tensors of the checkpoint that they are made from. */
  readonly tensors: readonly ModelTensor[];
  readonly sources: readonly CheckpointTensor[];
  /** Memory that it takes. */
  readonly bytes: number;
}

/** A tensor that is copied. */
export interface PlannedCopy {
  /** Name in the files that are written. */
  readonly name: string;
  readonly weights: Weights;
  readonly type: ElementType;
  readonly target: Target;
}

export interface LayerResources {
  /** Worker threads; 0 is the calling thread. */
  readonly threads: number;
  /** Bytes, as asked for. */
  readonly memory: number;
  /** The least with which it could be done. */
  readonly leastMemory: number;
  /** Bytes for the groups that are worked on at once, what threads work with apart. */
  readonly groupMemory: number;
  /** Most weights that a thread rounds at a time, unless a matrix cannot be divided so far. */
  readonly chunkWeights: number;
  /** Estimated peak of the process's resident memory in bytes. */
  readonly peakMemory: number;
}

/** Everything about a quantized checkpoint that is known before weights are read. */
export interface CheckpointPlan {
  readonly model: LayeredModel;
  readonly recipe: ResolvedRecipe;
  readonly recipeName: string;
  /** Absolute path; while it is written it is called `<folder>.partial`. */
  readonly folder: string;
  /** Whether there is a folder now, which is replaced. */
  readonly replaces: boolean;
  /** Whether what an interrupted run has left is thrown away. */
  readonly restart: boolean;
  /** Whether an interrupted run of this plan has left something to go on with, as far as its journal says. */
  readonly resumes: boolean;
  /** What tells the run from others; absent where too little is known of the inputs of layers: then nothing goes on with it. */
  readonly identity?: RunParts;
  readonly checkpoint: QuantizedCheckpointPlan;
  /** In the order of the computation. */
  readonly stages: readonly PlannedStage[];
  /** Where the recipe's transforms are folded in: before anything of the model is rounded, or of a block where inputs follow what layers become. */
  readonly foldings: readonly PlannedFolding[];
  /** How the model is rotated before anything is rounded. */
  readonly rotation?: PlannedRotation;
  /** Of the copies the one that makes an output layer of the embedding. */
  readonly untied?: PlannedCopy;
  /** Blocks that transforms change: each is compared with what it was. */
  readonly checks: readonly PlannedBlockCheck[];
  readonly copies: readonly PlannedCopy[];
  /** Linear layers that stay as they are. */
  readonly kept: readonly string[];
  /** Elements of all tensors. */
  readonly parameters: number;
  /** Bytes of all tensors that are read. */
  readonly sourceBytes: number;
  /** Those of them that come over the network. */
  readonly networkBytes: number;
  /** Those of these that are still to come: not what belongs to tensors that an interrupted run has finished, as far as its journal says. */
  readonly networkBytesLeft: number;
  /** Bytes of all files of weights. */
  readonly fileSize: number;
  readonly bitsPerWeight: number;
  readonly inputs?: InputSource;
  /** What does no harm, or may. */
  readonly warnings: readonly QuernError[];
  readonly kernels: KernelInfo;
  readonly backend?: KernelBackend;
  readonly resources: LayerResources;
  readonly tool: string;
  readonly baseModel?: string;
  readonly publishedAs?: string;
  /** Programs that are known to load all of its layers. */
  readonly loadedBy: readonly Loader[];
  /** What its manifest says of its origin, where its provenance is asked for. */
  readonly origin?: CheckpointOrigin;
}
