/**
 * Makes the inputs of linear layers what 8-bit integers with a scale for each token can say, before they are read: "dynamic" W8A8.
 *
 * @param factors by module: what columns are divided by before they are quantized, and multiplied by after that
 */
export function quantizeTokens(factors) {
  return ({ module, input, rows, columns }) => {
    const divisors = factors.get(module);
    if (divisors === undefined) return;
    for (let row = 0; row < rows; row++) {
      const start = row * columns;
      let largest = 0;
      for (let j = 0; j < columns; j++) largest = Math.max(largest, Math.abs(input[start + j] / divisors[j]));
      const scale = largest / 127 || 1;
      for (let j = 0; j < columns; j++) {
        input[start + j] = Math.round(input[start + j] / divisors[j] / scale) * scale * divisors[j];
      }
    }
  };
}
