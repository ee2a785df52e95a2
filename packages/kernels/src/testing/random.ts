/** A fast seeded generator (xorshift32, Marsaglia 2003), so that every run sees the same weights. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Standard normal. */
  gaussian(): number;
  /** Uniform integer in [0, limit). */
  integer(limit: number): number;
}

export function createRandom(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  const uniform = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  let spare: number | undefined;
  return {
    uniform,
    gaussian() {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      // Box-Muller; 1 - uniform() is never 0.
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      const angle = 2 * Math.PI * uniform();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
    integer: (limit) => Math.floor(uniform() * limit),
  };
}
