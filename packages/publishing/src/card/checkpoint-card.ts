import { section, table } from "@quern/pipeline/cards";
import { parse } from "yaml";
import {
  divergenceText,
  known,
  measurementText,
  percentText,
  perplexityText,
  UNKNOWN,
} from "./figures-text.ts";
import type { MeasuredFigures, Measurement } from "./measured.ts";
import { type Card, dividedCard } from "./merge-card.ts";

/**
 * The card of a quantized checkpoint: the one that lies in its folder, with what was measured.
 *
 * @param params.text Of the README.md in the folder.
 */
export function checkpointCard(params: {
  readonly text: string;
  readonly quantizedBy: string | undefined;
  readonly figures: MeasuredFigures;
  readonly measurement: Measurement | undefined;
}): Card {
  const { text, quantizedBy, figures, measurement } = params;
  const { matter = "", text: body } = dividedCard(text);
  const metadata = parse(matter, { version: "1.1" }) as Record<string, unknown> | null;
  return {
    metadata: { ...metadata, ...(quantizedBy === undefined ? {} : { quantized_by: quantizedBy }) },
    body: measurement === undefined ? body : withQuality(body, figures, measurement),
  };
}

/** Before the first section: it is what readers look for. */
function withQuality(body: string, figures: MeasuredFigures, measurement: Measurement): string {
  const { perplexity, divergence, agreement } = figures;
  const rows = [
    ["Perplexity", known(measurement.referencePerplexity, perplexityText), known(perplexity, perplexityText)],
    ["KL divergence", UNKNOWN, known(divergence, divergenceText)],
    ["Same top token", UNKNOWN, known(agreement, percentText)],
  ];
  const compared = table(["", measurement.reference ?? "Original", "Quantized"], rows);
  const quality = section("Quality", `${compared}\n\n${measurementText(measurement)}`);
  const first = body.search(/^## /m);
  return first < 0
    ? `${body.trimEnd()}\n\n${quality}\n`
    : `${body.slice(0, first)}${quality}\n\n${body.slice(first)}`;
}
