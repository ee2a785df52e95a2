/** Three significant digits, never with an exponent where few zeros do: "0.0123", "12.3", "1.2e-7". */
export function formatFigure(value: number): string {
  if (value === 0) return "0";
  const magnitude = Math.abs(value);
  if (magnitude < 1e-4 || magnitude >= 1e6) return value.toExponential(2).replace("e+", "e");
  return magnitude >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** A share or relative error as percent: "6.71 %". */
export function formatPercent(share: number): string {
  return `${formatFigure(share * 100)} %`;
}

/** A dash for what was not measured. */
export function formatKnown(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? "\u2013" : format(value);
}

export function formatDecibels(snr: number | undefined): string {
  return snr === undefined ? "exact" : `${snr.toFixed(1)} dB`;
}

/** "12,345" */
export function formatInteger(value: number): string {
  return value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ",");
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const COUNT_UNITS = ["", " thousand", " million", " billion", " trillion"];

/** Powers of 1000: "4.92 GB". */
export function formatBytes(bytes: number): string {
  return scaled(bytes, BYTE_UNITS, " ");
}

/** "1.24 billion" */
export function formatCount(count: number): string {
  return scaled(count, COUNT_UNITS, "");
}

function scaled(value: number, units: readonly string[], space: string): string {
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value.toFixed(0) : value.toPrecision(3)}${space}${units[unit]}`;
}
