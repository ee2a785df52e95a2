import type { LayerParameters } from "@quern/checkpoints";
import type { MemberSpec, Treatment } from "@quern/quantize";
import type { ElementType, QuernError } from "@quern/tensor";

/** A linear layer that a recipe decides about. */
export interface LinearLayer {
  /** Name of the module as checkpoints have it, without ".weight". */
  readonly module: string;
  /** Outputs. */
  readonly rows: number;
  /** Inputs. */
  readonly columns: number;
  /** What it does in the model, as `@quern/models` says it: "q", "down", "expert-up", "output". */
  readonly role: string;
  /** Element type of its weights; of weights that were quantized, the one that the model computes in. */
  readonly type: ElementType;
}

/** What becomes of a linear layer: it stays as it is. */
export interface KeptLayer {
  readonly module: string;
  readonly keep: true;
}

/** What becomes of a linear layer: how it is rounded, and how it is stored. */
export interface QuantizedLayer {
  readonly module: string;
  readonly keep?: false;
  /** Name of one of the formats of `@quern/checkpoints`. */
  readonly format: string;
  readonly parameters: LayerParameters;
  /** Its grid is the one that the format has for the parameters. */
  readonly treatment: Treatment;
  /** Whether the result is kept only where it beats rounding to nearest on inputs that have been held out. */
  readonly guard: boolean;
  /** How the scale of inputs that are static is chosen. @default by the largest magnitude */
  readonly activations?: { readonly calibrator: MemberSpec };
  /** Whether outputs are made right on average, by the bias of the layer. */
  readonly correctBias: boolean;
}

export type LayerDecision = KeptLayer | QuantizedLayer;

/** What is known of the inputs of layers: nothing, figures by column, `X^T X` too. Each includes those before it. */
export type StatisticsNeed = "none" | "channels" | "hessian";

/** A recipe for a certain model. */
export interface ResolvedRecipe {
  /** Of all layers, in their order. */
  readonly decisions: readonly LayerDecision[];
  /** Members of `TRANSFORMS`, in the order of application, before anything is rounded. */
  readonly transforms: readonly MemberSpec[];
  /** What transforms and treatments need of the inputs of layers. */
  readonly statistics: StatisticsNeed;
  /** `RECIPE_RULE_UNUSED`: a rule that decides about no layer; `RECIPE_LAYERS_UNFIT`: layers of a size that the format cannot hold. @default none */
  readonly warnings?: readonly QuernError[];
}
