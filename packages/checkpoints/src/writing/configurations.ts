import { awqConfiguration } from "./awq.ts";
import { bitsandbytesConfiguration } from "./bitsandbytes.ts";
import { compressedTensorsConfiguration } from "./compressed-tensors.ts";
import { fineGrainedFp8Configuration } from "./fine-grained-fp8.ts";
import { gptqConfiguration } from "./gptq.ts";
import { mlxConfiguration } from "./mlx.ts";
import type { QuantizationConfiguration } from "./quantized-model.ts";

/** Every method that can be written. */
export const CONFIGURATIONS: readonly QuantizationConfiguration[] = [
  gptqConfiguration,
  awqConfiguration,
  bitsandbytesConfiguration,
  compressedTensorsConfiguration,
  fineGrainedFp8Configuration,
  mlxConfiguration,
];
