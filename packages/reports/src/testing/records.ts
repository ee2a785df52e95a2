import type { ConversionRecord, OutputRecord, TensorRecord } from "../conversion.ts";
import { addSums, errorRecord, type MeasuredSums } from "../error-record.ts";
import type { ComparisonRecord, DomainRecord, Estimate, EvaluationRecord } from "../evaluation.ts";
import { tensorPlace } from "../tensor-place.ts";

/** Sums that differ from tensor to tensor. */
export function sumsOf(seed: number, weighted: boolean): MeasuredSums {
  return {
    elements: 65_536,
    squaredErrors: 0.001 * seed,
    squaredWeights: 12 + seed,
    largestError: 0.01 * seed,
    clipped: 3 * seed,
    vanished: seed % 3,
    groups: 2048,
    ...(weighted ? { weighted: { squaredErrors: 0.5 * seed, squaredWeights: 400 } } : {}),
  };
}

/** A conversion of a model of some layers, whose names and texts all come from `text`. */
export function conversionOf({
  text = (name) => name,
  types = ["Q4_K_M", "Q8_0"],
  layers = 3,
  weighted = true,
}: {
  readonly text?: (name: string) => string;
  readonly types?: readonly string[];
  readonly layers?: number;
  readonly weighted?: boolean;
}): ConversionRecord {
  const outputs = types.map((type, index): OutputRecord => {
    const names = [
      "token_embd.weight",
      ...Array.from({ length: layers }, (_, layer) =>
        ["attn_q", "attn_v", "ffn_down"].map((role) => `blk.${layer}.${role}.weight`),
      ).flat(),
    ];
    const sums = names.map((_, seed) => sumsOf(1 + seed + 10 * index, weighted));
    const tensors = names.map((name, seed): TensorRecord => {
      const place = tensorPlace(name);
      return {
        name: text(name),
        ...place,
        role: text(place.role),
        shape: [256, 256],
        from: text("BF16"),
        type: text(seed % 2 === 0 ? "Q4_K" : "Q6_K"),
        bytes: seed % 2 === 0 ? 36_864 : 53_760,
        requantized: seed === 1,
        ...(seed === 2 ? { fallback: text("instead of Q4_K: 100 columns") } : {}),
        errors: errorRecord(sums[seed]!),
      };
    });
    const norm: TensorRecord = {
      name: text("output_norm.weight"),
      role: text("output_norm"),
      shape: [256],
      from: "F32",
      type: "F32",
      bytes: 1024,
      requantized: false,
    };
    return {
      type: text(type),
      files: [{ name: text(`model-${type}.gguf`), bytes: 1_000_000 }],
      bytes: 1_000_000 * (index + 1),
      bitsPerWeight: 4.8 + 3 * index,
      tensors: [...tensors, norm],
      errors: errorRecord(addSums(sums)!),
    };
  });
  return {
    tool: text("quern 1.2.3"),
    model: text("Model"),
    architecture: text("llama"),
    parameters: 3_000_000,
    sourceBytes: 6_000_000,
    sourceTypes: [text("BF16"), text("F32")],
    importance: { file: text("imatrix.gguf"), datasets: [text("wiki.txt")], chunks: 40 },
    settings: [{ name: text("--pure"), value: text("yes") }],
    outputs,
  };
}

const estimate = (value: number): Estimate => ({
  value,
  error: value / 50,
  interval: [value * 0.96, value * 1.04],
});

function comparisonOf(scale: number): ComparisonRecord {
  const edges = Array.from({ length: 21 }, (_, i) => 10 ** (-6 + i / 4));
  return {
    referencePerplexity: estimate(9),
    perplexityRatio: estimate(1.02),
    divergence: {
      mean: estimate(0.03 * scale),
      median: 0.008 * scale,
      maximum: 2,
      percentiles: [{ percent: 99, value: 0.07 * scale }],
      histogram: { edges, counts: edges.slice(1).map((_, i) => (i < 2 ? 0 : 5 * i)), below: 3, above: 0 },
    },
    deltaP: { mean: estimate(-0.001), rootMeanSquare: estimate(0.04) },
    agreement: estimate(0.93),
  };
}

/** An evaluation of two texts. */
export function evaluationOf(text: (name: string) => string = (name) => name): EvaluationRecord {
  const domain = (name: string, scale: number): DomainRecord => ({
    name: text(name),
    windows: 10,
    positions: 1000,
    perplexity: estimate(9.2 * scale),
    comparison: comparisonOf(scale),
  });
  const model = {
    name: text("Model-Q4"),
    architecture: text("llama"),
    parameters: 3_000_000,
    bytes: 1_800_000,
  };
  return {
    tool: text("quern 1.2.3"),
    model,
    reference: { ...model, name: text("Model"), bytes: 6_000_000 },
    corpus: {
      hash: text("ab".repeat(32)),
      tokenizer: text("tokenizer.json"),
      context: 512,
      score: text("half"),
      windows: 20,
      tokens: 10_240,
      positions: 2000,
    },
    confidence: { level: 0.95, resamples: 1000, seed: 1 },
    domains: [domain("prose.txt", 1), domain("code.txt", 0.5)],
    total: { ...domain("all", 0.8), positions: 2000, windows: 20 },
  };
}
