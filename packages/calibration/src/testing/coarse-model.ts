import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { localPaths } from "@quern/checkpoints/node";
import { openParameters, type RunnableModel } from "@quern/inference";
import { decodeElements } from "@quern/tensor";

/**
 * A copy of a golden checkpoint whose matrices have three bits of mantissa: a model as if its linear layers had been quantized.
 *
 * @param params.folder Where the file is written.
 * @param params.blocks How many of the blocks it is done to. Default: all.
 */
export async function coarseModel(params: {
  readonly model: RunnableModel;
  readonly folder: string;
  readonly blocks?: number;
}): Promise<RunnableModel> {
  const { model, folder, blocks = Infinity } = params;
  const { source } = model;
  const [shard] = source.shards;
  const bytes = await readFile(localPaths([shard!])[0]!);
  for (const { name, shape, type, offset, size } of source.tensors.values()) {
    const block = /\.(?:layers|h)\.(\d+)\./.exec(name)?.[1];
    if (block === undefined || Number(block) >= blocks || shape.length < 2) continue;
    const width = type === "F32" ? 4 : 2;
    for (let first = offset; first < offset + size; first += width) {
      bytes.fill(0, first, first + width - 2);
      bytes[first + width - 2]! &= 0xf0;
    }
  }
  const path = join(folder, `coarse-${blocks}.safetensors`);
  await writeFile(path, bytes);
  return {
    ...model,
    source: { ...source, shards: [{ ...shard!, location: { kind: "file" as const, path } }] },
  };
}

/** Weights of the linear layers of a block, by the names of the tensors. */
export async function linearWeights(
  model: RunnableModel,
  block: number,
): Promise<{ tensor: string; module: string; values: Float32Array }[]> {
  const parameters = openParameters(model);
  const modules = model.inputs[block]!.flatMap((input) => input.modules);
  const loaded = await parameters.load(modules.map((module) => `${module}.weight`));
  await parameters.close();
  return modules.map((module) => {
    const tensor = `${module}.weight`;
    const { type, data } = loaded.get(tensor)!;
    const values =
      data instanceof Float32Array ? data : decodeElements({ type: type as "BF16", bytes: data });
    return { tensor, module, values };
  });
}
