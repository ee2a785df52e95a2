import type { MemberSpec } from "@quern/quantize";
import type { ElementType } from "@quern/tensor";

/** How the weights of layers are stored, whatever model they are of. */
export interface RecipeParameters {
  /** Bits of a code. */
  readonly bits: number;
  /** Which weights share a scale: so many inputs of an output, all of an output, the whole layer, or squares of 128 x 128. */
  readonly groupSize: number | "channel" | "tensor" | "block";
  /** Whether codes are as many above 0 as below. @default true */
  readonly symmetric?: boolean;
  /** Element type of scales; "weights": that of the weights, BF16 where it is neither BF16 nor F16. @default "weights" */
  readonly scaleType?: ElementType | "weights";
  /** Whether scales are quantized too (bitsandbytes). @default false */
  readonly doubleQuantized?: boolean;
  /** How the inputs of layers are quantized when the model runs. @default not at all */
  readonly activations?: "dynamic" | "static";
}

/** How layers are rounded and stored. */
export interface LayerRecipe {
  /** Name of one of the formats of `@quern/checkpoints`. */
  readonly format: string;
  readonly parameters: RecipeParameters;
  /** A member of `ROUNDINGS`. */
  readonly rounding: MemberSpec;
  /** A member of `CALIBRATORS`: which range the codes of a group span. @default that of its weights */
  readonly calibrator?: MemberSpec;
  /** Whether ranges are searched by the error of outputs. @default false */
  readonly searchInHessian?: boolean;
  /** Whether the result is kept only where it beats rounding to nearest on held-out inputs. @default where the rounding needs a Hessian */
  readonly guard?: boolean;
  /** How the stored scales of inputs are chosen, where `parameters.activations` is "static". @default the largest magnitude has the largest code */
  readonly activations?: {
    /** A member of `CALIBRATORS`. */
    readonly calibrator: MemberSpec;
  };
  /** Whether biases make outputs right on average. @default false */
  readonly correctBias?: boolean;
  /**
   * What becomes of layers whose size the format cannot hold, such as inputs that do not divide into groups: the plan is refused, they stay
   * as they are, or have one scale for each output. @default "refuse"
   */
  readonly unfit?: Unfit;
}

export type Unfit = "refuse" | "keep" | "channel";

/** What is different for some layers. Layers that both `modules` and `roles` match are meant; the first rule that matches decides. */
export interface Rule extends Partial<Omit<LayerRecipe, "parameters">> {
  /** Regular expression, searched for anywhere in the names of modules. @default all */
  readonly modules?: string;
  /** What layers do: "q", "k", "v", "o", "gate", "up", "down", "expert-down", "output". @default all */
  readonly roles?: readonly string[];
  /** Whether layers stay as they are. @default false */
  readonly keep?: boolean;
  /** Those that are other than the recipe's. */
  readonly parameters?: Partial<RecipeParameters>;
}

/**
 * How a model is quantized: a point of the space of containers, grids, roundings and transforms, with exceptions. Plain JSON. The
 * output layer and routers stay as they are unless a rule matches them.
 */
export interface QuantizationRecipe extends LayerRecipe {
  readonly name: string;
  /** In one line. */
  readonly description: string;
  /** Members of `TRANSFORMS`, in the order of application. @default none */
  readonly transforms?: readonly MemberSpec[];
  /** @default none */
  readonly rules?: readonly Rule[];
}
