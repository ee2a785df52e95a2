import { type ByteSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import { readSafetensors, type SafetensorsFile } from "safetensors-js";
import { checkInputs } from "./check-inputs.ts";
import type { StatisticsDescription } from "./description.ts";
import { entriesOf, tensorOf } from "./entries.ts";
import { decodeDescription } from "./metadata.ts";
import { Statistics } from "./statistics.ts";

/**
 * Opens a statistics file: its header is checked, and says what is there; token counts are read.
 *
 * @param params.name What messages call the file; the path unless given.
 * @throws QuernError `STATISTICS_INVALID`; `SAFETENSORS_*` as `readSafetensors`; what `fileSource` throws
 */
export async function openStatistics(path: string, params: { name?: string } = {}): Promise<Statistics> {
  const source = await fileSource({ path, ...params });
  try {
    return await readStatistics(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * As {@link openStatistics}.
 *
 * @param source The file; closed by `Statistics.close`, not when this function throws.
 */
export async function readStatistics(source: ByteSource): Promise<Statistics> {
  const file = await readSafetensors(source);
  const description = decodeDescription(file.metadata, (problem, key) => invalid(file, problem, { key }));
  checkInputs(description.inputs, (problem, tensor) => invalid(file, problem, { tensor }));
  checkTensors(file, description);
  return Statistics.load({ source, description, tensors: file.tensors });
}

/** Checks that the tensors are those that the inputs have, no more and no less. */
function checkTensors(file: SafetensorsFile, { inputs }: StatisticsDescription): void {
  const expected = new Set<string>();
  for (const input of inputs) {
    for (const entry of entriesOf(input)) {
      const { name, type, shape } = tensorOf(input, entry);
      const found = file.tensors.get(name)?.info;
      const wanted = `${type} [${shape.join(", ")}]`;
      const given = found === undefined ? "missing" : `${found.type} [${found.shape.join(", ")}]`;
      if (given !== wanted) {
        throw invalid(file, `the tensor "${name}" is ${given}: expected ${wanted}`, { tensor: name });
      }
      expected.add(name);
    }
  }
  for (const name of file.tensors.keys()) {
    if (!expected.has(name)) {
      throw invalid(file, `the tensor "${name}" is of no input of the metadata`, { tensor: name });
    }
  }
}

function invalid(
  file: SafetensorsFile,
  problem: string,
  subject: { key?: string; tensor?: string },
): QuernError {
  return new QuernError("STATISTICS_INVALID", `${file.name}: ${problem}`, {
    subject: { file: file.name, ...subject },
  });
}
