import { QuernError } from "@quern/tensor";

/** Published tokenizer.json files reach 35 MB; nothing that is read whole comes near this. */
const LARGEST_FILE = 256 * 2 ** 20;

/** @throws QuernError `CHECKPOINT_FILE_TOO_LARGE` unless the file may be read whole */
export function checkSmallFile({ name, size }: { readonly name: string; readonly size: number }): void {
  if (size <= LARGEST_FILE) return;
  throw new QuernError(
    "CHECKPOINT_FILE_TOO_LARGE",
    `${name}: ${size} bytes; at most ${LARGEST_FILE} are read of a file that is not a shard of weights`,
    { subject: { file: name } },
  );
}
