import { addOperation } from "./operations/add.ts";
import { concatenateOperation } from "./operations/concatenate.ts";
import { dequantizeOperation } from "./operations/dequantize.ts";
import { packMxfp4Operation } from "./operations/pack-mxfp4.ts";
import { permuteOperation } from "./operations/permute.ts";
import { reshapeOperation } from "./operations/reshape.ts";
import { rotateOperation } from "./operations/rotate.ts";
import { scaleOperation } from "./operations/scale.ts";
import { sliceOperation } from "./operations/slice.ts";
import { sourceOperation } from "./operations/source.ts";
import { stackOperation } from "./operations/stack.ts";
import { toFloat32Operation } from "./operations/to-float32.ts";
import { transposeOperation } from "./operations/transpose.ts";
import { valuesOperation } from "./operations/values.ts";
import { viewOperation } from "./operations/view.ts";
import type { Operation } from "./operation.ts";

/** Every operation by name. Each knows the parameters of its own nodes, which is what the cast forgets. */
export const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  [
    addOperation,
    concatenateOperation,
    dequantizeOperation,
    packMxfp4Operation,
    permuteOperation,
    reshapeOperation,
    rotateOperation,
    scaleOperation,
    sliceOperation,
    sourceOperation,
    stackOperation,
    toFloat32Operation,
    transposeOperation,
    valuesOperation,
    viewOperation,
  ].map((operation) => [operation.name, operation as Operation]),
);
