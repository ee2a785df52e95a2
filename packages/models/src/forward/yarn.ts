/** llama.cpp's converter stores a tenth of DeepSeek's `mscale_all_dim` (conversion/deepseek.py). */
export const YARN_LOG_MULTIPLIER_UNIT = 0.1;

/** 1 + 0.1 m ln(factor): by how much YaRN makes attention sharper (the paper, equation 22; m is DeepSeek's `mscale`). */
export function yarnMagnitude(factor: number, multiplier = 1): number {
  return factor <= 1 ? 1 : 0.1 * multiplier * Math.log(factor) + 1;
}
