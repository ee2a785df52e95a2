import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { codeTable } from "../index.ts";
import type { CodeRule, Kernels, TileCodes } from "../index.ts";
import { gaussian } from "../testing/arrays.ts";
import { allKernels } from "../testing/backends.ts";
import { referenceCodes, type ReferenceCodes, type ReferenceTable } from "../testing/reference-codes.ts";

let all: readonly Kernels[];
beforeAll(async () => {
  all = await allKernels();
});

const { fround } = Math;

/** Values that become codes in another order; a middle belongs to the smaller value. */
function tableOf(values: Float32Array): ReferenceTable {
  const order = [...values.keys()].sort((a, b) => values[a]! - values[b]!);
  const middles = order.slice(1).map((code, i) => fround((values[order[i]!]! + values[code]!) / 2));
  return { values, encode: (x) => order[middles.filter((middle) => middle < x).length]! };
}

const FEW = tableOf(Float32Array.of(0, 0.5, 1.5, 2, -0.25, -1, -4, 6));
const MANY = tableOf(
  Float32Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 1 : -1) * 1.05 ** i * 1e-3 + i * 1e-6),
);

interface RuleUnderTest {
  readonly rule: CodeRule;
  readonly table?: ReferenceTable;
  readonly unshifted?: boolean;
}

const RULES: Readonly<Record<string, RuleUnderTest>> = {
  "whole zeros": { rule: { kind: "zero", least: 1, most: 15 } },
  "whole zeros, 8 bits": { rule: { kind: "zero", least: 0, most: 255 } },
  offsets: { rule: { kind: "offset", least: 0, most: 7 } },
  "a small table": {
    rule: { kind: "table", table: codeTable(FEW), reciprocal: false },
    table: FEW,
    unshifted: true,
  },
  "a small table and offsets": {
    rule: { kind: "table", table: codeTable(FEW), reciprocal: false },
    table: FEW,
  },
  "a large table, by reciprocals": {
    rule: { kind: "table", table: codeTable(MANY), reciprocal: true },
    table: MANY,
    unshifted: true,
  },
};

interface Case {
  readonly rows: number;
  readonly columns: number;
  readonly weights: Float32Array;
  readonly tileCodes: TileCodes;
  readonly reference: ReferenceCodes;
}

const shapes = fc.record({
  rows: fc.constantFrom(1, 3, 16, 21),
  columns: fc.constantFrom(1, 15, 16, 37, 70),
  tile: fc.record({ rows: fc.constantFrom(1, 4), columns: fc.constantFrom(5, 16, 64) }),
  seed: fc.nat(1000),
});

interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly tile: { readonly rows: number; readonly columns: number };
  readonly seed: number;
}

function caseOf(name: string, { rows, columns, tile, seed }: Shape): Case {
  const { rule, table, unshifted } = RULES[name]!;
  const special = [0, -0, 1e30, -1e30, 1e-40, 0.5, -1.5, 2.5];
  const weights = gaussian(rows * columns, seed).map((value, i) =>
    i % 9 === 4 ? special[(i + seed) % special.length]! : value,
  );
  const tiles = Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
  // Some tiles have no scale, some a negative one, some one at which weights are halves.
  const scales = gaussian(tiles, seed + 1).map((value, i) => [Math.abs(value), 0, value, 1][(i + seed) % 4]!);
  const moved = gaussian(tiles, seed + 2).map((value, i) => (rule.kind === "zero" ? i % 8 : value));
  const shifts = unshifted ? undefined : moved;
  const tileCodes = { rule, tile, scales, shifts };
  return { rows, columns, weights, tileCodes, reference: referenceCodes(tileCodes, columns, table) };
}

const sameNumbers = (found: Float32Array, wanted: Float32Array): boolean =>
  found.every((value, i) => value === wanted[i] || Math.abs(value - wanted[i]!) === 0);

