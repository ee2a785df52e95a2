import type { RopeGraph } from "../graph.ts";
import { numbersOf, type ParameterSet } from "../parameters.ts";
import { type Evaluation, takeNumbers } from "./evaluation.ts";

/** Cosine and sine of the angle of every position and pair, tokens x pairs. */
export interface RotaryTable {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** The table of a sequence, whose first token has the position 0. */
export function rotaryTable(
  evaluation: Pick<Evaluation, "parameters" | "workspace">,
  rope: RopeGraph,
  tokens: number,
): RotaryTable {
  const { frequencies, magnitude } = rope;
  const pairs = frequencies.length;
  const factors = factorsOf(rope, evaluation.parameters, tokens);
  const cos = takeNumbers(evaluation, tokens * pairs);
  const sin = takeNumbers(evaluation, tokens * pairs);
  for (let position = 0; position < tokens; position++) {
    for (let pair = 0; pair < pairs; pair++) {
      const angle = (position * frequencies[pair]!) / (factors?.[pair] ?? 1);
      cos[position * pairs + pair] = Math.cos(angle) * magnitude;
      sin[position * pairs + pair] = Math.sin(angle) * magnitude;
    }
  }
  return { cos, sin };
}

function factorsOf(
  { factors, contextFactors }: RopeGraph,
  parameters: ParameterSet,
  tokens: number,
): Float32Array | undefined {
  if (factors !== undefined) return numbersOf(parameters, `${factors}.weight`);
  if (contextFactors === undefined) return undefined;
  const { short, long, context } = contextFactors;
  return numbersOf(parameters, `${tokens > context ? long : short}.weight`);
}
