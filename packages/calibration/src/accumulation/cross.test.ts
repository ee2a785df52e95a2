import { loadKernels } from "@quern/kernels";
import { describe, expect, it } from "vitest";
import { addCross, allocateCross, type CapturedPair, crossBytes } from "./cross.ts";
import { SharedArena } from "./shared-arena.ts";

const columns = 300;
const matrices = 2;

function pairs(): CapturedPair[] {
  let state = 1;
  const value = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return [300, 0, 17].map((rows) => {
    const parts = Array.from({ length: matrices }, (_, matrix) => ({ matrix, rows }));
    const input = { rows: Float32Array.from({ length: (matrices * rows + 3) * columns }, value), parts };
    return { input, reference: { ...input, rows: input.rows.map((x) => x + value() / 8) } };
  });
}

function sumsOf(
  captured: CapturedPair[],
  kernels: Parameters<typeof addCross>[0],
  tasks: number,
): Float64Array[] {
  const arena = new SharedArena();
  const input = { name: "a", modules: ["a"], columns, matrices, rowsPerToken: matrices };
  arena.reset({ bytes: crossBytes(input), arrays: matrices });
  const slices = allocateCross({ arena, input, tasks });
  for (const slice of slices) addCross(kernels, { kind: "cross", columns, captured, ...slice });
  return Array.from({ length: matrices }, (_, matrix) => {
    return Float64Array.from(slices.filter((slice) => slice.matrix === matrix).flatMap(({ c }) => [...c]));
  });
}

describe.each(["native", "wasm"] as const)("addCross with %s kernels", (backend) => {
  it("gives (X_f - X)^T X of each matrix, however it is cut", async () => {
    const kernels = await loadKernels({ backend });
    const captured = pairs();
    const whole = sumsOf(captured, kernels, 1);
    expect(sumsOf(captured, kernels, 5)).toEqual(whole);
    for (const [matrix, found] of whole.entries()) {
      for (let i = 0; i < columns; i += 23) {
        for (let j = 0; j < columns; j += 29) {
          let exact = 0;
          let bound = 0;
          for (const { input, reference } of captured) {
            const { rows } = input.parts[matrix]!;
            for (let row = matrix * rows; row < (matrix + 1) * rows; row++) {
              const at = row * columns;
              const difference = Math.fround(reference.rows[at + i]! - input.rows[at + i]!);
              exact += difference * input.rows[at + j]!;
              bound += Math.abs(difference * input.rows[at + j]!);
            }
          }
          expect(Math.abs(found[i * columns + j]! - exact)).toBeLessThanOrEqual(1e-5 * bound);
        }
      }
    }
  });
});