describe.each(Object.keys(RULES))("codes by %s", (name) => {
  it("are encoded and decoded as their rule says", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { rows, columns, weights, tileCodes, reference } = caseOf(name, shape);
        const wanted = Uint8Array.from(weights, (weight, i) =>
          reference.encode(Math.floor(i / columns), i % columns, weight),
        );
        const wantedValues = Float32Array.from(wanted, (code, i) =>
          reference.decode(Math.floor(i / columns), i % columns, code),
        );
        for (const { math } of all) {
          const codes = new Uint8Array(rows * columns);
          const [values, decoded] = [new Float32Array(rows * columns), new Float32Array(rows * columns)];
          math.encodeTiles({ rows, columns, weights, codes, values, tileCodes });
          expect(codes).toEqual(wanted);
          expect(sameNumbers(values, wantedValues)).toBe(true);
          math.decodeTiles({ rows, columns, codes, values: decoded, tileCodes });
          expect(sameNumbers(decoded, wantedValues)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("are what columns are rounded to one after another", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { rows, columns, weights, tileCodes, reference } = caseOf(name, shape);
        const order = Int32Array.from({ length: columns }, (_, i) => columns - 1 - i);
        const factors = gaussian(columns * columns, shape.seed + 3).map((value) => value / 8);
        const wanted = new Uint8Array(rows * columns);
        const wantedErrors = weights.slice();
        for (let row = 0; row < rows; row++) {
          const errors = wantedErrors.subarray(row * columns, (row + 1) * columns);
          for (let i = 0; i < columns; i++) {
            const code = reference.encode(row, order[i]!, errors[i]!);
            wanted[row * columns + i] = code;
            const error = fround(weights[row * columns + i]! - reference.decode(row, order[i]!, code));
            errors[i] = error;
            for (let j = i + 1; j < columns; j++) errors[j]! += fround(error * factors[i * columns + j]!);
          }
        }
        for (const { math } of all) {
          const codes = new Uint8Array(rows * columns);
          const errors = weights.slice();
          const part = { rows, columns, totalColumns: columns, order, tileCodes };
          math.compensateColumns({
            ...part,
            targets: errors,
            targetStride: columns,
            weights,
            weightStride: columns,
            errors,
            errorStride: columns,
            factors,
            factorStride: columns,
            codes,
          });
          expect(codes).toEqual(wanted);
          expect(sameNumbers(errors, wantedErrors)).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("descend to what is best with the others as they are", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { rows, columns, weights, tileCodes, reference } = caseOf(name, shape);
        const x = gaussian(columns * columns, shape.seed + 4);
        const hessian = Float32Array.from({ length: columns * columns }, (_, i) => {
          const [a, b] = [Math.floor(i / columns), i % columns];
          return x[a * columns + b]! / 9 + x[b * columns + a]! / 9 + (a === b ? 2 : 0);
        });
        const before = {
          codes: Uint8Array.from({ length: rows * columns }, (_, i) => 1 + (i % 5)),
          gradients: gaussian(rows * columns, shape.seed + 5),
          values: new Float32Array(rows * columns),
          errors: new Float32Array(rows * columns),
        };
        const at = (i: number): [number, number] => [Math.floor(i / columns), i % columns];
        before.codes.forEach((code, i) => {
          before.values[i] = reference.decode(...at(i), code);
          before.errors[i] = weights[i]! - before.values[i];
        });
        const wanted = structuredClone(before);
        for (let i = 0; i < rows * columns; i++) {
          const [row, column] = at(i);
          const old = wanted.values[i]!;
          const step = fround(wanted.gradients[i]! / hessian[column * (columns + 1)]!);
          const target = fround(old + step);
          const code = reference.encode(row, column, target);
          const value = reference.decode(row, column, code);
          if (code === wanted.codes[i]) continue;
          if (!(Math.abs(fround(target - value)) < Math.abs(fround(target - old)))) continue;
          wanted.codes[i] = code;
          wanted.values[i] = value;
          wanted.errors[i] = weights[i]! - value;
          for (let j = column + 1; j < columns; j++) {
            wanted.gradients[row * columns + j]! += fround(
              fround(old - value) * hessian[column * columns + j]!,
            );
          }
        }
        for (const { math } of all) {
          const found = structuredClone(before);
          math.descendColumns({
            ...found,
            rows,
            columns,
            weights,
            tileCodes,
            hessian,
            hessianStride: columns,
            stride: columns,
          });
          expect(found.codes).toEqual(wanted.codes);
          expect(sameNumbers(found.values, wanted.values)).toBe(true);
          expect(sameNumbers(found.errors, wanted.errors)).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("are searched together with scales and shifts, step by step", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 3, 16, 21),
        fc.constantFrom(1, 16, 19),
        fc.nat(1000),
        (rows, columns, seed) => {
          const { rule, table, unshifted } = RULES[name]!;
          const choices = 5;
          const middle = gaussian(2 * rows, seed);
          const scales = Float32Array.from({ length: rows * choices }, (_, i) => {
            const row = Math.floor(i / choices);
            return (seed + row) % 7 === 0 ? 0 : middle[row]! * (1 + ((i % choices) - 2) / 9);
          });
          const moved = Float32Array.from({ length: rows * choices }, (_, i) => {
            const step = (i % choices) - 2;
            return rule.kind === "zero" ? 4 + step : middle[rows + Math.floor(i / choices)]! + step / 8;
          });
          const shifts = unshifted ? undefined : moved;
          const order = Int32Array.from({ length: columns }, (_, i) => columns - 1 - i);
          const factors = gaussian(columns ** 2, seed + 1).map((value, i) =>
            i % columns > Math.floor(i / columns) ? value / 6 : 0,
          );
          const weights = gaussian(columns, seed + 2).map((value) => value ** 2 + 0.1);
          const given = { rows, columns, order, factors, weights, choices, scales, shifts };
          const gradients = gaussian(rows * columns, seed + 3);
          const codes = Uint8Array.from({ length: rows * columns }, (_, i) => 1 + ((i + seed) % 5));
          const at = (row: number, scale: number, shift: number): ReferenceCodes => {
            const one = {
              scales: scales.subarray(row * choices + scale),
              shifts: shifts?.subarray(row * choices + shift),
            };
            return referenceCodes({ rule, tile: { rows: 1, columns: 1 }, ...one }, 1, table);
          };
          const values = Float32Array.from(codes, (code, i) =>
            at(Math.floor(i / columns), 2, 2).decode(0, 0, code),
          );
          const attempts = 24;
          const wanted = { codes: codes.slice(), places: new Uint8Array(2 * rows) };
          for (let row = 0; row < rows; row++) {
            const targets = Float32Array.from(order, (column) => gradients[row * columns + column]!);
            for (let k = columns - 1; k > 0; k--) {
              for (let p = 0; p < k; p++) targets[p]! -= fround(factors[p * columns + k]! * targets[k]!);
            }
            targets.forEach((target, p) => (targets[p] = target / weights[p]!));
            for (let k = 0; k < columns; k++) {
              for (let p = k + 1; p < columns; p++)
                targets[p]! -= fround(factors[k * columns + p]! * targets[k]!);
            }
            order.forEach((column, p) => (targets[p]! += values[row * columns + column]!));
            const costOf = (valueAt: (p: number, target: number) => number): number => {
              const next = targets.slice();
              return targets.reduce((sum, target, p) => {
                const value = valueAt(p, next[p]!);
                const miss = fround(next[p]! - value);
                const error = fround(target - value);
                for (let j = p + 1; j < columns; j++) next[j]! += fround(error * factors[p * columns + j]!);
                return fround(sum + fround(fround(miss * miss) * weights[p]!));
              }, 0);
            };
            let least = costOf((p) => values[row * columns + order[p]!]!);
            let [scale, shift] = [2, 2];
            const attempt = (nextScale: number, nextShift: number): boolean => {
              const reference = at(row, nextScale, nextShift);
              const found = new Uint8Array(columns);
              const cost = costOf((p, target) => {
                found[p] = reference.encode(0, 0, target);
                return reference.decode(0, 0, found[p]);
              });
              if (!(cost < least)) return false;
              [least, scale, shift] = [cost, nextScale, nextShift];
              order.forEach((column, p) => (wanted.codes[row * columns + column] = found[p]!));
              return true;
            };
            attempt(2, 2);
            const steps = [
              [1, 0],
              [-1, 0],
              [0, 1],
              [0, -1],
              [1, 1],
              [-1, -1],
              [1, -1],
              [-1, 1],
            ] as const;
            const within = (place: number): number => Math.min(Math.max(place, 0), choices - 1);
            const directions = unshifted ? 2 : 8;
            for (let i = 0, failures = 0; i < attempts && failures < directions; i++) {
              const [a, b] = steps[i % directions]!;
              failures = attempt(within(scale + a), within(shift + b)) ? 0 : failures + 1;
            }
            wanted.places.set([scale, shift], 2 * row);
          }
          for (const { math } of all) {
            const found = { codes: codes.slice(), places: new Uint8Array(2 * rows) };
            const strides = { gradientStride: columns, valueStride: columns, codeStride: columns };
            const search = { rule, gradients, values, attempts, movesShifts: !unshifted };
            math.searchScales({ ...given, ...strides, ...search, ...found });
            expect(found).toEqual(wanted);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("decide which scale has the least error, on all instruction sets alike", () => {
    fc.assert(
      fc.property(shapes, fc.constantFrom(2, 2.4), fc.boolean(), (shape, exponent, inHessian) => {
        const { rows, columns, tileCodes } = caseOf(name, shape);
        const { tile, rule } = tileCodes;
        const weights = gaussian(rows * columns, shape.seed);
        const tries = 19;
        const across = Math.ceil(columns / tile.columns);
        const tiles = Math.ceil(rows / tile.rows) * across;
        const scales = gaussian(tiles * tries, shape.seed + 6).map((value) => Math.abs(value) + 0.01);
        const moved = gaussian(tiles * tries, shape.seed + 7);
        const shifts = moved.map((value) => (rule.kind === "zero" ? 4 : RULES[name]!.unshifted ? 0 : value));
        const importance = gaussian(columns, shape.seed + 8).map((value, i) =>
          i % 5 === 2 ? 0 : value ** 2,
        );
        const block = gaussian(tile.columns ** 2, shape.seed + 9);
        const hessian = Float32Array.from({ length: across * tile.columns ** 2 }, (_, i) => {
          const [a, b] = [Math.floor(i / tile.columns) % tile.columns, i % tile.columns];
          return a === b ? 3 : (block[a * tile.columns + b]! + block[b * tile.columns + a]!) / tile.columns;
        });
        const counts = Float32Array.from({ length: tiles }, (_, i) =>
          i % 2 === 0 ? tries : 1 + (i % tries),
        );
        const costs = Array.from({ length: tiles }, (_, i) => new Float64Array(counts[i]!));
        for (let t = 0; t < tries; t++) {
          const at = (values: Float32Array): Float32Array =>
            Float32Array.from({ length: tiles }, (_, i) => values[i * tries + t]!);
          const tried = { rule, tile, scales: at(scales), shifts: at(shifts) };
          const codes = referenceCodes(tried, columns, RULES[name]!.table);
          const errors = Float64Array.from(weights, (weight, i) => {
            const [row, column] = [Math.floor(i / columns), i % columns];
            return weight - codes.decode(row, column, codes.encode(row, column, weight));
          });
          errors.forEach((error, i) => {
            const [row, column] = [Math.floor(i / columns), i % columns];
            const inTile = column % tile.columns;
            const number = Math.floor(row / tile.rows) * across + Math.floor(column / tile.columns);
            if (t >= counts[number]!) return;
            if (!inHessian) costs[number]![t]! += importance[column]! * Math.abs(error) ** exponent;
            for (let j = inHessian ? inTile : -1; j >= 0; j--) {
              const h = hessian[inTile * tile.columns + j]! * (j === inTile ? 1 : 2);
              costs[number]![t]! += h * error * errors[i - inTile + j]!;
            }
          });
        }
        const found = all.map(({ math }) => {
          const best = new Float32Array(tiles);
          const weighed = inHessian ? { hessian } : { importance };
          const choice = { ...weighed, counts, shifts: RULES[name]!.unshifted ? undefined : shifts };
          math.searchTiles({
            rows,
            columns,
            weights,
            tile,
            rule,
            tries,
            scales,
            exponent,
            best,
            ...choice,
          });
          return best;
        });
        for (const best of found) expect(best).toEqual(found[0]);
        found[0]!.forEach((best, i) => {
          expect(costs[i]![best]).toBeLessThanOrEqual(Math.min(...costs[i]!) * (1 + 1e-5) + 1e-5);
        });
      }),
      { numRuns: 40 },
    );
  });

  it("tell how far weights are from them, and where code 0 would rather be", () => {
    fc.assert(
      fc.property(shapes, fc.constantFrom(0.7, 1), fc.constantFrom(0.5, 10), (shape, norm, beta) => {
        const { rows, columns, tileCodes } = caseOf(name, shape);
        const { tile } = tileCodes;
        const weights = gaussian(rows * columns, shape.seed);
        const across = Math.ceil(columns / tile.columns);
        const tiles = Math.ceil(rows / tile.rows) * across;
        const scales = gaussian(tiles, shape.seed + 1).map((value) => Math.abs(value) + 0.1);
        const codes = { ...tileCodes, scales };
        const reference = referenceCodes(codes, columns, RULES[name]!.table);
        const asked = Uint8Array.from({ length: tiles }, (_, i) => (i % 4 === 3 ? 0 : 1));
        const wanted = { errors: new Float64Array(tiles), centres: new Float64Array(tiles) };
        weights.forEach((weight, i) => {
          const [row, column] = [Math.floor(i / columns), i % columns];
          const number = Math.floor(row / tile.rows) * across + Math.floor(column / tile.columns);
          if (asked[number] === 0) return;
          const value = reference.decode(row, column, reference.encode(row, column, weight));
          const magnitude = Math.abs(weight - value);
          const shrunk = Math.max(magnitude - magnitude ** (norm - 1) / beta, 0);
          wanted.errors[number]! += magnitude;
          wanted.centres[number]! +=
            weight - Math.sign(weight - value) * shrunk - (value - reference.decode(row, column, 0));
        });
        const found = all.map(({ math }) => {
          const sums = { errors: new Float64Array(tiles), centres: new Float64Array(tiles) };
          const shrinkage = { exponent: norm - 1, beta, bound: 0.999 * beta ** (1 / (norm - 2)) };
          math.tileResiduals({ rows, columns, weights, tileCodes: codes, asked, shrinkage, ...sums });
          return sums;
        });
        for (const sums of found) expect(sums).toEqual(found[0]);
        for (const key of ["errors", "centres"] as const) {
          const size = tile.rows * tile.columns;
          found[0]![key].forEach((sum, i) =>
            expect(Math.abs(sum - wanted[key][i]!)).toBeLessThan(1e-4 * size),
          );
        }
      }),
      { numRuns: 40 },
    );
  });
});

it("ranges are those of weights that count, or of all where none does", () => {
  fc.assert(
    fc.property(shapes, fc.constantFrom(1, 2, 3), ({ rows, columns, tile, seed }, nonzero) => {
      const weights = gaussian(rows * columns, seed).map((value, i) => (i % 7 === 0 ? -0 : value));
      const importance = Float32Array.from({ length: columns }, (_, i) => (i % 3 < nonzero - 1 ? 1 : 0));
      const across = Math.ceil(columns / tile.columns);
      const tiles = Math.ceil(rows / tile.rows) * across;
      const [low, high] = [new Float32Array(tiles).fill(Infinity), new Float32Array(tiles).fill(-Infinity)];
      for (const counted of [true, false]) {
        for (let number = 0; number < tiles; number++) {
          if (low[number]! <= high[number]!) continue;
          weights.forEach((weight, i) => {
            const [row, column] = [Math.floor(i / columns), i % columns];
            if (Math.floor(row / tile.rows) * across + Math.floor(column / tile.columns) !== number) return;
            if (counted && importance[column] === 0) return;
            low[number] = Math.min(low[number]!, weight + 0);
            high[number] = Math.max(high[number]!, weight + 0);
          });
        }
      }
      for (const { math } of all) {
        const found = { low: new Float32Array(tiles), high: new Float32Array(tiles) };
        math.tileRanges({ rows, columns, weights, tile, importance, ...found });
        expect(found).toEqual({ low, high });
      }
    }),
  );
});

it("keeps columns that are not rounded as they come", () => {
  const [rows, columns] = [5, 20];
  const weights = gaussian(rows * columns, 1);
  const targets = gaussian(rows * columns, 2);
  const factors = gaussian(columns * columns, 3);
  const order = Int32Array.from({ length: columns }, (_, i) => i);
  const wanted = targets.slice();
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns; i++) {
      const error = fround(weights[row * columns + i]! - wanted[row * columns + i]!);
      for (let j = i + 1; j < columns; j++) {
        wanted[row * columns + j]! += fround(error * factors[i * columns + j]!);
      }
    }
  }
  for (const { math } of all) {
    const [values, errors] = [new Float32Array(rows * columns), new Float32Array(rows * columns)];
    math.compensateColumns({
      rows,
      columns,
      totalColumns: columns,
      order,
      targets,
      targetStride: columns,
      weights,
      weightStride: columns,
      errors,
      errorStride: columns,
      factors,
      factorStride: columns,
      values,
    });
    expect(values).toEqual(wanted);
    expect(errors).toEqual(weights.map((weight, i) => weight - wanted[i]!));
  }
});

it("refuses what does not fit", () => {
  const { math } = all[0]!;
  const { tileCodes, ...rest } = caseOf("offsets", {
    rows: 4,
    columns: 16,
    tile: { rows: 1, columns: 5 },
    seed: 1,
  });
  const codes = new Uint8Array(64);
  const good = { rows: 4, columns: 16, weights: rest.weights, codes, tileCodes };
  math.encodeTiles(good);
  const wrong: readonly [object, string][] = [
    [{ codes: codes.subarray(1) }, "codes has 63 bytes"],
    [{ firstColumn: 1, totalColumns: 16 }, "there are 16 columns, not 16 from column 1 on"],
    [{ tileCodes: { ...tileCodes, scales: new Float32Array(15) } }, "scales has 60 bytes"],
    [{ tileCodes: { ...tileCodes, shifts: undefined } }, "takes shifts"],
    [{ tileCodes: { ...tileCodes, tile: { rows: 1, columns: 0 } } }, "tiles need rows and columns"],
    [{ tileCodes: { ...tileCodes, rule: { kind: "zero", least: 0, most: 256 } } }, "codes are from 0 to 255"],
  ];
  for (const [change, message] of wrong) {
    expect(() => math.encodeTiles({ ...good, ...change })).toThrow(
      expect.objectContaining({ code: "KERNEL_ARGUMENT", message: expect.stringContaining(message) }),
    );
  }
  const strides = { targetStride: 16, weightStride: 16, errorStride: 16, factorStride: 16 };
  const floats = { targets: rest.weights, weights: rest.weights, errors: rest.weights.slice() };
  const order = Int32Array.from({ length: 16 }, () => 16);
  const columns = { rows: 4, columns: 16, totalColumns: 16, factors: new Float32Array(256), order, codes };
  expect(() => math.compensateColumns({ ...strides, ...floats, ...columns, tileCodes })).toThrow(
    "the order must name a column from 0 to 15",
  );
});
