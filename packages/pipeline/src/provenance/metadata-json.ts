import { ggufArray, ggufScalar, type GgufScalar, type GgufValue, type GgufValueType } from "@quern/gguf";
import type { JsonValue, ManifestPair } from "@quern/manifest";
import { QuernError } from "@quern/tensor";

/** Types whose numbers can be too large for those of JSON. */
const WIDE: ReadonlySet<string> = new Set(["uint64", "int64"]);
const TEXT_TYPES: ReadonlySet<string> = new Set(["string"]);

/** GGUF metadata as JSON. */
export function metadataToJson(metadata: ReadonlyMap<string, GgufValue>): ManifestPair[] {
  return [...metadata].map(([key, value]) => ({ key, type: value.type, value: toJson(value) }));
}

/** What {@link metadataToJson} was made of. @throws QuernError `MANIFEST_INVALID` */
export function metadataFromJson(pairs: readonly ManifestPair[]): Map<string, GgufValue> {
  return new Map(pairs.map(({ key, type, value }) => [key, fromJson(key, type, value)]));
}

function toJson(value: GgufValue): JsonValue {
  if (value.type !== "array") return scalarToJson(value.value);
  const elements = [...value].map((element) =>
    typeof element === "object" ? toJson(element) : scalarToJson(element),
  );
  return { elements: value.elements, values: elements };
}

function scalarToJson(value: GgufScalar): JsonValue {
  if (typeof value === "bigint") return value.toString();
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

function fromJson(key: string, type: string, json: JsonValue): GgufValue {
  try {
    if (type !== "array") return ggufScalar(type as never, scalarFromJson(type, json));
    const { elements, values } = json as { elements: GgufValueType; values: readonly JsonValue[] };
    return ggufArray(
      elements,
      values.map((value) =>
        elements === "array" ? fromJson(key, "array", value) : scalarFromJson(elements, value),
      ) as never,
    );
  } catch (cause) {
    throw new QuernError("MANIFEST_INVALID", `metadata key "${key}": the value is no ${type} of GGUF`, {
      subject: { key },
      cause,
    });
  }
}

function scalarFromJson(type: string, json: JsonValue): GgufScalar {
  if (WIDE.has(type)) return BigInt(json as string);
  if (typeof json === "string" && !TEXT_TYPES.has(type)) return Number(json);
  if (typeof json === "object") throw new TypeError("expected no object");
  return json;
}
