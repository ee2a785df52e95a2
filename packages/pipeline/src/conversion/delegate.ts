import type { Delegate } from "../delegate.ts";
import type { ConversionPlan } from "../plan.ts";
import type { TensorOutcome } from "./tensor-converter.ts";
import type { TensorPart } from "./tensor-places.ts";

/** Somebody else who converts tensors of a plan, each for some outputs. */
export type ConversionDelegate = Delegate<ConversionPlan, TensorPart, TensorOutcome>;
