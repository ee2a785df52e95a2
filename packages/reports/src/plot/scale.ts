/** Takes values to places on an axis. */
export interface Scale {
  /** Pixels. */
  at(value: number): number;
  /** Values with a line and a label. */
  readonly ticks: readonly number[];
}

interface ScaleParams {
  /** Smallest and largest value; both ends are rounded outwards. */
  readonly domain: readonly [number, number];
  /** Pixels where the ends are. */
  readonly range: readonly [number, number];
  /** About how many ticks. @default 6 */
  readonly count?: number;
}

/** Even steps of 1, 2 or 5 times a power of ten. */
export function linearScale({ domain: [low, high], range, count = 6 }: ScaleParams): Scale {
  // A domain that is next to nothing, beside its values, is widened: steps must be more than errors of rounding.
  const spread = Math.max(high - low, Math.abs(high) * 1e-6, SMALLEST);
  const step = niceStep(spread / count);
  const first = Math.floor(low / step + EPSILON);
  const last = Math.max(Math.ceil(high / step - EPSILON), first + 1);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => tidy((first + i) * step));
  return { ticks, at: between([first * step, last * step], range) };
}

/** Powers of ten, and 2 and 5 times them where there is room; the domain is above 0. */
export function logScale({ domain, range, count = 6 }: ScaleParams): Scale {
  const [low, high] = domain;
  const candidates = logTicks(domain, count);
  const below = candidates.filter((tick) => tick <= low * (1 + EPSILON)).at(-1) ?? low;
  const above = candidates.find((tick) => tick >= high * (1 - EPSILON) && tick > below) ?? high;
  return tightLogScale({ domain: [below, above], range, count });
}

/** The same with ends that are not rounded. */
export function tightLogScale({ domain: [low, high], range, count = 6 }: ScaleParams): Scale {
  const place = between([Math.log10(low), Math.log10(high)], range);
  const inside = (tick: number): boolean => tick >= low * (1 - EPSILON) && tick <= high * (1 + EPSILON);
  return {
    ticks: logTicks([low, high], count).filter(inside),
    at: (value) => place(Math.log10(value)),
  };
}

/** From below the domain to above it. */
function logTicks([low, high]: readonly [number, number], count: number): number[] {
  const decades = Math.log10(high) - Math.log10(low);
  if (!Number.isFinite(decades)) return [];
  const factors = decades * 3 <= count * 1.5 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / count));
  const ticks: number[] = [];
  for (
    let power = Math.floor(Math.log10(low)) - every;
    power <= Math.ceil(Math.log10(high)) + every;
    power++
  ) {
    if (power % every === 0) ticks.push(...factors.map((factor) => Number(`${factor}e${power}`)));
  }
  return ticks.filter((tick) => tick > 0 && tick < Infinity);
}

/** Smallest and largest of some values. */
export function extentOf(values: readonly number[]): [number, number] {
  return [
    values.reduce((least, value) => Math.min(least, value), Infinity),
    values.reduce((most, value) => Math.max(most, value), -Infinity),
  ];
}

const EPSILON = 1e-9;
const SMALLEST = 1e-100;

function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 5].find((candidate) => candidate >= step / power - EPSILON) ?? 10;
  return factor * power;
}

/** Without the last digits, which are errors of rounding. */
function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

function between(
  [low, high]: readonly [number, number],
  [start, end]: readonly [number, number],
): (value: number) => number {
  return (value) => start + ((value - low) / (high - low)) * (end - start);
}
