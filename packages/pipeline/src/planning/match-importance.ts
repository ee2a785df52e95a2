import { ggmlType } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import type { Importance } from "@quern/statistics";
import { listNames } from "../name-list.ts";

/** A tensor of an output, as far as importance weights are concerned. */
export interface ImportanceUser {
  /** GGUF name in the model, by which the weights go, whatever the tensor is called when layers are left out. */
  readonly name: string;
  /** ggml type in the output. */
  readonly type: string;
  /** ggml order: the contiguous dimension first. */
  readonly ne: readonly number[];
  /** Whether the output has it in another type than its source: what is copied needs no weights. */
  readonly changed: boolean;
  /** Whether the type makes sense only with weights. */
  readonly requiresImportance: boolean;
}

export interface ImportanceMatch {
  /** Names of the tensors whose quantization weights steer. */
  readonly users: ReadonlySet<string>;
  /** What does not fit, and does no harm. */
  readonly warnings: readonly QuernError[];
}

/** Their inputs are no vectors (or those of the last block): files rarely have weights for them, and nothing demands any. */
const USUALLY_WITHOUT: ReadonlySet<string> = new Set([
  "token_embd.weight",
  "per_layer_token_embd.weight",
  "output.weight",
]);

/** Weights of another length are no error for these: `llama-quantize` says so, and goes on without (llama-quant.cpp). */
const ANY_LENGTH: ReadonlySet<string> = new Set(["token_embd.weight", "per_layer_token_embd.weight"]);

/** Most tensors that a message names. */
const MOST_NAMED = 8;

/**
 * Compares the tensors of an output with the entries of an importance matrix, as `llama-quantize` would one by one while it
 * quantizes.
 *
 * @throws QuernError
 * - `IMPORTANCE_MISMATCH` for weights of another number than the tensor needs
 * - `IMPORTANCE_REQUIRED` for types that make sense only with weights, where there are none
 */
export function matchImportance(params: {
  tensors: readonly ImportanceUser[];
  /** GGUF names of all tensors of the model, those of layers that are left out too. */
  modelTensors: readonly string[];
  importance?: Importance;
}): ImportanceMatch {
  const { tensors, modelTensors, importance } = params;
  const changed = tensors.filter((tensor) => tensor.changed);
  const lengthOf = ({ name }: ImportanceUser): number | undefined => importance?.lengths.get(name);
  const fits = (tensor: ImportanceUser): boolean => lengthOf(tensor) === neededBy(tensor);

  const wrong = changed.filter((tensor) => lengthOf(tensor) !== undefined && !fits(tensor));
  const fatal = wrong.filter(({ name }) => !ANY_LENGTH.has(name));
  if (importance !== undefined && fatal.length > 0) throw mismatch(importance, fatal);

  const missing = changed.filter((tensor) => !fits(tensor));
  const required = missing.filter(({ requiresImportance }) => requiresImportance);
  if (required.length > 0) throw requirement(required, importance);

  const users = changed.filter((tensor) => fits(tensor) && isBlockType(tensor.type));
  return {
    users: new Set(users.map(({ name }) => name)),
    warnings:
      importance === undefined ? [] : warningsFor(importance, { modelTensors, changed, missing, wrong }),
  };
}

function warningsFor(
  importance: Importance,
  found: {
    modelTensors: readonly string[];
    changed: readonly ImportanceUser[];
    missing: readonly ImportanceUser[];
    wrong: readonly ImportanceUser[];
  },
): QuernError[] {
  const { file, lengths, leftOut } = importance;
  const known = new Set(found.modelTensors);
  const unused = [...lengths.keys()].filter((name) => !known.has(name));
  const without = found.missing
    .filter(({ name, type }) => !USUALLY_WITHOUT.has(name) && !leftOut.has(name) && isBlockType(type))
    .map(({ name }) => name);
  const warnings: QuernError[] = [];
  const warn = (code: string, names: readonly string[], message: string): void => {
    if (names.length === 0) return;
    const text = `${file}: ${message}: ${listNames(names, MOST_NAMED)}`;
    warnings.push(new QuernError(code, text, { subject: { file, tensor: names[0]! } }));
  };
  if (lengths.size === 0) {
    const text = `${file}: all ${leftOut.size} entries are left out: nothing is quantized by importance`;
    warnings.push(new QuernError("IMPORTANCE_EMPTY", text, { subject: { file } }));
    return warnings;
  }
  warn(
    "IMPORTANCE_UNUSED",
    unused,
    `${of(unused, lengths.size, "entries")} belong to no tensor of the model`,
  );
  warn(
    "IMPORTANCE_MISSING",
    without,
    `no weights for ${of(without, found.changed.length, "tensors")} that are quantized`,
  );
  const ignored = found.wrong.map(({ name }) => name);
  warn("IMPORTANCE_IGNORED", ignored, "weights of another number than there are columns are not used");
  const unseen = importance.examinations.filter((examination) => examination.unseen > 0);
  warn(
    "IMPORTANCE_UNSEEN",
    unseen.map(({ name, matrices, ...one }) => `${name} (${one.unseen} of ${matrices})`),
    "nothing was counted for some matrices, whose weights are all 1",
  );
  const zero = importance.examinations.filter((examination) => examination.zeroColumns > 0);
  warn(
    "IMPORTANCE_ZERO",
    zero.map(({ name, zeroColumns }) => `${name} (${zeroColumns})`),
    "some columns only ever met zeros, and have no weight",
  );
  return warnings;
}

function neededBy({ ne: [columns = 1, _rows, ...matrices] }: ImportanceUser): number {
  return matrices.reduce((product, dimension) => product * dimension, columns);
}

function isBlockType(type: string): boolean {
  return ggmlType(type).blockSize > 1;
}

function of(names: readonly string[], all: number, what: string): string {
  return `${names.length} of ${all} ${what}`;
}

function mismatch({ file, lengths }: Importance, tensors: readonly ImportanceUser[]): QuernError {
  const [first] = tensors;
  const all =
    tensors.length > 1
      ? ` So it is for ${listNames(
          tensors.map(({ name }) => name),
          MOST_NAMED,
        )}.`
      : "";
  return new QuernError(
    "IMPORTANCE_MISMATCH",
    `${file} has ${lengths.get(first!.name)} weights for tensor "${first!.name}": expected ${neededBy(first!)}. Is it of another model?${all}`,
    { subject: { file, tensor: first!.name } },
  );
}

function requirement(tensors: readonly ImportanceUser[], importance: Importance | undefined): QuernError {
  const [first] = tensors;
  const have = importance === undefined ? "and none are given" : `and ${importance.file} has none for it`;
  const names = tensors.map(({ name, type }) => `${name} (${type})`);
  const all =
    tensors.length > 1 ? ` ${tensors.length} tensors need them: ${listNames(names, MOST_NAMED)}.` : "";
  return new QuernError(
    "IMPORTANCE_REQUIRED",
    `${first!.type} for tensor "${first!.name}" makes sense only with importance weights, ${have}.${all}`,
    { subject: { tensor: first!.name } },
  );
}
