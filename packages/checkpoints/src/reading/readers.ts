import { awqReader } from "./awq.ts";
import { bitsandbytesReader } from "./bitsandbytes.ts";
import { compressedTensorsReader } from "./compressed-tensors.ts";
import { fineGrainedFp8Reader } from "./fine-grained-fp8.ts";
import { gptOssReader } from "./gpt-oss.ts";
import { gptqReader } from "./gptq.ts";
import { mlxReader } from "./mlx.ts";
import type { QuantizationReader } from "./quantization-reader.ts";

/** Every way of quantization that can be read. */
export const READERS: readonly QuantizationReader[] = [
  gptqReader,
  awqReader,
  bitsandbytesReader,
  compressedTensorsReader,
  fineGrainedFp8Reader,
  gptOssReader,
  mlxReader,
];
