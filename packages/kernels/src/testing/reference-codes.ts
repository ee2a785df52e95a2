import type { TileCodes } from "../index.ts";

const { fround } = Math;

/** What the rules of `CodeRule` say, element by element. */
export interface ReferenceCodes {
  encode(row: number, column: number, weight: number): number;
  decode(row: number, column: number, code: number): number;
}

/** Of a table: codes by an ascending list of the values above which each begins. */
export interface ReferenceTable {
  readonly values: Float32Array;
  encode(x: number): number;
}

function roundToEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

export function referenceCodes(
  { rule, tile, scales, shifts }: TileCodes,
  totalColumns: number,
  table: ReferenceTable | undefined,
): ReferenceCodes {
  const across = Math.ceil(totalColumns / tile.columns);
  const tileAt = (row: number, column: number): number =>
    Math.floor(row / tile.rows) * across + Math.floor(column / tile.columns);
  const divided = (weight: number, scale: number): number => (scale === 0 ? 0 : fround(weight / scale));
  if (rule.kind === "table") {
    return {
      encode(row, column, weight) {
        const scale = scales[tileAt(row, column)]!;
        const reciprocal = fround(1 / Math.max(scale, fround(1e-38)));
        if (rule.reciprocal) return table!.encode(fround(weight * reciprocal));
        return table!.encode(divided(fround(weight - (shifts?.[tileAt(row, column)] ?? 0)), scale));
      },
      decode(row, column, code) {
        const value = fround(table!.values[code]! * scales[tileAt(row, column)]!);
        return fround(value + (shifts?.[tileAt(row, column)] ?? 0));
      },
    };
  }
  const { kind, least, most } = rule;
  const clamp = (code: number): number => Math.min(Math.max(code, least), most);
  return {
    encode(row, column, weight) {
      const [scale, shift] = [scales[tileAt(row, column)]!, shifts![tileAt(row, column)]!];
      if (kind === "zero") return clamp(roundToEven(divided(weight, scale)) + shift);
      return clamp(roundToEven(divided(fround(weight - shift), scale)));
    },
    decode(row, column, code) {
      const [scale, shift] = [scales[tileAt(row, column)]!, shifts![tileAt(row, column)]!];
      return kind === "zero" ? fround(scale * (code - shift)) : fround(fround(scale * code) + shift);
    },
  };
}
