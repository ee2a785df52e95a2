import type { TensorInfo } from "@quern/tensor";
import { readConfig } from "./architectures/read-config.ts";
import { architectureOf } from "./architectures/registry.ts";
import { dequantizedTensors } from "./dequantized-tensors.ts";
import type { TensorExpression } from "./expressions/expression.ts";
import { source } from "./expressions/operations/source.ts";
import type { JsonObject } from "./json-file.ts";
import type { ModelInput } from "./model.ts";

/** A tensor of a checkpoint as it would be if nothing in it were quantized. */
export interface PlainTensor {
  /** Of weights that are dequantized F32. */
  readonly info: TensorInfo;
  readonly expression: TensorExpression;
  /** Whether it is stored quantized. */
  readonly quantized: boolean;
}

/**
 * The tensors of a checkpoint under their own names, quantized layers as the weights that they stand for.
 *
 * @returns them by name, in the order of the checkpoint, and config.json
 * @throws QuernError `MODEL_CONFIG_MISSING`, `MODEL_UNSUPPORTED`, `CHECKPOINT_QUANTIZATION_UNKNOWN`, `CHECKPOINT_QUANTIZATION_INVALID` and the codes of files that
 * are not what they should be
 */
export async function plainTensors(
  input: Pick<ModelInput, "files" | "tensors" | "readTensor">,
): Promise<{ readonly tensors: ReadonlyMap<string, PlainTensor>; readonly config: JsonObject }> {
  const { json, config } = await readConfig(input.files);
  const { exchanged } = architectureOf(config);
  const { tensors, expressions } = await dequantizedTensors(json, input, exchanged);
  return {
    config: json,
    tensors: new Map(
      [...tensors].map(([name, info]) => {
        const expression = expressions.get(name);
        return [name, { info, expression: expression ?? source(name), quantized: expression !== undefined }];
      }),
    ),
  };
}
