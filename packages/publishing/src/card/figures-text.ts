import type { Measurement } from "./measured.ts";

/** What stands in a cell where nothing is known. */
export const UNKNOWN = "\u2013";

export function known(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? UNKNOWN : format(value);
}

export function divergenceText(value: number): string {
  return value.toPrecision(3);
}

export function perplexityText(value: number): string {
  return value.toPrecision(5);
}

export function percentText(share: number): string {
  return `${(100 * share).toPrecision(3)} %`;
}

/** On what perplexity and divergence were measured. */
export function measurementText({ tokens, context, reference, referencePerplexity }: Measurement): string {
  const own =
    referencePerplexity === undefined ? "" : `, whose perplexity is ${perplexityText(referencePerplexity)}`;
  const against = reference === undefined ? "" : ` against ${reference}${own},`;
  return `Perplexity and divergence (nats per token)${against} were measured on ${tokens} tokens in windows of ${context}; they say how files made of one model compare on that text, and nothing about other measurements.`;
}
