import type { Checkpoint } from "@quern/checkpoints";
import { describeModel } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { Inspection, InspectedValue, JsonValue } from "./inspection.ts";
import { inspectJson } from "./json-value.ts";

const configFile = "config.json";

/** @throws QuernError `CONFIG_INVALID` when config.json is not a JSON object */
export async function inspectCheckpoint(checkpoint: Checkpoint): Promise<Inspection> {
  return {
    format: "checkpoint",
    files: checkpoint.shards.map(({ name, size }) => ({ name, size })),
    facts: [["as GGUF", await convertibility(checkpoint)]],
    metadata: inspectConfig(await checkpoint.files.read(configFile)),
    tensors: [...checkpoint.tensors.values()].map(({ name, type, shape, size }) => ({
      name,
      type,
      shape,
      bytes: size,
    })),
  };
}

/** The GGUF architecture that the checkpoint would become, or what is in the way. */
async function convertibility(checkpoint: Checkpoint): Promise<string> {
  try {
    return (await describeModel(checkpoint)).architecture;
  } catch (error) {
    if (error instanceof QuernError) {
      return `cannot be converted: ${error.message}`;
    }
    throw error;
  }
}

/** The hyper-parameters stand where other formats have metadata; a checkpoint without them can be looked at all the same. */
function inspectConfig(bytes: Uint8Array | undefined): Map<string, InspectedValue> {
  if (bytes === undefined) {
    return new Map();
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
  return new Map(
    Object.entries(config as Record<string, JsonValue>).map(([key, value]) => [key, inspectJson(value)]),
  );
}
