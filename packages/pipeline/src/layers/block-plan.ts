import type { InputSource, InputStatistics } from "@quern/statistics";
import type { MemberSpec } from "@quern/quantize";
import type {
  LayerResources,
  PlannedBlockCheck,
  PlannedFolding,
  PlannedMatrix,
  PlannedStage,
} from "./plan.ts";
import type { Target } from "./tasks/target.ts";

/** A matrix of a GGUF tensor that is rounded by what is known of its inputs: the tensor itself, or one of a stack. */
export interface PlannedBlockMatrix extends PlannedMatrix {
  /** Position of the tensor among those of the plan. */
  readonly tensor: number;
  /** Its name in the model. */
  readonly name: string;
  /** Number of the matrix in its stack, and how many there are. */
  readonly matrix: number;
  readonly matrices: number;
  /** ggml type to write. */
  readonly type: string;
  /** Bytes of a row in it. */
  readonly rowSize: number;
  /** Type that weights pass through first where they are rounded as ggml does. */
  readonly via?: string;
  /** Whether importance weights steer ggml's rounding. */
  readonly usesImportance: boolean;
  /** Places of its first row, in each output that has it. */
  readonly targets: readonly Target[];
}

/** What of a conversion is rounded by what is known of inputs. */
export interface BlockRounding {
  /** "gptq" */
  readonly name: string;
  /** In the order of the computation. */
  readonly stages: readonly PlannedStage<PlannedBlockMatrix>[];
  readonly inputs: InputSource;
  readonly resources: LayerResources;
  /** One after the other. */
  readonly transforms: readonly MemberSpec[];
  /** Where the transforms are folded in: before anything of the model is rounded, or of a block where inputs follow what layers become. */
  readonly foldings: readonly PlannedFolding[];
  /** Blocks that transforms change: each is compared with what it was. */
  readonly checks: readonly PlannedBlockCheck[];
  /** What is known of inputs once factors have been folded in. */
  readonly changeInputs?: (
    planned: PlannedBlockMatrix,
    statistics: InputStatistics,
  ) => Promise<InputStatistics>;
  /** How many tensors there are, each counted once. */
  readonly tensors: number;
  /** Matrices of stacks with fewer inputs than columns, which are rounded by importance alone; as far as that is known. */
  readonly withoutInputs: readonly string[];
}

/** Whether there are too few inputs of a matrix to round it by them: of experts of a stack, each sees only some of the tokens. */
export function seesTooFew(
  { matrices, linear: { columns } }: Pick<PlannedBlockMatrix, "matrices" | "linear">,
  tokens: number,
): boolean {
  return tokens === 0 || (matrices > 1 && tokens < columns);
}
