import type { ConversionRecord } from "@quern/reports";
import type { RunOptions } from "../commands/run-conversion.ts";

/** What options ask of the weights and of the model, in words of the command line; not where files are, nor how fast. */
export function conversionSettings(
  options: RunOptions & { readonly flavour?: string },
): ConversionRecord["settings"] {
  const rules = options.tensorType ?? options.tensorTypeFile;
  const metadata = options.metadata ?? options.overrideKv;
  const values: readonly (readonly [name: string, value: string | true | undefined])[] = [
    ["--flavour", options.flavour],
    ["--intermediate", options.intermediate],
    ["--include-weights", options.includeWeights?.join(" ")],
    ["--exclude-weights", options.excludeWeights?.join(" ")],
    ["--rounding", options.rounding],
    ["--transform", options.transform],
    ["--sequential", options.sequential],
    ["--pure", options.pure],
    ["--leave-output-tensor", options.leaveOutputTensor],
    ["--output-tensor-type", options.outputTensorType],
    ["--token-embedding-type", options.tokenEmbeddingType],
    ["--tensor-type", rules?.map(({ pattern, type }) => `${pattern}=${type}`).join(" ")],
    ["--allow-requantize", options.allowRequantize],
    ["--prune-layers", options.pruneLayers?.join(",")],
    ["--pre", options.pre],
    ["--metadata", metadata === undefined ? undefined : [...metadata.keys()].join(" ")],
  ];
  return values.flatMap(([name, value]) =>
    value === undefined ? [] : { name, value: value === true ? "yes" : value },
  );
}
