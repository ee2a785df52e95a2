export { openLayeredModel } from "../layers/linear-layers.ts";
export { planBlockRounding } from "./plan-block-rounding.ts";
export { estimateRoundingSeconds } from "./rounding-duration.ts";
