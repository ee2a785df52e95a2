import { expect, it } from "vitest";
import { layerUnderTest } from "../testing/tasks.ts";
import { localForm, solveLocal } from "./local-form.ts";

it("is the block of a Hessian as a sum of squares, and solves its equations", async () => {
  const columns = 40;
  const { matrix, hessian } = await layerUnderTest(1, columns, { seed: 41 });
  const floats = Float32Array.from(hessian.matrix);
  const span = { start: 12, end: 30 };
  const width = span.end - span.start;
  const form = localForm({ hessian: floats, columns, span });
  const h = (i: number, j: number): number =>
    floats[(span.start + form.order[i]!) * columns + span.start + form.order[j]!]!;
  const errors = Float64Array.from(matrix.values.subarray(0, width));
  const gradients = errors.map((_, j) => errors.reduce((sum, error, i) => sum + error * h(i, j), 0));
  const product = errors.reduce((sum, error, j) => sum + error * gradients[j]!, 0);
  let squares = 0;
  for (let p = 0; p < width; p++) {
    let total = errors[p]!;
    for (let k = 0; k < p; k++) total += errors[k]! * form.factors[k * width + p]!;
    squares += form.weights[p]! * total ** 2;
  }
  expect(squares / product).toBeCloseTo(1, 9);
  solveLocal(form, gradients);
  gradients.forEach((value, p) => expect(value).toBeCloseTo(errors[p]!, 6));
  const diagonal = Array.from(form.order, (_, p) => h(p, p));
  expect(diagonal).toEqual(diagonal.toSorted((a, b) => b - a));
});
