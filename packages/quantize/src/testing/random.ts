import { uniformAt } from "../random.ts";

/** Normal draws (Box-Muller). */
export function gaussian(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(seed, 2 * i)));
    return radius * Math.cos(2 * Math.PI * uniformAt(seed, 2 * i + 1));
  });
}

/** Rows of inputs whose columns go together, some of them much larger than others. */
export function correlatedInputs(tokens: number, columns: number, seed: number): Float32Array {
  const sources = gaussian(tokens * columns, seed);
  const sizes = gaussian(columns, seed + 1).map((value) => Math.exp(value));
  const inputs = new Float32Array(tokens * columns);
  for (let token = 0, i = 0; token < tokens; token++) {
    let common = 0;
    for (let column = 0; column < columns; column++, i++) {
      common = 0.8 * common + 0.6 * sources[i]!;
      inputs[i] = common * sizes[column]!;
    }
  }
  return inputs;
}

/** X^T X in F64. */
export function gram(inputs: Float32Array, columns: number): Float64Array {
  const result = new Float64Array(columns * columns);
  for (let start = 0; start < inputs.length; start += columns) {
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j < columns; j++) result[i * columns + j]! += inputs[start + i]! * inputs[start + j]!;
    }
  }
  return result;
}
