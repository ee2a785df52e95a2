import { QuernError } from "@quern/tensor";
import { awq } from "./awq.ts";
import { bitsandbytesFp4, bitsandbytesNf4 } from "./bitsandbytes-4bit.ts";
import { bitsandbytesInt8 } from "./bitsandbytes-int8.ts";
import type { QuantizedFormat } from "./format.ts";
import { gptOssMxfp4, mxfp4PackQuantized, nvfp4PackQuantized } from "./four-bit-floats.ts";
import { gptq, gptqV2 } from "./gptq.ts";
import { mlx } from "./mlx.ts";
import { packQuantized } from "./pack-quantized.ts";
import { fineGrainedFp8, floatQuantized, intQuantized } from "./scaled-bytes.ts";

/** Every container of quantized linear layers. */
export const FORMATS: readonly QuantizedFormat[] = [
  gptq,
  gptqV2,
  awq,
  bitsandbytesNf4,
  bitsandbytesFp4,
  bitsandbytesInt8,
  packQuantized,
  intQuantized,
  floatQuantized,
  nvfp4PackQuantized,
  mxfp4PackQuantized,
  fineGrainedFp8,
  gptOssMxfp4,
  mlx,
];

/** @throws QuernError `FORMAT_UNKNOWN` */
export function formatOf(name: string): QuantizedFormat {
  const format = FORMATS.find((candidate) => candidate.name === name);
  if (format !== undefined) return format;
  throw new QuernError(
    "FORMAT_UNKNOWN",
    `"${name}" is not a format of quantized checkpoints; there are ${FORMATS.map((known) => known.name).join(", ")}`,
  );
}
