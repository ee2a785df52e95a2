import type { SafetensorsMetadata } from "safetensors-js";
import type {
  StatisticsCorpusPart,
  StatisticsDescription,
  StatisticsInput,
  StatisticsModel,
} from "./description.ts";
import { ReadJson } from "./json-value.ts";

export const FORMAT = "quern-statistics";
export const VERSION = "1";

/** The text in the header of a file. */
export function encodeDescription(description: StatisticsDescription): Record<string, string> {
  const { model, corpus, inputs, tool, options } = description;
  const { name, architecture, identity, tensors } = model;
  return {
    format: FORMAT,
    version: VERSION,
    tool,
    model: JSON.stringify({ name, architecture, identity }),
    tensors: JSON.stringify(tensors.map(({ name, shape }) => [name, shape])),
    corpus: JSON.stringify({
      rule: { kind: corpus.rule.kind, length: corpus.rule.length },
      calibration: partOf(corpus.calibration),
      ...(corpus.holdOut === undefined ? {} : { holdOut: partOf(corpus.holdOut) }),
    }),
    options: JSON.stringify(options),
    inputs: JSON.stringify(inputs.map(inputOf)),
  };
}

/** What is stored, whatever else the caller's objects have. */
function partOf({ sources, windows, tokens, hash }: StatisticsCorpusPart): StatisticsCorpusPart {
  return {
    sources: sources.map(({ name, windows, tokens }) => ({ name, windows, tokens })),
    windows,
    tokens,
    hash,
  };
}

function inputOf(input: StatisticsInput): StatisticsInput {
  const { name, modules, columns, matrices, rowsPerToken, block, hessian, holdOutRows, windows } = input;
  return {
    name,
    modules,
    columns,
    matrices,
    rowsPerToken,
    block,
    hessian,
    holdOutRows,
    ...(windows && { windows: { rows: windows.rows, starts: windows.starts } }),
  };
}

/**
 * The reverse of {@link encodeDescription}, for text that may be anything.
 *
 * @param error Makes an error of a problem with a key.
 */
export function decodeDescription(
  metadata: SafetensorsMetadata,
  error: (problem: string, key: string) => Error,
): StatisticsDescription {
  const text = (key: string): string => {
    const value = metadata[key];
    if (value === undefined) throw error(`the metadata have no "${key}"`, key);
    return value;
  };
  const json = (key: string): ReadJson => {
    return ReadJson.parse({ text: text(key), place: key, error: (problem) => error(problem, key) });
  };
  if (metadata["format"] !== FORMAT) throw error("not a statistics file", "format");
  if (text("version") !== VERSION) {
    throw error(`the version of the statistics is "${text("version")}": expected "${VERSION}"`, "version");
  }
  const corpus = json("corpus");
  const rule = corpus.member("rule");
  const length = rule.member("length").count;
  if (length === 0) throw error("windows are said to have no tokens: expected at least one", "corpus");
  const holdOut = corpus.optionalMember("holdOut");
  return {
    tool: text("tool"),
    model: { ...readModel(json("model")), tensors: json("tensors").array.map(readTensor) },
    corpus: {
      rule: { kind: rule.member("kind").string, length },
      calibration: readPart(corpus.member("calibration")),
      ...(holdOut === undefined ? {} : { holdOut: readPart(holdOut) }),
    },
    options: json("options").object,
    inputs: json("inputs").array.map(readInput),
  };
}

function readModel(model: ReadJson): Omit<StatisticsModel, "tensors"> {
  return {
    name: model.member("name").string,
    architecture: model.member("architecture").string,
    identity: model.member("identity").string,
  };
}

function readTensor(tensor: ReadJson): StatisticsModel["tensors"][number] {
  return {
    name: tensor.element(0).string,
    shape: tensor.element(1).array.map(({ count }) => count),
  };
}

function readPart(part: ReadJson): StatisticsCorpusPart {
  return {
    sources: part.member("sources").array.map((source) => ({
      name: source.member("name").string,
      windows: source.member("windows").count,
      tokens: source.member("tokens").count,
    })),
    windows: part.member("windows").count,
    tokens: part.member("tokens").count,
    hash: part.member("hash").string,
  };
}

function readInput(input: ReadJson): StatisticsInput {
  const windows = input.optionalMember("windows");
  return {
    name: input.member("name").string,
    modules: input.member("modules").array.map(({ string }) => string),
    columns: input.member("columns").count,
    matrices: input.member("matrices").count,
    rowsPerToken: input.member("rowsPerToken").count,
    block: input.member("block").count,
    hessian: input.member("hessian").boolean,
    holdOutRows: input.member("holdOutRows").count,
    ...(windows && {
      windows: {
        rows: windows.member("rows").count,
        starts: windows.member("starts").array.map(({ count }) => count),
      },
    }),
  };
}
