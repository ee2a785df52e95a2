import { styleText } from "node:util";

/** Emphasis for a terminal; every function returns its text unchanged where colours are off. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

type Emphasis = keyof Style;

export function createStyle(enabled: boolean): Style {
  const apply =
    (emphasis: Emphasis) =>
    (text: string): string =>
      enabled ? styleText(emphasis, text, { validateStream: false }) : text;
  return {
    bold: apply("bold"),
    dim: apply("dim"),
    red: apply("red"),
    green: apply("green"),
    yellow: apply("yellow"),
    cyan: apply("cyan"),
  };
}
