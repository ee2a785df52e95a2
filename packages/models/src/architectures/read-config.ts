import { QuernError } from "@quern/tensor";
import { isJsonObject, type JsonObject, readJsonObject } from "../json-file.ts";
import type { CheckpointFiles } from "../model.ts";
import type { Architecture } from "./architecture.ts";
import { Config } from "./config.ts";

/**
 * Reads config.json, as it stands and as a configuration, in which the text model's values come before those of a model of
 * several parts.
 *
 * @throws QuernError `MODEL_CONFIG_MISSING`, and the codes of `readJsonObject`
 */
export async function readConfig(files: CheckpointFiles): Promise<{ json: JsonObject; config: Config }> {
  const json = await readJsonObject(files, "config.json");
  if (json === undefined) {
    throw new QuernError("MODEL_CONFIG_MISSING", `${files.name} has no config.json`, {
      subject: { file: "config.json" },
    });
  }
  const text = json["text_config"];
  return { json, config: new Config(isJsonObject(text) ? { ...json, ...text } : json) };
}

/** The configuration with the values that transformers would fill in. */
export function fillIn(
  config: Config,
  { defaults = {}, derived = {}, overrides = {} }: Architecture,
): Config {
  let filled = config.with(Object.fromEntries(Object.entries(defaults).filter(([key]) => !config.has(key))));
  for (const [key, value] of Object.entries(derived)) {
    if (filled.value(key) === undefined) filled = filled.with({ [key]: value(filled) ?? null });
  }
  return filled.with(overrides);
}
