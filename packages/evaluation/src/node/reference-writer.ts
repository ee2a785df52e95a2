import { createOutputSet } from "@quern/tensor/node";
import { planSafetensors, type SafetensorsLayout } from "safetensors-js";
import { encodeHeader, type ReferenceHeader, referenceTensors } from "../reference/reference-header.ts";
import type { ReferenceRows } from "../reference/reference-rows.ts";
import type { EvaluationWindow } from "../windows/evaluation-windows.ts";

/** The file of a reference, before anything is known of it but its size. */
export function planReferenceFile(header: ReferenceHeader): SafetensorsLayout {
  return planSafetensors({
    tensors: Object.values(referenceTensors(header)),
    metadata: encodeHeader(header),
  });
}

/** Writes a file of a reference, window by window in any order. */
export interface ReferenceWriter {
  put(window: number, rows: ReferenceRows): Promise<void>;
  /** Gives the file its name. */
  finish(): Promise<void>;
  /** Removes it. */
  abandon(): Promise<void>;
}

/**
 * @param params.replace Whether a file of this name may be replaced.
 * @throws QuernError `OUTPUT_*`
 */
export async function createReferenceFile(params: {
  readonly path: string;
  readonly header: ReferenceHeader;
  readonly windows: readonly EvaluationWindow[];
  readonly replace: boolean;
}): Promise<ReferenceWriter> {
  const { path, header, windows, replace } = params;
  const layout = planReferenceFile(header);
  const tensors = referenceTensors(header);
  const set = await createOutputSet({
    files: [{ path, size: layout.fileSize, header: layout.header }],
    replace,
  });
  const write = (
    name: keyof typeof tensors,
    values: Int32Array | Float32Array,
    index: number,
  ): Promise<void> => {
    const { offset } = layout.tensors.get(tensors[name].name)!;
    return set.files[0]!.write(asBytes(values), offset + index * values.byteLength);
  };
  try {
    for (const [index, { tokens }] of windows.entries()) await write("window", tokens, index);
    await write(
      "domain",
      Int32Array.from(windows, ({ domain }) => domain),
      0,
    );
  } catch (error) {
    await set.abandon();
    throw error;
  }
  return {
    async put(window, rows) {
      for (const name of ["tokens", "logProbabilities", "tailMass", "tailLogProbability", "right"] as const) {
        await write(name, rows[name], window);
      }
    },
    finish: () => set.finish(),
    abandon: () => set.abandon(),
  };
}

function asBytes({ buffer, byteOffset, byteLength }: Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
