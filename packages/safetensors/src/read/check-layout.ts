import { byteSize, QuernError } from "@quern/tensor";
import type { HeaderEntry } from "./header.ts";

/**
 * Checks that the tensors cover the data exactly: in the order of their offsets they follow each other from 0 without hole
 * or overlap, each has the size that its type and shape give, and the last ends with the file
 * (`Metadata::validate` and `SafeTensors::read_metadata` in safetensors/src/tensor.rs).
 *
 * @param params.dataOffset Where the data begins in the file.
 * @returns The entries in the order of their data.
 * @throws QuernError `SAFETENSORS_BAD_OFFSETS`, `SAFETENSORS_HOLE`, `SAFETENSORS_OVERLAP`, `SAFETENSORS_SIZE_MISMATCH`,
 * `SAFETENSORS_TRUNCATED`, `SAFETENSORS_TRAILING_BYTES`; `TENSOR_SHAPE_*` as `byteSize`.
 */
export function checkLayout(params: {
  entries: readonly HeaderEntry[];
  file: string;
  dataOffset: number;
  fileSize: number;
}): readonly HeaderEntry[] {
  const { file, dataOffset, fileSize } = params;
  const entries = [...params.entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const entry of entries) {
    checkEntry(entry, expected, file);
    expected = entry.end;
  }
  const end = dataOffset + expected;
  const counts = `the tensors end at offset ${end}, the file at ${fileSize}`;
  const subject = { file, offset: Math.min(end, fileSize) };
  if (end > fileSize) {
    throw new QuernError("SAFETENSORS_TRUNCATED", `${file}: the file is cut short: ${counts}`, { subject });
  }
  if (end < fileSize) {
    throw new QuernError("SAFETENSORS_TRAILING_BYTES", `${file}: bytes that no tensor owns: ${counts}`, {
      subject,
    });
  }
  return entries;
}

function checkEntry(entry: HeaderEntry, expected: number, file: string): void {
  const { name, type, shape, begin, end } = entry;
  const subject = { file, tensor: name, offset: begin };
  const fail = (code: string, problem: string): never => {
    throw new QuernError(
      code,
      `${file}: tensor ${JSON.stringify(name)}: data_offsets [${begin}, ${end}]: ${problem}`,
      {
        subject,
      },
    );
  };
  if (end < begin) fail("SAFETENSORS_BAD_OFFSETS", "the end is before the begin");
  if (begin > expected) fail("SAFETENSORS_HOLE", `no tensor owns the bytes from ${expected} to ${begin}`);
  if (begin < expected) fail("SAFETENSORS_OVERLAP", `the tensor before it ends at ${expected}`);
  const size = byteSize({ type, shape }, { file, tensor: name });
  if (end - begin !== size) {
    fail(
      "SAFETENSORS_SIZE_MISMATCH",
      `${end - begin} bytes, but ${type} elements of shape [${shape.join(", ")}] take ${size}`,
    );
  }
}
