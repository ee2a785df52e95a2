import type { Layer } from "./format.ts";

/** "expected ..." unless a condition holds: lists of problems read as tables. */
export type Requirement = readonly [holds: boolean, expected: string];

/** What is expected of a layer and not so. */
export function unmet(requirements: readonly Requirement[]): string[] {
  return requirements.flatMap(([holds, expected]) => (holds ? [] : [expected]));
}

/** Groups of whole rows or of some inputs of one output. */
export function groupedByRow({ parameters: { tile } }: Layer): Requirement {
  return [
    tile.rows === 1 && (tile.columns === "all" || tile.columns > 0),
    `the tiles are of ${tile.rows} outputs x ${tile.columns} inputs: expected groups of inputs of one output`,
  ];
}

/** Groups that divide the inputs. */
export function dividedInputs({ columns, parameters: { tile } }: Layer): Requirement {
  return [
    tile.columns === "all" || columns % tile.columns === 0,
    `${columns} inputs do not divide into groups of ${tile.columns}`,
  ];
}

export function multipleOf(what: "inputs" | "outputs", size: number, divisor: number): Requirement {
  return [size % divisor === 0, `${size} ${what}: expected a multiple of ${divisor}`];
}

export function oneOf(what: string, value: unknown, allowed: readonly unknown[]): Requirement {
  return [allowed.includes(value), `${what} ${String(value)}: expected ${allowed.join(", ")}`];
}

export function symmetricOnly({ parameters: { symmetric } }: Layer): Requirement {
  return [symmetric, "asymmetric: expected a symmetric grid"];
}

/** Refuses what only some formats store: order of inputs, quantized scales, quantized inputs of the layer. */
export function plainOnly({ parameters }: Layer, stored: readonly string[] = []): Requirement[] {
  const { actOrder = false, doubleQuantized = false, activations } = parameters;
  return [
    [!actOrder || stored.includes("actOrder"), "an order of the inputs (act-order) cannot be stored"],
    [!doubleQuantized || stored.includes("doubleQuantized"), "scales cannot be quantized again"],
    [
      activations === undefined || stored.includes("activations"),
      "scales of the layer's inputs cannot be stored",
    ],
  ];
}
