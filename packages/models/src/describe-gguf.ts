import type { GgufMetadata } from "@quern/gguf";
import { elementCount, QuernError, type TensorInfo } from "@quern/tensor";
import { source } from "./expressions/operations/source.ts";
import type { ModelDescription, ModelTensor } from "./model.ts";

/** What the description of a GGUF file is made from. */
export interface GgufInput {
  /** For messages. */
  readonly name: string;
  readonly metadata: GgufMetadata;
  /** In the order of the file. */
  readonly tensors: Iterable<GgufInputTensor>;
}

/** A tensor as it is read (quantized ones: rows of U8 bytes), and what ggml calls it. */
export interface GgufInputTensor extends TensorInfo {
  readonly ggmlType: string;
  /** Counts elements, the contiguous dimension first. */
  readonly ne: readonly number[];
}

/**
 * Describes a model that is GGUF already: its own metadata, and its own tensors as they are. Nothing needs to be known about
 * the architecture, only its name.
 *
 * @throws QuernError `MODEL_NOT_A_MODEL` for an importance matrix, an adapter and what names no architecture;
 * `MODEL_TENSOR_INVALID` for a tensor without elements
 */
export function describeGguf({ name, metadata, tensors }: GgufInput): ModelDescription {
  const architecture = textOf(metadata, "general.architecture");
  const kind = textOf(metadata, "general.type");
  if (architecture === undefined || NO_MODELS.has(kind)) throw noModel(name, architecture, kind);
  return {
    architecture,
    tensors: Array.from(tensors, describeTensor),
    modules: [],
    warnings: [],
    metadata: () => new Map(metadata),
    computation: () => new Map(metadata),
  };
}

/** Files that speak of a model (`general.type`), and are none. */
const NO_MODELS: ReadonlySet<string | undefined> = new Set(["adapter", "imatrix"]);

function describeTensor({ name, type, ne, ggmlType }: GgufInputTensor): ModelTensor {
  const shape = ne.toReversed();
  if (elementCount(shape) === 0) {
    throw new QuernError(
      "MODEL_TENSOR_INVALID",
      `tensor "${name}" has the shape [${ne.join(", ")}]: expected an element`,
      { subject: { tensor: name } },
    );
  }
  return { name, shape, sourceType: type, expression: source(name), storage: { packed: ggmlType } };
}

function textOf(metadata: GgufMetadata, key: string): string | undefined {
  const value = metadata.get(key);
  return value?.type === "string" ? String(value.value) : undefined;
}

function noModel(name: string, architecture: string | undefined, kind: string | undefined): QuernError {
  const problem =
    architecture === undefined
      ? 'its metadata has no "general.architecture"'
      : `its metadata says general.type "${kind}"`;
  return new QuernError("MODEL_NOT_A_MODEL", `${name}: expected a model, but ${problem}`, {
    subject: { file: name, key: architecture === undefined ? "general.architecture" : "general.type" },
  });
}
