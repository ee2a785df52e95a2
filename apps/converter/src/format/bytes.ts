const decimalUnits = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** Factors of the units that `parseSize` knows, by lower-case spelling. A bare letter is a power of 1024, as in Docker and dd. */
const unitFactors: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
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
 * @returns whole bytes, at least 1; undefined when it is not a size
 */
export function parseSize(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const factor = match === null ? undefined : unitFactors[match[2]!.toLowerCase()];
  if (factor === undefined) {
    return undefined;
  }
  const bytes = Math.floor(Number(match![1]) * factor);
  return Number.isSafeInteger(bytes) && bytes >= 1 ? bytes : undefined;
}
