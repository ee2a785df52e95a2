/** How many parameters a model has. */
export interface ParameterCounts {
  readonly total: number;
  /** All but those of the experts. */
  readonly shared: number;
  /** Of one expert in every layer together. */
  readonly expert: number;
  /** Experts per layer (the mean, rounded down); 0 for dense models. */
  readonly expertCount: number;
}

/**
 * Counts the parameters of the output tensors (gguf_writer.py `get_total_parameter_count`).
 *
 * @param tensors GGUF names and row-major shapes
 */
export function countParameters(
  tensors: Iterable<{ readonly name: string; readonly shape: readonly number[] }>,
): ParameterCounts {
  let total = 0;
  let shared = 0;
  let expert = 0;
  let experts = 0;
  let expertTensors = 0;
  for (const { name, shape } of tensors) {
    const size = shape.reduce((product, length) => product * length, 1);
    total += size;
    if (!name.includes("_exps.") || shape.length < 3) {
      shared += size;
      continue;
    }
    const count = shape.at(name.includes(".bias") ? -2 : -3) as number;
    expert += Math.floor(size / count);
    experts += count;
    expertTensors += 1;
  }
  return { total, shared, expert, expertCount: expertTensors > 0 ? Math.floor(experts / expertTensors) : 0 };
}

/** The size of a model as people write it: "7.2B", "8x7.2B" (gguf-py utility.py `size_label`). */
export function sizeLabel({ total, shared, expert, expertCount }: ParameterCounts): string {
  return expertCount > 0 ? `${expertCount}x${rounded(shared + expert)}` : rounded(total);
}

/** Two digits at least. */
function rounded(parameters: number): string {
  const [factor, suffix] = scaleOf(parameters);
  const scaled = parameters * factor;
  const digits = String(roundHalfEven(scaled)).replace(/^0+/, "").length;
  return fixed(scaled, Math.max(2 - digits, 0)) + suffix;
}

function scaleOf(parameters: number): [number, string] {
  if (parameters > 1e12) return [1e-12, "T"];
  if (parameters > 1e9) return [1e-9, "B"];
  if (parameters > 1e6) return [1e-6, "M"];
  return [1e-3, "K"];
}

/** Python's format: exact ties go to the even digit, where `toFixed` rounds them up. */
function fixed(value: number, decimals: number): string {
  const power = 10 ** decimals;
  // Only multiples of 2^-(decimals + 1) can lie exactly between two decimals; for them the product is exact.
  const isTie = Number.isInteger(value * 2 ** (decimals + 1)) && Math.abs((value * power) % 1) === 0.5;
  return isTie ? (roundHalfEven(value * power) / power).toFixed(decimals) : value.toFixed(decimals);
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
