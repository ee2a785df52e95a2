import { QuernError, type TensorInfo } from "@quern/tensor";
import type { SafetensorsMetadata } from "safetensors-js";
import type { EvaluatedModel } from "../report.ts";
import {
  type EvaluationRule,
  SCORED_PARTS,
  type ScoredPart,
  scoredPositions,
} from "../windows/evaluation-rule.ts";

/** What a file of a reference says of itself. */
export interface ReferenceHeader {
  /** Program that wrote it. */
  readonly tool: string;
  readonly model: EvaluatedModel;
  /** SHA-256 of its tokens; see `vocabularyHash`. */
  readonly vocabulary: string;
  readonly rule: EvaluationRule;
  /** Of the windows; see `EvaluationCorpus`. */
  readonly hash: string;
  readonly tokenizer: string;
  readonly domains: readonly string[];
  readonly windows: number;
  /** Tokens that are kept of each position. */
  readonly likeliest: number;
}

const FORMAT = "quern-reference";
const VERSION = "1";

export function encodeHeader({ tool, ...rest }: ReferenceHeader): Record<string, string> {
  return { format: FORMAT, version: VERSION, tool, reference: JSON.stringify(rest) };
}

/** Tensors of a file: windows in order, and of each its scored positions in order. */
export function referenceTensors({
  rule,
  windows,
  likeliest,
}: ReferenceHeader): Readonly<
  Record<
    "window" | "domain" | "tokens" | "logProbabilities" | "tailMass" | "tailLogProbability" | "right",
    TensorInfo
  >
> {
  const { count } = scoredPositions(rule);
  return {
    window: { name: "windows.tokens", type: "I32", shape: [windows, rule.context] },
    domain: { name: "windows.domain", type: "I32", shape: [windows] },
    tokens: { name: "likeliest.tokens", type: "I32", shape: [windows, count, likeliest] },
    logProbabilities: { name: "likeliest.log_probability", type: "F32", shape: [windows, count, likeliest] },
    tailMass: { name: "tail.probability", type: "F32", shape: [windows, count] },
    tailLogProbability: { name: "tail.mean_log_probability", type: "F32", shape: [windows, count] },
    right: { name: "right.log_probability", type: "F32", shape: [windows, count] },
  };
}

/** @throws QuernError `EVALUATION_REFERENCE_INVALID` */
export function decodeHeader(metadata: SafetensorsMetadata, file: string): ReferenceHeader {
  const fail = (problem: string): never => {
    throw invalidReference(file, problem);
  };
  if (metadata["format"] !== FORMAT) fail("expected a file that --save-reference has written");
  if (metadata["version"] !== VERSION) {
    fail(`its version is ${JSON.stringify(metadata["version"])}: expected "${VERSION}"`);
  }
  const read = reader(parseJson(metadata["reference"], fail), "reference", fail);
  const model = read.object("model");
  const rule = read.object("rule");
  const score = rule.text("score") as ScoredPart;
  if (!SCORED_PARTS.includes(score)) fail(`reference.rule.score is ${JSON.stringify(score)}`);
  return {
    tool: metadata["tool"] ?? fail("there is no tool in its metadata"),
    model: {
      name: model.text("name"),
      architecture: model.text("architecture"),
      identity: model.text("identity"),
      vocabularySize: model.count("vocabularySize"),
      parameters: model.count("parameters"),
      bytes: model.count("bytes"),
      types: model.list("types").map((type) => ({ type: type.text("type"), bytes: type.count("bytes") })),
    },
    vocabulary: read.text("vocabulary"),
    rule: { context: rule.count("context"), score },
    hash: read.text("hash"),
    tokenizer: read.text("tokenizer"),
    domains: read.texts("domains"),
    windows: read.count("windows"),
    likeliest: read.count("likeliest"),
  };
}

export function invalidReference(file: string, problem: string): QuernError {
  return new QuernError("EVALUATION_REFERENCE_INVALID", `${file}: ${problem}`, { subject: { file } });
}

type Fail = (problem: string) => never;

function parseJson(text: string | undefined, fail: Fail): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return fail("the description in its metadata is not JSON");
  }
}

interface ObjectReader {
  text(key: string): string;
  texts(key: string): string[];
  count(key: string): number;
  object(key: string): ObjectReader;
  list(key: string): ObjectReader[];
}

/** Reads members of what should be an object. */
function reader(value: unknown, place: string, fail: Fail): ObjectReader {
  if (typeof value !== "object" || value === null) return fail(`${place} is not an object`);
  const member = <T>(key: string, expected: string, fits: (found: unknown) => found is T): T => {
    const found = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    return fits(found) ? found : fail(`${place}.${key} is not ${expected}`);
  };
  const isText = (found: unknown): found is string => typeof found === "string";
  return {
    text: (key) => member(key, "a text", isText),
    texts: (key) =>
      member(
        key,
        "a list of texts",
        (found): found is string[] => Array.isArray(found) && found.every(isText),
      ),
    count: (key) =>
      member(
        key,
        "a whole number from 0 on",
        (found): found is number => Number.isSafeInteger(found) && (found as number) >= 0,
      ),
    object: (key) =>
      reader(
        member(key, "an object", (found): found is unknown => found !== undefined),
        `${place}.${key}`,
        fail,
      ),
    list: (key) =>
      member(key, "a list", Array.isArray).map((item, index) =>
        reader(item, `${place}.${key}[${index}]`, fail),
      ),
  };
}
