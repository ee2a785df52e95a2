import { beforeAll, describe, expect, it } from "vitest";
import type { Kernels } from "../index.ts";
import { gaussian } from "../testing/arrays.ts";
import { allKernels } from "../testing/backends.ts";

let all: readonly Kernels[];
beforeAll(async () => {
  all = await allKernels();
});

const { fround } = Math;
const SHAPES = [
  { rows: 0, columns: 5, stride: 5 },
  { rows: 1, columns: 1, stride: 1 },
  { rows: 3, columns: 7, stride: 9 },
  { rows: 5, columns: 33, stride: 40 },
] as const;

/** Elements of the rows, of arrays whose rows are farther apart. */
function elements<T>(
  { rows, columns }: { rows: number; columns: number },
  of: (row: number, column: number) => T,
): T[] {
  return Array.from({ length: rows * columns }, (_, i) => of(Math.floor(i / columns), i % columns));
}

describe.each(SHAPES)("all rows of some columns, $rows x $columns of $stride", (shape) => {
  const { rows, columns, stride } = shape;
  const [a, b, c] = [1, 2, 3].map((seed) => gaussian(rows * stride, seed)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];

  it("gives products of rows, and the same bits everywhere", () => {
    const results = all.map(({ math }) =>
      math.rowProducts({ rows, columns, a, aStride: stride, b, bStride: stride }),
    );
    for (const result of results) expect(result).toEqual(results[0]);
    for (let row = 0; row < rows; row++) {
      let wanted = 0;
      for (let i = 0; i < columns; i++) wanted += a[row * stride + i]! * b[row * stride + i]!;
      expect(results[0]![row]).toBeCloseTo(wanted, 12);
    }
  });

  it("adds rows with a factor each, and nothing beyond them", () => {
    const alphas = gaussian(rows, 4);
    if (rows > 1) alphas[1] = 0;
    for (const { math } of all) {
      const y = b.slice();
      math.addScaledRows({ rows, columns, x: a, xStride: stride, y, yStride: stride, alphas });
      expect([...y]).toEqual(
        [...b].map((value, i) => {
          const [row, column] = [Math.floor(i / stride), i % stride];
          return column < columns ? fround(value + fround(alphas[row]! * a[i]!)) : value;
        }),
      );
    }
  });

  it("updates differences and says what that changes", () => {
    for (const { math } of all) {
      const [differences, changes] = [c.slice(), new Float32Array(rows * columns)];
      math.updateDifferences({ rows, columns, a, b, c: differences, stride, changes });
      const at = (row: number, column: number): number => row * stride + column;
      const wanted = elements(shape, (row, column) => fround(a[at(row, column)]! - b[at(row, column)]!));
      expect(elements(shape, (row, column) => differences[at(row, column)])).toEqual(wanted);
      expect([...changes]).toEqual(
        elements(shape, (row, column) => fround(wanted[row * columns + column]! - c[at(row, column)]!)),
      );
      const again = c.slice();
      math.updateDifferences({ rows, columns, a, b, c: again, stride });
      expect(again).toEqual(differences);
    }
  });

  it("puts columns into another order", () => {
    const order = Int32Array.from({ length: columns }, (_, i) => (i * 2 + 1) % columns);
    const floats = a.slice(0, rows * columns);
    const bytes = Uint8Array.from(floats, (_, i) => i * 7);
    for (const { math } of all) {
      for (const [x, y] of [
        [floats, new Float32Array(rows * columns)],
        [bytes, new Uint8Array(rows * columns)],
      ] as const) {
        math.gatherColumns({ rows, columns, x, y, order });
        expect([...y]).toEqual(elements(shape, (row, column) => x[row * columns + order[column]!]));
      }
    }
  });
});

it("refuses what does not fit", () => {
  const { math } = all[0]!;
  const x = new Float32Array(12);
  const shape = { rows: 3, columns: 4, x, y: x.slice() };
  const order = Int32Array.of(0, 1, 2, 4);
  expect(() => math.gatherColumns({ ...shape, order })).toThrow("the order must name a column from 0 to 3");
  expect(() => math.addScaledRows({ ...shape, alphas: new Float32Array(2) })).toThrow("alphas has 8 bytes");
  expect(() => math.rowProducts({ ...shape, a: x, b: x.subarray(1) })).toThrow("b has 44 bytes");
});
