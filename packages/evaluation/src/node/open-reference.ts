import { fileSource } from "@quern/tensor/node";
import { readSafetensors, type SafetensorsFile, type SafetensorsTensor } from "safetensors-js";
import {
  decodeHeader,
  invalidReference,
  type ReferenceHeader,
  referenceTensors,
} from "../reference/reference-header.ts";
import type { ReferenceRows } from "../reference/reference-rows.ts";
import { scoredPositions } from "../windows/evaluation-rule.ts";
import type { EvaluationCorpus, EvaluationWindow } from "../windows/evaluation-windows.ts";

/** What was kept of a reference: the windows, and its most likely tokens at each scored position. */
export interface SavedReference {
  readonly header: ReferenceHeader;
  readonly corpus: EvaluationCorpus;
  /** What is kept of the scored positions of a window. @throws QuernError `EVALUATION_REFERENCE_INVALID`, `SOURCE_*` */
  rows(window: number): Promise<ReferenceRows>;
  /** Closes the file. */
  close(): Promise<void>;
}

/**
 * Opens a file that an evaluation has saved.
 *
 * @param params.name What messages call the file; the path unless given.
 * @throws QuernError `EVALUATION_REFERENCE_INVALID`, `SAFETENSORS_*`, `SOURCE_*`
 */
export async function openReference(path: string, params: { name?: string } = {}): Promise<SavedReference> {
  const source = await fileSource({ path, ...params });
  try {
    const file = await readSafetensors(source);
    const header = decodeHeader(file.metadata, file.name);
    checkHeader(file, header);
    return new ReferenceFile(file, header, await readWindows(file, header));
  } catch (error) {
    await source.close();
    throw error;
  }
}

class ReferenceFile implements SavedReference {
  readonly header: ReferenceHeader;
  readonly corpus: EvaluationCorpus;
  readonly #file: SafetensorsFile;

  constructor(file: SafetensorsFile, header: ReferenceHeader, windows: readonly EvaluationWindow[]) {
    const { rule, hash, tokenizer, domains } = header;
    this.#file = file;
    this.header = header;
    this.corpus = { rule, hash, tokenizer, domains, windows };
  }

  async rows(window: number): Promise<ReferenceRows> {
    const { header } = this;
    const read = (name: TensorName): Promise<ArrayBuffer> => readWindow(this.#file, header, name, window);
    const rows = {
      likeliest: header.likeliest,
      tokens: new Int32Array(await read("tokens")),
      logProbabilities: new Float32Array(await read("logProbabilities")),
      tailMass: new Float32Array(await read("tailMass")),
      tailLogProbability: new Float32Array(await read("tailLogProbability")),
      right: new Float32Array(await read("right")),
    };
    checkTokens(rows.tokens, header.model.vocabularySize, this.#file.name);
    const probabilities = [rows.logProbabilities, rows.tailMass, rows.tailLogProbability, rows.right];
    if (!probabilities.every((values) => values.every(Number.isFinite))) {
      throw invalidReference(this.#file.name, `window ${window} has figures that are not finite`);
    }
    return rows;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

type TensorName = keyof ReturnType<typeof referenceTensors>;

/** Nothing but the metadata decides how much is read, and this that they fit the file. */
function checkHeader(file: SafetensorsFile, header: ReferenceHeader): void {
  const { windows, domains, likeliest, model, rule } = header;
  if (windows === 0 || domains.length === 0) throw invalidReference(file.name, "it has no windows");
  if (likeliest === 0 || likeliest > model.vocabularySize) {
    throw invalidReference(
      file.name,
      `it is said to keep ${likeliest} tokens of a vocabulary of ${model.vocabularySize}`,
    );
  }
  scoredPositions(rule);
  for (const { name, type, shape } of Object.values(referenceTensors(header))) {
    const found = file.tensors.get(name)?.info;
    const expected = `${type} [${shape.join(", ")}]`;
    const given = found === undefined ? "missing" : `${found.type} [${found.shape.join(", ")}]`;
    if (given !== expected) {
      throw invalidReference(file.name, `the tensor "${name}" is ${given}: expected ${expected}`);
    }
  }
}

async function readWindows(file: SafetensorsFile, header: ReferenceHeader): Promise<EvaluationWindow[]> {
  const { windows, domains, model } = header;
  const domainOf = new Int32Array(alone(await tensorOf(file, header, "domain").read()));
  if (domainOf.some((domain) => domain < 0 || domain >= domains.length)) {
    throw invalidReference(file.name, "it has windows of texts that it does not name");
  }
  const read: EvaluationWindow[] = [];
  for (let window = 0; window < windows; window++) {
    const tokens = new Int32Array(await readWindow(file, header, "window", window));
    checkTokens(tokens, model.vocabularySize, file.name);
    read.push({ tokens, domain: domainOf[window]! });
  }
  return read;
}

/** The part of a tensor that belongs to a window. */
async function readWindow(
  file: SafetensorsFile,
  header: ReferenceHeader,
  name: TensorName,
  window: number,
): Promise<ArrayBuffer> {
  const tensor = tensorOf(file, header, name);
  const rows = tensor.rowCount / header.windows;
  return alone(await tensor.readRows(window * rows, rows));
}

function tensorOf(file: SafetensorsFile, header: ReferenceHeader, name: TensorName): SafetensorsTensor {
  return file.tensors.get(referenceTensors(header)[name].name)!;
}

/** Bytes in a buffer of their own, as aligned arrays need them. */
function alone(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer;
}

function checkTokens(tokens: Int32Array, vocabularySize: number, file: string): void {
  const wrong = tokens.find((token) => token < 0 || token >= vocabularySize);
  if (wrong === undefined) return;
  throw invalidReference(file, `there is a token ${wrong}: expected ids from 0 to ${vocabularySize - 1}`);
}
