import { roundToEven } from "../../scale-type.ts";

/** The levels of a layout in ascending order: codes of a rounding are places in it. */
export interface LevelTable {
  readonly levels: Int16Array;
  /** Whether they are integers that follow each other. */
  readonly consecutive: boolean;
  /** Code of a stored code. */
  readonly codeOf: Uint8Array;
  /** Stored code of a code. */
  readonly storedOf: Uint8Array;
  /** The code of the level nearest to a number. */
  readonly nearest: (value: number) => number;
}

/** @param stored the integer that each stored code stands for; of two codes for the same, the first is used */
export function levelTable(stored: readonly number[]): LevelTable {
  const levels = Int16Array.from(new Set(stored)).sort();
  const consecutive = levels.every((level, code) => level === levels[0]! + code);
  return {
    levels,
    consecutive,
    codeOf: Uint8Array.from(stored, (level) => levels.indexOf(level)),
    storedOf: Uint8Array.from(levels, (level) => stored.indexOf(level)),
    nearest: consecutive ? nearestInteger(levels[0]!, levels.length - 1) : nearestLevel(levels),
  };
}

/** Of two, the even one. */
function nearestInteger(least: number, last: number): (value: number) => number {
  return (value) => Math.min(Math.max(roundToEven(value) - least, 0), last);
}

/** Of two, the upper one. */
function nearestLevel(levels: Int16Array): (value: number) => number {
  const last = levels.length - 1;
  // Borders between levels are multiples of 1/2.
  const least = 2 * levels[0]!;
  const count = 2 * levels[last]! - least;
  const table = new Uint8Array(count);
  for (let i = 0, code = 0; i < count; i++) {
    const middle = (least + i + 0.5) / 2;
    while (Math.abs(levels[code + 1]! - middle) < Math.abs(levels[code]! - middle)) code++;
    table[i] = code;
  }
  return (value) => {
    const i = Math.floor(2 * value) - least;
    return i > 0 ? (i < count ? table[i]! : last) : 0;
  };
}
