import { type MemberSpec, type Rounding, ROUNDINGS } from "@quern/quantize";
import { makeMember } from "./make-member.ts";
import type { LinearLayer, ResolvedRecipe } from "./resolved.ts";

/** What has to be known of a model that runs while it is quantized. */
export interface InputsAlong {
  /** What changes the model before its layers are rounded. */
  readonly transforms: readonly MemberSpec[];
  /** Whether a rounding compares inputs with those of the model as it was (GPTAQ). */
  readonly cross: boolean;
  /** Whether the output layer is rounded, too. */
  readonly output: boolean;
}

/** What a recipe needs of a model that runs while it is quantized. @param linears The layers that it was resolved for. */
export function inputsAlong(resolved: ResolvedRecipe, linears: readonly LinearLayer[]): InputsAlong {
  const quantized = resolved.decisions.flatMap((decision) => (decision.keep === true ? [] : [decision]));
  const outputs = new Set(linears.filter(({ role }) => role === "output").map(({ module }) => module));
  return {
    transforms: resolved.transforms,
    cross: quantized.some(({ treatment }) =>
      makeMember<Rounding>(ROUNDINGS, treatment.rounding).needs.includes("cross"),
    ),
    output: quantized.some(({ module }) => outputs.has(module)),
  };
}
