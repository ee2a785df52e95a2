import type { GgufLayout } from "../layout.ts";
import type { GgufFile } from "../read/gguf-file.ts";
import type { GgufMetadata } from "../value.ts";
import { planGguf } from "../write/plan-gguf.ts";
import { withFiller } from "./filler.ts";

/**
 * Lays out a copy of a file with other metadata; its tensors stay in their order.
 *
 * @param params.reserve Bytes of filler (metadata key `quern.filler`), which later edits in place can use. Default: no filler,
 * and none that the metadata had.
 * @throws QuernError as `planGguf`
 */
export function planGgufEdit(params: {
  file: GgufFile;
  metadata: GgufMetadata;
  reserve?: number;
}): GgufLayout {
  const { file, metadata, reserve } = params;
  return planGguf({ metadata: withFiller(metadata, reserve), tensors: [...file.tensors.values()] });
}

/**
 * A header with other metadata that ends exactly where the one of a file does, so that the tensor data can stay where it is.
 * What it does not need is filled (metadata key `quern.filler`); filler that is there makes room for what is new.
 *
 * @returns as many bytes as lie in front of the tensor data; undefined when the new header does not fit, and for a file without
 * tensors, which a copy costs nothing
 * @throws QuernError as `planGguf`
 */
export function planGgufHeaderInPlace(params: {
  file: GgufFile;
  metadata: GgufMetadata;
}): Uint8Array | undefined {
  const { file, metadata } = params;
  if (file.tensors.size === 0) return undefined;
  const plain = planGgufEdit({ file, metadata });
  if (!hasSameData(plain, file)) return undefined;
  if (plain.header.byteLength === file.dataOffset) return plain.header;

  const { header } = planGgufEdit({ file, metadata, reserve: 0 });
  const room = file.dataOffset - header.byteLength;
  return room < 0 ? undefined : planGgufEdit({ file, metadata, reserve: room }).header;
}

/** Whether every tensor lies where the table of the layout says, counted from the start of the data. */
function hasSameData(layout: GgufLayout, file: GgufFile): boolean {
  return (
    layout.alignment === file.alignment &&
    layout.tensors.every(
      ({ name, offset }) =>
        offset - layout.header.byteLength === (file.tensors.get(name)?.offset ?? 0) - file.dataOffset,
    )
  );
}
