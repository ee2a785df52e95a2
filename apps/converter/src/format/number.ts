/** An integer with thousands separators: "1,234,567". */
export function formatInteger(value: number | bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** How many parameters, as model names say it: "2.89M", "8.03B", "512". */
export function formatParameters(count: number): string {
  let value = count;
  for (const unit of ["", "K", "M", "B", "T"]) {
    if (value < 999.5 || unit === "T") {
      return unit === ""
        ? String(count)
        : `${value < 999.5 ? value.toPrecision(3) : value.toFixed(0)}${unit}`;
    }
    value /= 1000;
  }
  return String(count);
}

/** Bits per weight: "4.58". */
export function formatBitsPerWeight(bytes: number, weights: number): string {
  return weights === 0 ? "-" : ((bytes * 8) / weights).toFixed(2);
}

/** A share of a whole in percent: "31.4%"; "100%" only when it is complete. */
export function formatPercent(part: number, whole: number): string {
  if (whole <= 0 || part >= whole) {
    return "100%";
  }
  return `${(Math.floor((part / whole) * 1000) / 10).toFixed(1)}%`;
}

/** A size relative to another in percent: "31.4%", "200%". */
export function formatRatio(part: number, whole: number): string {
  const percent = (part / whole) * 100;
  return whole <= 0 ? "-" : `${percent.toFixed(percent < 99.95 ? 1 : 0)}%`;
}
