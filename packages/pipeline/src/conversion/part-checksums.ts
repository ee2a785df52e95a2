import { joinCrc32 } from "./crc32.ts";
import type { Slab, SlabResult } from "./slab.ts";

/** Rows of a conversion that are written. */
interface WrittenRows {
  readonly firstRow: number;
  readonly bytes: number;
  readonly crc32: number;
}

/** Checksums of tensors, from those of their slabs: the same however they are divided, and in whichever order slabs are done. */
export class PartChecksums {
  /** By tensor, then by conversion. */
  readonly #open = new Map<number, WrittenRows[][]>();

  add({ tensor, firstRow, rows, conversions }: Slab, { checksums }: Pick<SlabResult, "checksums">): void {
    let written = this.#open.get(tensor);
    if (written === undefined) this.#open.set(tensor, (written = conversions.map(() => [])));
    for (const [index, crc32] of checksums.entries()) {
      written[index]!.push({ firstRow, bytes: rows * conversions[index]!.rowSize, crc32 });
    }
  }

  /** All rows of a tensor have been added. @returns the checksum of each of its conversions, in their order */
  take(tensor: number): string[] {
    const written = this.#open.get(tensor) ?? [];
    this.#open.delete(tensor);
    return written.map((rows) =>
      rows
        .sort((a, b) => a.firstRow - b.firstRow)
        .reduce((first, { crc32: second, bytes }) => joinCrc32({ first, second, bytes }), 0)
        .toString(16)
        .padStart(8, "0"),
    );
  }
}
