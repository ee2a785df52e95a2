import { open } from "node:fs/promises";
import {
  type ConversionPlan,
  openTensorConverter,
  type RoundingFigures,
  type TensorError,
  type TensorOutcome,
  type TensorPart,
} from "@quern/pipeline";
import { elementCount } from "@quern/tensor";
import { checksumRange, partialPathOf, reportingAs } from "@quern/tensor/node";
import { z } from "zod";
import { shareSource } from "./compare-identity.ts";
import type { SharedFile, SharedPlan } from "./shared-plan.ts";

const tensorPart = z.strictObject({
  tensor: z.int().nonnegative(),
  outputs: z.array(z.int().nonnegative()).min(1),
});

const sums = z.object({ squaredErrors: z.number(), squaredWeights: z.number() });

const rounding: z.ZodType<RoundingFigures> = z.object({
  name: z.string(),
  matrices: z.number(),
  kept: z.number(),
  withoutInputs: z.number(),
  outputError: z.object({ rounded: z.number(), plain: z.number(), kept: z.number() }).exactOptional(),
  damping: z.number().exactOptional(),
  deadColumns: z.number().exactOptional(),
});

const tensorError: z.ZodType<TensorError> = z.object({
  output: z.int().nonnegative(),
  name: z.string(),
  from: z.string(),
  to: z.string(),
  requantized: z.boolean(),
  elements: z.number(),
  squaredErrors: z.number(),
  squaredWeights: z.number(),
  weighted: sums.exactOptional(),
  hessian: sums.exactOptional(),
  largestError: z.number(),
  clipped: z.number(),
  vanished: z.number(),
  groups: z.number(),
  rounding: rounding.exactOptional(),
});

const tensorOutcome: z.ZodType<TensorOutcome> = z.object({
  tensor: z.int().nonnegative(),
  parts: z.array(tensorPart.extend({ crc32: z.string().regex(/^[0-9a-f]{8}$/) })),
  errors: z.array(tensorError),
});

/** GGUF files as machines write them together: a part is a tensor, for some of the outputs. */
export function shareConversion(plan: ConversionPlan): SharedPlan<TensorPart, TensorOutcome> {
  const { identity, outputs, tensors } = plan;
  const { tool, source, digests } = identity;
  const places = placesOf(plan);
  const stages = new Map(
    (plan.rounding?.stages ?? []).flatMap(({ groups }, stage) =>
      groups.flatMap(({ layers }) => layers.map((layer) => [layer.tensor, stage])),
    ),
  );
  const files = outputs.flatMap((output) =>
    output.files.map(({ path, fileSize: size, layout: { header } }): SharedFile => {
      return { path, partial: partialPathOf(path), size, header };
    }),
  );
  return {
    model: plan.checkpoint.name,
    identity: {
      tool,
      source: shareSource(source),
      parts: {
        importance: digests.importance,
        kernels: identity.rounding?.kernels ?? "",
        rounding: digests.rounding,
        recipe: digests.recipe,
      },
    },
    files,
    tensors: tensors.length,
    partSchema: tensorPart,
    outcomeSchema: tensorOutcome,
    describe({ tensor, outputs: wanted }) {
      const planned = tensors[tensor];
      if (planned === undefined || wanted.some((output) => output >= outputs.length)) return undefined;
      const stage = stages.get(tensor);
      return {
        name: planned.name,
        tensors: [planned.name],
        weights: elementCount(planned.shape),
        files: wanted.flatMap((output) => places[output]!.get(planned.name)?.file ?? []),
        ...(stage === undefined ? {} : { together: stage }),
      };
    },
    answers({ tensor, outputs: wanted }, outcome) {
      const done = new Set(outcome.parts.flatMap((part) => part.outputs));
      return (
        outcome.tensor === tensor &&
        outcome.parts.every((part) => part.tensor === tensor) &&
        done.size === wanted.length &&
        wanted.every((output) => done.has(output))
      );
    },
    async isWritten({ tensor, parts }) {
      const { name } = tensors[tensor]!;
      for (const { outputs: written, crc32 } of parts) {
        for (const output of written) {
          const place = places[output]!.get(name);
          if (place === undefined || (await checksumOf(files[place.file]!, place)) !== crc32) return false;
        }
      }
      return true;
    },
    open: async () => openTensorConverter(plan),
  };
}

interface Place {
  /** Among the files of all outputs. */
  readonly file: number;
  readonly offset: number;
  readonly size: number;
}

/** By output, then by the name of the model's tensor. */
function placesOf({ outputs }: ConversionPlan): readonly ReadonlyMap<string, Place>[] {
  let firstFile = 0;
  return outputs.map(({ tensors, files }) => {
    const first = firstFile;
    firstFile += files.length;
    return new Map(
      tensors.map(({ source, file, offset, size }) => [source, { file: first + file, offset, size }]),
    );
  });
}

async function checksumOf({ path, partial }: SharedFile, { offset, size }: Place): Promise<string> {
  const handle = await reportingAs(path, () => open(partial, "r"));
  try {
    return await checksumRange({ handle, path, offset, size });
  } finally {
    await handle.close();
  }
}
