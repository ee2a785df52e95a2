import { QuernError } from "@quern/tensor";
import type { ImportanceEntry, ImportanceFile } from "./importance-file.ts";

/** What an importance matrix holds for one tensor, after a look at every number. */
export interface ImportanceExamination {
  readonly name: string;
  /** Columns of each matrix. */
  readonly columns: number;
  readonly matrices: number;
  /** Matrices for which nothing was counted, as for an expert that no token chose; their weights are 1. */
  readonly unseen: number;
  /** Columns of the other matrices in which every input was zero. */
  readonly zeroColumns: number;
  /** The first sum that cannot be one: NaN, infinite or negative. */
  readonly fault?: { readonly index: number; readonly value: number };
}

/** Sums that are in memory at a time. */
const BLOCK = 2 ** 18;

/**
 * Reads every number of an importance matrix once, block by block; what cannot be is reported, not thrown.
 *
 * @throws what the source throws
 */
export async function examineImportance(file: ImportanceFile): Promise<ImportanceExamination[]> {
  const examinations: ImportanceExamination[] = [];
  for (const entry of file.entries.values()) examinations.push(await examineEntry(file, entry));
  return examinations;
}

async function examineEntry(file: ImportanceFile, entry: ImportanceEntry): Promise<ImportanceExamination> {
  const { name, length, counts } = entry;
  const columns = length / counts.length;
  let zeroColumns = 0;
  let fault: ImportanceExamination["fault"];
  for (let start = 0; start < length; start += BLOCK) {
    const sums = await file.readSums(name, { start, count: Math.min(BLOCK, length - start) });
    for (let index = 0; index < sums.length; index++) {
      const value = sums[index]!;
      if (value > 0 && value < Infinity) continue;
      if (value !== 0) fault ??= { index: start + index, value };
      else if (counts[Math.floor((start + index) / columns)]! > 0) zeroColumns++;
    }
  }
  // Without calls, the older layout says nothing of whether there were inputs.
  const unseen = file.format !== "dat" ? counts.filter((count) => count === 0).length : 0;
  return {
    name,
    columns,
    matrices: counts.length,
    unseen,
    zeroColumns,
    ...(fault === undefined ? {} : { fault }),
  };
}

/**
 * As {@link examineImportance}, for numbers that are going to be used.
 *
 * @throws QuernError `IMPORTANCE_INVALID` for the first number that cannot be, with its index as offset; what the source throws
 */
export async function checkImportance(file: ImportanceFile): Promise<ImportanceExamination[]> {
  const examinations = await examineImportance(file);
  for (const { name, columns, fault } of examinations) {
    if (fault === undefined) continue;
    const { index, value } = fault;
    const matrix = index >= columns ? ` of matrix ${Math.floor(index / columns)}` : "";
    throw new QuernError(
      "IMPORTANCE_INVALID",
      `${file.name}: the sum of "${name}" for column ${index % columns}${matrix} is ${value}: ` +
        "expected a sum of squares. The file is damaged, or the model that it was made with.",
      { subject: { file: file.name, tensor: name, offset: index } },
    );
  }
  return examinations;
}
