import { QuernError } from "@quern/tensor";
import { isJsonObject, readJson, readJsonObject } from "../json-file.ts";
import type { CheckpointFiles } from "../model.ts";

/** llama.cpp's numbers (gguf-py, `PoolingType`) by the switches that sentence-transformers writes, the first that is on counts. */
const SWITCHES: readonly (readonly [key: string, pooling: number])[] = [
  ["pooling_mode_mean_tokens", 1],
  ["pooling_mode_cls_token", 2],
  ["pooling_mode_lasttoken", 3],
];
const MODES: ReadonlyMap<unknown, number> = new Map([
  ["mean", 1],
  ["cls", 2],
  ["lasttoken", 3],
]);

/**
 * The pooling of a sentence-transformers repository: modules.json names the folder that says which.
 *
 * @returns undefined when the repository has no pooling
 * @throws QuernError `MODEL_UNSUPPORTED` for poolings that llama.cpp lacks, and the codes of `readJson`
 */
export async function readPoolingType(files: CheckpointFiles): Promise<number | undefined> {
  const modules = await readJson(files, "modules.json");
  const list: readonly unknown[] = Array.isArray(modules) ? modules : [];
  const module = list.find((entry) => isJsonObject(entry) && String(entry["type"]).endsWith("Pooling"));
  const folder = isJsonObject(module) ? module["path"] : undefined;
  if (typeof folder !== "string") return undefined;
  const path = `${folder}/config.json`;
  const pooling = await readJsonObject(files, path);
  if (pooling === undefined) return undefined;
  const found = SWITCHES.find(([key]) => pooling[key] === true)?.[1] ?? MODES.get(pooling["pooling_mode"]);
  if (found !== undefined) return found;
  throw new QuernError("MODEL_UNSUPPORTED", `${path}: expected pooling by mean, cls or last token`, {
    subject: { file: path },
  });
}
