import {
  type MemberSpec,
  type RotationTransform,
  type Rounding,
  ROUNDINGS,
  type Transform,
  TRANSFORMS,
} from "@quern/quantize";
import { makeMember } from "./make-member.ts";
import type { LayerRecipe } from "./recipe.ts";
import type { StatisticsNeed } from "./resolved.ts";

const ORDER: readonly StatisticsNeed[] = ["none", "channels", "hessian"];

/** The need that includes all of some. */
export function mostOf(needs: Iterable<StatisticsNeed>): StatisticsNeed {
  return ORDER[Math.max(0, ...[...needs].map((need) => ORDER.indexOf(need)))]!;
}

/** Whether a rounding asks for the Hessian of inputs. */
export function needsHessian(rounding: MemberSpec): boolean {
  return makeMember<Rounding>(ROUNDINGS, rounding).needs.includes("hessian");
}

/** What has to be known of the inputs of a layer to round it. */
export function layerNeed(layer: LayerRecipe): StatisticsNeed {
  const { rounding, searchInHessian = false, correctBias = false, parameters } = layer;
  if (searchInHessian || needsHessian(rounding)) return "hessian";
  return parameters.activations === "static" || correctBias ? "channels" : "none";
}

/** What has to be known of inputs to choose factors; rotations look at nothing. */
export function transformNeed(spec: MemberSpec): StatisticsNeed {
  const transform = makeMember<Transform | RotationTransform>(TRANSFORMS, spec);
  if ("rotates" in transform) return "none";
  return transform.needs.includes("hessian") ? "hessian" : "channels";
}
