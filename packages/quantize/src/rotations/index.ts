export { randomizedHadamard, rotateInputs, rotateOutputs } from "./rotation.ts";
export type { Rotation } from "./rotation.ts";
