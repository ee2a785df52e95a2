import { fileSource } from "@quern/tensor/node";
import { readGguf } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { readGgufImportance } from "./gguf-importance.ts";
import type { Importance } from "./importance.ts";
import { readLegacyImportance } from "./legacy-importance.ts";

/**
 * Reads a file of `llama-imatrix`: GGUF, or the older binary layout (usually called `imatrix.dat`).
 *
 * @throws QuernError `IMPORTANCE_INVALID` with the file, the tensor and what was expected; what the source and `readGguf` throw
 */
export async function readImportance(path: string): Promise<Importance> {
  const source = await fileSource({ path });
  try {
    const isGguf = source.size >= 4 && new TextDecoder("latin1").decode(await source.read(0, 4)) === "GGUF";
    const importance = isGguf
      ? await readGgufImportance(await readGguf(source))
      : await readLegacyImportance(source);
    checkWeights(importance);
    return importance;
  } finally {
    await source.close();
  }
}

function checkWeights({ file, weights }: Importance): void {
  for (const [tensor, values] of weights) {
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad < 0) continue;
    throw new QuernError(
      "IMPORTANCE_INVALID",
      `${file}: the weights of "${tensor}" hold a NaN or an infinity at ${bad}`,
      {
        subject: { file, tensor, offset: bad },
      },
    );
  }
}
