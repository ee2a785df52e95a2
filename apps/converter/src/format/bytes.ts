const decimalUnits = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** Factors of the units that `parseSize` knows, by lower-case spelling. */
const unitFactors: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Bytes for people, in powers of 1000 with three significant digits: "942 B", "5.78 MB", "16.1 GB". */
export function formatBytes(bytes: number): string {
  let value = Math.abs(bytes);
  let unit = 0;
  // 999.5 and above would round to "1000": it belongs to the next unit.
  while (value >= 999.5 && unit < decimalUnits.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${bytes < 0 ? "-" : ""}${value.toFixed(digits)} ${decimalUnits[unit]}`;
}

/**
 * Reads a size that a person typed: "400MB", "1.5 GiB", "65536".
 *
 * @param letters What a bare letter stands for: powers of 1024 as in Docker and dd, or of 1000 as in llama.cpp's tools.
 * @returns whole bytes, at least 1; undefined when it is not a size
 */
export function parseSize(text: string, letters: 1024 | 1000 = 1024): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const unit = match?.[2]!.toLowerCase();
  const factor = unit === undefined ? undefined : factorOf(unit, letters);
  if (factor === undefined) {
    return undefined;
  }
  const bytes = Math.floor(Number(match![1]) * factor);
  return Number.isSafeInteger(bytes) && bytes >= 1 ? bytes : undefined;
}

function factorOf(unit: string, letters: number): number | undefined {
  const power = unit.length === 1 ? "kmgt".indexOf(unit) : -1;
  return power >= 0 ? letters ** (power + 1) : unitFactors[unit];
}
