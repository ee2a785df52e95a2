/** What a loader accepts of a format; what is absent is not restricted. */
export interface LoaderRule {
  readonly bits?: readonly number[];
  /** -1: whole rows. */
  readonly groupSizes?: readonly number[];
  readonly symmetric?: true;
  /** Bits of asymmetric grids, where they are others. */
  readonly asymmetricBits?: readonly number[];
  readonly actOrder?: false;
  /** What outputs and inputs are multiples of. */
  readonly outputsMultiple?: number;
  readonly inputsMultiple?: number;
  /** Whether groups may leave a shorter one at the end of a row. @default true */
  readonly tailGroups?: false;
  /** Whether experts may be layers of their own. @default true */
  readonly experts?: false;
  /** Asymmetric grids with stored zeros less 1 are refused. */
  readonly noShiftedZeros?: true;
}

/** A program that loads checkpoints. */
export type Loader = "vllm" | "sglang" | "transformers" | "gptqmodel" | "mlx" | "llama.cpp";

const MARLIN_GROUPS = [-1, 32, 64, 128];
const GPTQMODEL_GROUPS = [-1, 16, 32, 64, 128, 256, 512, 1024];
const ANY: LoaderRule = {};

/**
 * The formats that loaders read, with their restrictions. Sources: vLLM, model_executor/layers/quantization (auto_gptq.py and
 * marlin_utils.py after pull request 38288, auto_awq.py, compressed_tensors, fp8.py); SGLang, layers/quantization; transformers 5.18,
 * quantizers; GPTQModel 7.3, models/loader.py and nn_modules/qlinear; mlx-lm, utils.py; llama.cpp, conversion/base.py
 * (`dequant_model`).
 */
export const LOADER_RULES: Readonly<Record<Loader, Readonly<Record<string, LoaderRule>>>> = {
  vllm: {
    gptq: { bits: [4, 8], symmetric: true, groupSizes: MARLIN_GROUPS, tailGroups: false },
    "gptq-v2": { bits: [4, 8], symmetric: true, groupSizes: MARLIN_GROUPS, tailGroups: false },
    awq: { groupSizes: MARLIN_GROUPS },
    "bnb-nf4": ANY,
    "bnb-fp4": ANY,
    "bnb-int8": ANY,
    // Of asymmetric types Marlin has uint4 alone (marlin_utils.py, `query_marlin_supported_quant_types`).
    "pack-quantized": { bits: [4, 8], asymmetricBits: [4], groupSizes: MARLIN_GROUPS },
    "int-quantized": ANY,
    "float-quantized": ANY,
    "nvfp4-pack-quantized": ANY,
    "mxfp4-pack-quantized": ANY,
    fp8: { outputsMultiple: 128 },
    mxfp4: ANY,
  },
  sglang: {
    gptq: { bits: [2, 3, 4, 8] },
    "gptq-v2": { bits: [2, 3, 4, 8] },
    awq: ANY,
    "bnb-nf4": ANY,
    "bnb-fp4": ANY,
    "pack-quantized": { bits: [4, 8], groupSizes: MARLIN_GROUPS },
    "int-quantized": ANY,
    "float-quantized": ANY,
    fp8: { outputsMultiple: 128 },
    mxfp4: ANY,
  },
  transformers: {
    gptq: { bits: [2, 3, 4, 8], groupSizes: GPTQMODEL_GROUPS, noShiftedZeros: true },
    "gptq-v2": { bits: [2, 3, 4, 8], groupSizes: GPTQMODEL_GROUPS },
    awq: ANY,
    // Experts are one parameter in transformers 5, into which their blocks are taken for weights.
    "bnb-nf4": { experts: false },
    "bnb-fp4": { experts: false },
    "bnb-int8": { experts: false },
    "pack-quantized": ANY,
    "int-quantized": ANY,
    "float-quantized": ANY,
    "nvfp4-pack-quantized": ANY,
    "mxfp4-pack-quantized": ANY,
    fp8: { outputsMultiple: 128, inputsMultiple: 128 },
    mxfp4: ANY,
  },
  gptqmodel: {
    gptq: { groupSizes: GPTQMODEL_GROUPS, noShiftedZeros: true },
    "gptq-v2": { groupSizes: GPTQMODEL_GROUPS },
    awq: ANY,
  },
  mlx: { mlx: ANY, awq: ANY },
  "llama.cpp": {
    gptq: { bits: [2, 4, 8] },
    "gptq-v2": { bits: [2, 4, 8] },
    "pack-quantized": { bits: [2, 4, 8], groupSizes: [16, 32, 64, 128, 256, 512, 1024], actOrder: false },
    "int-quantized": ANY,
    "float-quantized": ANY,
    "nvfp4-pack-quantized": ANY,
    fp8: ANY,
    mxfp4: ANY,
  },
};
