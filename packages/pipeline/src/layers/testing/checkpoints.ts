import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { formatOf, type LayerParameters } from "@quern/checkpoints";
import { openCheckpointDirectory, ShardReader } from "@quern/checkpoints/node";
import { evaluateRows, expressionType } from "@quern/models";
import type { MemberSpec, Treatment } from "@quern/quantize";
import type { ResolvedRecipe } from "@quern/recipes";
import { decodeElements, elementCount } from "@quern/tensor";
import { goldenPath } from "../../testing/golden.ts";
import { type LayeredModel, openLayeredModel } from "../linear-layers.ts";

/** A tiny checkpoint; fixtures/golden/README.md describes them. */
export async function goldenModel(name: string, format?: string): Promise<LayeredModel> {
  return openFolder(goldenPath(name, "checkpoint"), format);
}

export async function openFolder(path: string, format?: string): Promise<LayeredModel> {
  return openLayeredModel(await openCheckpointDirectory(path), format === undefined ? {} : { format });
}

export interface RecipeSettings extends Partial<Omit<Treatment, "grid">> {
  readonly format: string;
  readonly parameters: LayerParameters;
  readonly guard?: boolean;
  readonly correctBias?: boolean;
  readonly activations?: { readonly calibrator: MemberSpec };
  readonly transforms?: readonly MemberSpec[];
  readonly statistics?: ResolvedRecipe["statistics"];
  /** Layers that stay as they are, beside routers and the output layer. */
  readonly keep?: RegExp;
}

const ALWAYS_KEPT = new Set(["output", "router", "shared-router", "k-up", "v-up"]);

/** All layers of the blocks alike. */
export function recipeFor(model: LayeredModel, settings: RecipeSettings): ResolvedRecipe {
  const { format, parameters, keep, guard = false, correctBias = false, transforms = [] } = settings;
  const { activations } = settings;
  const { rounding = { name: "nearest" }, calibrator, searchInHessian, statistics = "none" } = settings;
  return {
    decisions: model.linears.map(({ module, role }) =>
      ALWAYS_KEPT.has(role) || keep?.test(module) === true
        ? { module, keep: true }
        : {
            module,
            format,
            parameters,
            treatment: {
              grid: formatOf(format).grid(parameters),
              rounding,
              ...(calibrator && { calibrator }),
              ...(searchInHessian === undefined ? {} : { searchInHessian }),
            },
            guard,
            correctBias,
            ...(activations && { activations }),
          },
    ),
    transforms,
    statistics,
    warnings: [],
  };
}

/** What a tensor of a checkpoint stands for. */
export async function valuesOf(model: LayeredModel, name: string): Promise<Float32Array> {
  const { checkpoint } = model;
  const { expression } = model.tensors.get(name)!;
  const shards = new ShardReader(checkpoint.shards);
  const reader = shards.reading({
    tensors: [...checkpoint.tensors.values()],
    buffer: (size) => new Uint8Array(size),
  });
  try {
    const { type, shape } = expressionType(expression, reader);
    const rows = elementCount(shape.slice(0, -1));
    return decodeElements({ type, bytes: await evaluateRows(expression, { reader, firstRow: 0, rows }) });
  } finally {
    await shards.close();
  }
}

/** Hashes of files of a folder, by name. */
export async function hashesOf(
  folder: string,
  names: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const hashes = names.map(async (name) => {
    const bytes = await readFile(join(folder, name));
    return [name, createHash("sha256").update(bytes).digest("hex")] as const;
  });
  return Object.fromEntries(await Promise.all(hashes));
}
