import { describe, expect, it } from "vitest";
import { correlatedInputs, gaussian } from "../testing/random.ts";
import { hadamardMatrix } from "./hadamard.ts";
import { randomizedHadamard, rotateInputs, rotateOutputs } from "./rotation.ts";

describe("Hadamard matrices", () => {
  it.each([1, 4, 8, 12, 20, 24, 28, 36, 44, 60, 76, 108, 140, 148])(
    "of size %i have orthogonal rows of 1 and -1",
    (size) => {
      const matrix = hadamardMatrix(size)!;
      expect(matrix.every((value) => Math.abs(value) === 1)).toBe(true);
      for (let i = 0; i < size; i++) {
        for (let j = 0; j <= i; j++) {
          let sum = 0;
          for (let k = 0; k < size; k++) sum += matrix[i * size + k]! * matrix[j * size + k]!;
          expect(sum).toBe(i === j ? size : 0);
        }
      }
    },
  );

  it.each([2, 3, 6, 40, 52, 92])("of size %i are not made", (size) => {
    expect(hadamardMatrix(size)).toBeUndefined();
  });
});

describe("rotations", () => {
  it.each([1, 2, 4, 6, 28, 64, 96, 160, 172, 344, 896])("of size %i are orthogonal", (size) => {
    const { forward, backward } = randomizedHadamard({ size, seed: 3 });
    for (const seed of [1, 2]) {
      const x = Float64Array.from(gaussian(size, seed));
      const y = Float64Array.from(gaussian(size, seed + 10));
      const dot = (a: Float64Array, b: Float64Array): number =>
        a.reduce((sum, value, i) => sum + value * b[i]!, 0);
      expect(dot(forward(x), forward(y))).toBeCloseTo(dot(x, y), 8);
      const back = backward(forward(x));
      x.forEach((value, i) => expect(back[i]).toBeCloseTo(value, 10));
    }
  });

  it("spread one column over all of them, or over those of its block", () => {
    const spread = (size: number): number => {
      const x = new Float64Array(size);
      x[0] = 1;
      return randomizedHadamard({ size })
        .forward(x)
        .filter((value) => value !== 0).length;
    };
    expect([64, 896, 1536, 2560, 3584, 5120].map(spread)).toEqual([64, 896, 1536, 2560, 3584, 5120]);
    expect(spread(11008)).toBe(256);
    expect(spread(6)).toBe(2);
  });

  it("are decided by their seed", () => {
    const x = Float64Array.from(gaussian(64, 1));
    const of = (seed: number): Float64Array => randomizedHadamard({ size: 64, seed }).forward(x);
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
  });

  it("between layers leave what they compute as it is", () => {
    const [inputs, middle, outputs] = [10, 24, 7];
    const first = { rows: middle, columns: inputs, values: gaussian(middle * inputs, 4) };
    const second = { rows: outputs, columns: middle, values: gaussian(outputs * middle, 5) };
    const compute = (a: typeof first, b: typeof second): number[] => {
      const x = correlatedInputs(1, inputs, 6);
      const hidden = Array.from({ length: middle }, (_, row) =>
        x.reduce((sum, value, j) => sum + value * a.values[row * inputs + j]!, 0),
      );
      return Array.from({ length: outputs }, (_, row) =>
        hidden.reduce((sum, value, j) => sum + value * b.values[row * middle + j]!, 0),
      );
    };
    const rotation = randomizedHadamard({ size: middle, seed: 8 });
    const rotated = compute(rotateOutputs(first, rotation), rotateInputs(second, rotation));
    compute(first, second).forEach((value, i) => expect(rotated[i]).toBeCloseTo(value, 4));
  });

  it("refuse sizes that do not fit", () => {
    const rotation = randomizedHadamard({ size: 8 });
    const matrix = { rows: 8, columns: 4, values: gaussian(32, 1) };
    expect(() => rotateInputs(matrix, rotation)).toThrow(expect.objectContaining({ code: "QUANTIZE_SHAPE" }));
    expect(rotateOutputs(matrix, rotation).rows).toBe(8);
    expect(() => randomizedHadamard({ size: 7 })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_OPTION" }),
    );
  });
});
