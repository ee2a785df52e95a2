import type { InspectedValue, JsonValue } from "./inspection.ts";

/** A value of a JSON document (config.json, safetensors metadata) for inspection. */
export function inspectJson(value: JsonValue): InspectedValue {
  if (Array.isArray(value)) {
    return { type: "array", length: value.length, value: (limit) => value.slice(0, limit) as JsonValue[] };
  }
  return { type: value === null ? "null" : typeof value, value: () => value };
}
