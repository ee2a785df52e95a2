import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { sourceIdentity } from "@quern/pipeline";
import {
  type CheckpointOutcome,
  type CheckpointPart,
  checkpointParts,
  type CheckpointPlan,
  type FinishedEntry,
  type LayerResultFigures,
  openCheckpointConverter,
  partialFiles,
  type PlannedPart,
} from "@quern/pipeline/layers";
import { decodeElements } from "@quern/tensor";
import { hashRange, reportingAs } from "@quern/tensor/node";
import { z } from "zod";
import { shareSource } from "./compare-identity.ts";
import type { SharedFile, SharedPlan } from "./shared-plan.ts";

const checkpointPart: z.ZodType<CheckpointPart> = z.strictObject({ tensor: z.int().nonnegative() });

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const layerFigures: z.ZodType<LayerResultFigures> = z.object({
  module: z.string(),
  format: z.string(),
  bits: z.number(),
  elements: z.number(),
  rounding: z.string(),
  squaredErrors: z.number(),
  squaredWeights: z.number(),
  relativeError: z.number(),
  outputError: z.object({ rounded: z.number(), nearest: z.number().exactOptional() }).exactOptional(),
  damping: z.number().exactOptional(),
  deadColumns: z.number().exactOptional(),
});

const finishedEntry: z.ZodType<FinishedEntry> = z.object({
  tensors: z.record(z.string(), sha256),
  layer: layerFigures.exactOptional(),
});

const checkpointOutcome: z.ZodType<CheckpointOutcome> = z.object({
  tensor: z.int().nonnegative(),
  entries: z.array(finishedEntry),
  factors: z.record(z.string(), z.base64()).exactOptional(),
});

/** A quantized checkpoint as machines write it together: a part is the layers that read the same inputs, or a tensor that is copied. */
export async function shareCheckpoint(
  plan: CheckpointPlan,
): Promise<SharedPlan<CheckpointPart, CheckpointOutcome>> {
  // It is known, but where inputs follow what layers become.
  const { statistics = "", kernels = "", recipe = "" } = plan.identity!;
  const source = await sourceIdentity(plan.model.checkpoint);
  const config = createHash("sha256").update(JSON.stringify(plan.model.config)).digest("hex");
  const parts = checkpointParts(plan);
  const places = new Map(parts.flatMap((part) => part.places.map((place) => [place.name, place])));
  const partials = partialFiles(plan);
  const files = plan.checkpoint.shards.shards.map(({ fileName, layout }, index): SharedFile => ({
    path: join(plan.folder, fileName),
    partial: partials[index]!.name,
    size: layout.fileSize,
    header: layout.header,
  }));
  return {
    model: plan.model.checkpoint.name,
    identity: {
      tool: plan.tool,
      source: shareSource(source),
      parts: { config, statistics, kernels, recipe },
    },
    files,
    tensors: plan.model.tensors.size,
    partSchema: checkpointPart,
    outcomeSchema: checkpointOutcome,
    describe({ tensor }) {
      const part = parts[tensor];
      if (part === undefined) return undefined;
      const { name, elements: weights, places } = part;
      return {
        name,
        tensors: part.group?.layers.map((layer) => layer.weights.tensor) ?? [name],
        weights,
        files: [...new Set(places.map(({ target }) => target.file))],
      };
    },
    answers: ({ tensor }, outcome) => outcome.tensor === tensor && isWhole(parts[tensor]!, outcome),
    async isWritten({ entries }) {
      for (const [name, hash] of entries.flatMap(({ tensors }) => Object.entries(tensors))) {
        const { target, bytes: size } = places.get(name)!;
        if ((await hashOf(files[target.file]!, { offset: target.offset, size })) !== hash) return false;
      }
      return true;
    },
    open: () => openCheckpointConverter(plan),
  };
}

/** Whether an outcome has all layers of a part and their tensors, or the factors that are chosen in it, and nothing else. */
function isWhole({ places, group, preparation }: PlannedPart, outcome: CheckpointOutcome): boolean {
  const { entries, factors = {} } = outcome;
  const layers = group?.layers ?? [];
  const modules = entries.flatMap(({ layer }) => (layer === undefined ? [] : [layer.module]));
  const foldings = preparation?.foldings ?? [];
  return (
    areSame(
      entries.flatMap(({ tensors }) => Object.keys(tensors)),
      places.map(({ name }) => name),
    ) &&
    areSame(
      modules,
      layers.map(({ linear }) => linear.module),
    ) &&
    areSame(
      Object.keys(factors),
      foldings.map(({ folding }) => folding.name),
    ) &&
    foldings.every(({ folding: { name, columns } }) => isFactors(factors[name]!, columns))
  );
}

function areSame(names: readonly string[], wanted: readonly string[]): boolean {
  const left = new Set(wanted);
  return names.length === left.size && names.every((name) => left.delete(name));
}

/** Whether a text is numbers by which columns can be multiplied: F32 in base64. */
function isFactors(text: string, columns: number): boolean {
  const bytes = Buffer.from(text, "base64");
  return (
    bytes.byteLength === columns * 4 &&
    decodeElements({ type: "F32", bytes }).every((factor) => Number.isFinite(factor))
  );
}

async function hashOf(
  { path, partial }: SharedFile,
  range: { readonly offset: number; readonly size: number },
): Promise<string> {
  const handle = await reportingAs(path, () => open(partial, "r"));
  try {
    return await hashRange({ handle, path, ...range });
  } finally {
    await handle.close();
  }
}
