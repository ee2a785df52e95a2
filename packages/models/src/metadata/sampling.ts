import { ggufFloat32, ggufInt32, ggufString } from "@quern/gguf";
import type { GgufMetadata, GgufValue } from "@quern/gguf";
import type { JsonObject } from "../json-file.ts";

interface SamplingKey {
  /** Last part of `general.sampling.*`. */
  readonly key: string;
  /** Keys of generation_config.json; the first that is there counts. */
  readonly sources: readonly string[];
  /** @returns undefined when GGUF cannot hold the value */
  readonly toValue: (value: unknown) => GgufValue | undefined;
}

/** In the order of gguf-py metadata.py `set_gguf_meta_model`. */
const SAMPLING_KEYS: readonly SamplingKey[] = [
  { key: "sequence", sources: ["sequence"], toValue: text },
  { key: "top_k", sources: ["top_k"], toValue: integer },
  { key: "top_p", sources: ["top_p"], toValue: real },
  { key: "min_p", sources: ["min_p"], toValue: real },
  { key: "xtc_probability", sources: ["xtc_probability"], toValue: real },
  { key: "xtc_threshold", sources: ["xtc_threshold"], toValue: real },
  { key: "temp", sources: ["temperature"], toValue: real },
  { key: "penalty_last_n", sources: ["penalty_last_n"], toValue: integer },
  { key: "penalty_repeat", sources: ["penalty_repeat", "repetition_penalty"], toValue: real },
  { key: "mirostat", sources: ["mirostat"], toValue: integer },
  { key: "mirostat_tau", sources: ["mirostat_tau"], toValue: real },
  { key: "mirostat_eta", sources: ["mirostat_eta"], toValue: real },
];

/** Sampling parameters that the authors recommend, from generation_config.json. Values of a wrong kind are left out. */
export function samplingMetadata(generationConfig: JsonObject): GgufMetadata {
  const metadata: GgufMetadata = new Map();
  for (const { key, sources, toValue } of SAMPLING_KEYS) {
    const source = sources.find((candidate) => candidate in generationConfig);
    const value = source === undefined ? undefined : toValue(generationConfig[source]);
    if (value !== undefined) metadata.set(`general.sampling.${key}`, value);
  }
  return metadata;
}

function text(value: unknown): GgufValue | undefined {
  return typeof value === "string" && value !== "" ? ggufString(value) : undefined;
}

function integer(value: unknown): GgufValue | undefined {
  return typeof value === "number" && (value | 0) === value ? ggufInt32(value) : undefined;
}

function real(value: unknown): GgufValue | undefined {
  return typeof value === "number" ? ggufFloat32(value) : undefined;
}
