import { type Checkpoint, quantizationOf } from "@quern/checkpoints";
import { describeModel, type ModelDescription } from "@quern/models";
import { QuernError } from "@quern/tensor";
import { type Inspection, type JsonValue, weightsOf } from "./inspection.ts";
import { inspectJson } from "./json-value.ts";

const configFile = "config.json";

/** @throws QuernError `CONFIG_INVALID` when config.json is not a JSON object */
export async function inspectCheckpoint(checkpoint: Checkpoint): Promise<Inspection> {
  const model = await described(checkpoint);
  const config = readConfig(await checkpoint.files.read(configFile));
  const quantization = quantizationOf(config);
  const facts: Array<readonly [string, string]> = [
    ["as GGUF", model instanceof QuernError ? `cannot be converted: ${model.message}` : model.architecture],
  ];
  if (quantization !== undefined) facts.push(["quantized", quantization.method]);
  const isPacked = quantization !== undefined && !(model instanceof QuernError);
  return {
    format: "checkpoint",
    files: checkpoint.shards.map(({ name, size }) => ({ name, size })),
    facts,
    metadata: new Map(Object.entries(config).map(([key, value]) => [key, inspectJson(value)])),
    ...(isPacked && { parameters: model.tensors.reduce((sum, { shape }) => sum + weightsOf(shape), 0) }),
    tensors: [...checkpoint.tensors.values()].map(({ name, type, shape, size }) => ({
      name,
      type,
      shape,
      bytes: size,
    })),
  };
}

/** The model as it would be converted, or what is in the way. */
async function described(checkpoint: Checkpoint): Promise<ModelDescription | QuernError> {
  try {
    return await describeModel(checkpoint);
  } catch (error) {
    if (error instanceof QuernError) return error;
    throw error;
  }
}

/** The hyper-parameters stand where other formats have metadata; a checkpoint without them can be looked at all the same. */
function readConfig(bytes: Uint8Array | undefined): Record<string, JsonValue> {
  if (bytes === undefined) {
    return {};
  }
  let config: unknown;
  try {
    config = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new QuernError("CONFIG_INVALID", `${configFile} is not JSON.`, {
      subject: { file: configFile },
      cause,
    });
  }
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new QuernError("CONFIG_INVALID", `${configFile} holds no JSON object.`, {
      subject: { file: configFile },
    });
  }
  return config as Record<string, JsonValue>;
}
