import { ggufString, ggufUint32, type GgufMetadata, type GgufValue } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { type Architecture, FILE_TYPE, type ModelFacts } from "./architectures/architecture.ts";
import type { Config } from "./architectures/config.ts";
import { describeArchitecture } from "./architectures/describe-architecture.ts";
import { readPoolingType } from "./architectures/pooling-type.ts";
import { fillIn, readConfig } from "./architectures/read-config.ts";
import { architectureOf } from "./architectures/registry.ts";
import { dequantizedTensors, unquantized } from "./dequantized-tensors.ts";
import { generalMetadata } from "./metadata/general-metadata.ts";
import { countParameters } from "./metadata/size-label.ts";
import type { ModelDescription, ModelInput, ModelTensor } from "./model.ts";
import { describeVocabulary } from "./vocabulary/describe-vocabulary.ts";

/** Version of ggml's quantized formats (ggml.h, `GGML_QNT_VERSION`). */
const QUANTIZATION_VERSION = 2;

/** `general.file_type` of files without quantized tensors: F32, F16, BF16 (llama.h, `llama_ftype`). */
const FLOATING_POINT_FILES: ReadonlySet<number> = new Set([0, 1, 32]);

/**
 * Everything about a model that is known before a weight is read: what llama.cpp's converter would write, tensor by tensor
 * and key by key.
 *
 * @throws QuernError
 * - `MODEL_UNSUPPORTED` an architecture that is not known
 * - `CHECKPOINT_QUANTIZATION_UNKNOWN`, `CHECKPOINT_QUANTIZATION_INVALID` quantized tensors that cannot be read
 * - `MODEL_CONFIG_MISSING`, `MODEL_CONFIG_KEY_MISSING`, `MODEL_CONFIG_VALUE_INVALID` config.json
 * - `MODEL_TENSOR_MISSING`, `MODEL_TENSOR_UNKNOWN`, `MODEL_TENSOR_DUPLICATE`, `MODEL_TENSOR_INVALID` the checkpoint's tensors
 * - `MODEL_VOCABULARY_MISMATCH` an embedding of another size than the vocabulary
 * - the codes of `describeVocabulary` and of files that are not what they should be
 */
export async function describeModel(input: ModelInput): Promise<ModelDescription> {
  const { files, preTokenizer } = input;
  const { config: given, json } = await readConfig(files);
  const architecture = architectureOf(given);
  const config = fillIn(given, architecture);
  const source = keepsQuantization(architecture, given)
    ? unquantized(input.tensors)
    : await dequantizedTensors(json, input, architecture.exchanged);

  const vocabulary = await describeVocabulary({
    files,
    config: json,
    hints: architecture.vocabulary(config),
    ...(preTokenizer === undefined ? {} : { preTokenizer }),
  });
  const pooling = architecture.pooling ? await readPoolingType(files) : undefined;
  const facts: ModelFacts = {
    config,
    vocabularySize: lengthOf(vocabulary.get("tokenizer.ggml.tokens")),
    ...(pooling === undefined ? {} : { pooling }),
  };
  const { tensors, modules, leading, hyperparameters, computation } = source.restore(
    describeArchitecture({ architecture, facts, tensors: source.tensors }),
  );
  checkEmbedding(tensors, facts);

  const warnings: QuernError[] = [];
  const general = await generalMetadata({
    files,
    config: json,
    parameters: countParameters(tensors),
    onWarning: (warning) => warnings.push(warning),
  });
  return {
    architecture: architecture.name,
    tensors,
    modules,
    inputs: source.inputsOf(modules),
    warnings,
    metadata({ fileType }) {
      const quantized = architecture.quantization !== undefined && isQuantized(config);
      const number =
        quantized && FLOATING_POINT_FILES.has(fileType) ? architecture.quantization.fileType : fileType;
      const metadata: GgufMetadata = new Map([["general.architecture", ggufString(architecture.name)]]);
      for (const [key, value] of [...leading, ...general, ...hyperparameters]) {
        metadata.set(key, value === FILE_TYPE ? ggufUint32(number) : value);
      }
      metadata.set("general.quantization_version", ggufUint32(QUANTIZATION_VERSION));
      for (const [key, value] of vocabulary) metadata.set(key, value);
      return metadata;
    },
    computation,
  };
}

function isQuantized(config: Config): boolean {
  return config.optionalObject("quantization_config") !== undefined;
}

/** Whether the record of the architecture itself says what the quantized tensors become. */
function keepsQuantization({ quantization }: Architecture, config: Config): boolean {
  const method = config.optionalObject("quantization_config")?.["quant_method"];
  return quantization !== undefined && method === quantization.method;
}

function checkEmbedding(tensors: readonly ModelTensor[], { config, vocabularySize }: ModelFacts): void {
  const embedding = tensors.find(({ role }) => role === "embedding")!;
  const [rows, columns] = embedding.shape;
  const width = config.integer("hidden_size", "n_embd");
  if (rows === vocabularySize && columns === width) return;
  throw new QuernError(
    "MODEL_VOCABULARY_MISMATCH",
    `"${embedding.name}" has the shape [${embedding.shape.join(", ")}]: expected [${vocabularySize}, ${width}], a row for each ` +
      "token of the vocabulary and a column for each of the hidden units in config.json",
    { subject: { tensor: embedding.name } },
  );
}

function lengthOf(value: GgufValue | undefined): number {
  return value?.type === "array" ? value.length : 0;
}
