import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { elementCount, encodeElements, type TensorInfo } from "@quern/tensor";
import { bytesSource, readSafetensors, serializeSafetensors } from "safetensors-js";
import { goldenPath } from "../../testing/golden.ts";

type Tensor = TensorInfo & { readonly bytes: Uint8Array };

/**
 * Writes the tiny Qwen 3 with experts as transformers 5 holds it in memory: gate and up of all experts of a block in one tensor, and down.
 *
 * @param folder A new one.
 */
export async function writeMergedQwen(folder: string): Promise<void> {
  await rewrite("qwen3moe", folder, (tensors) => {
    const merged: Tensor[] = [];
    for (const block of [0, 1]) {
      const experts = `model.layers.${block}.mlp.experts`;
      const weight = (index: number, name: string): Tensor =>
        tensors.get(`${experts}.${index}.${name}_proj.weight`)!;
      const joined = (name: string, parts: readonly Tensor[], shape: readonly number[]): Tensor => ({
        name: `${experts}.${name}`,
        type: "BF16",
        shape,
        bytes: new Uint8Array(Buffer.concat(parts.map(({ bytes }) => bytes))),
      });
      const all = Array.from({ length: 16 }, (_, index) => index);
      const [rows = 0, columns = 0] = weight(0, "gate").shape;
      merged.push(
        joined(
          "gate_up_proj",
          all.flatMap((index) => [weight(index, "gate"), weight(index, "up")]),
          [all.length, 2 * rows, columns],
        ),
        joined(
          "down_proj",
          all.map((index) => weight(index, "down")),
          [all.length, columns, rows],
        ),
      );
    }
    return [...[...tensors.values()].filter(({ name }) => !name.includes(".experts.")), ...merged];
  });
}

/**
 * Writes a tiny gpt-oss with experts in BF16, [experts, inputs, outputs], gate and up taking turns.
 *
 * @param folder A new one.
 */
export async function writePlainGptOss(folder: string): Promise<void> {
  await rewrite(
    "gpt-oss",
    folder,
    (tensors) =>
      [...tensors.values()].flatMap((tensor): Tensor[] => {
        if (tensor.name.endsWith("_scales")) return [];
        if (!tensor.name.endsWith("_blocks")) return [tensor];
        const [experts = 0, rows = 0, blocks = 0, bytes = 0] = tensor.shape;
        const shape = [experts, blocks * bytes * 2, rows];
        return [randomTensor(tensor.name.replace("_blocks", ""), "BF16", shape)];
      }),
    ({ quantization_config: _quantization, ...config }) => config,
  );
}

/** Sizes of the tiny GPT-2, and those that formats can hold whose inputs are multiples of 32. */
const WIDTHS: ReadonlyMap<number, number> = new Map([
  [80, 64],
  [240, 192],
  [320, 256],
]);

/**
 * Writes a tiny GPT-2 of 64 hidden units, whose weights are inputs x outputs.
 *
 * @param folder A new one.
 */
export async function writeNarrowGpt2(folder: string): Promise<void> {
  await rewrite(
    "gpt2",
    folder,
    (tensors) =>
      [...tensors.values()].map((tensor) => {
        const shape = tensor.shape.map((size) => WIDTHS.get(size) ?? size);
        return shape.join() === tensor.shape.join() ? tensor : randomTensor(tensor.name, "F32", shape);
      }),
    (config) => ({ ...config, n_embd: 64, n_head: 4 }),
  );
}

/** Small numbers that depend on the name. */
function randomTensor(name: string, type: TensorInfo["type"], shape: readonly number[]): Tensor {
  let seed = new TextEncoder().encode(name).reduce((hash, byte) => Math.imul(hash, 31) + byte, 7) >>> 0;
  const values = Float32Array.from({ length: elementCount(shape) }, () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32 - 0.5;
  });
  return { name, type, shape, bytes: encodeElements({ type, values }) };
}

async function rewrite(
  model: string,
  folder: string,
  change: (tensors: ReadonlyMap<string, Tensor>) => readonly Tensor[],
  changeConfig: (config: Record<string, unknown>) => object = (config) => config,
): Promise<void> {
  await cp(goldenPath(model, "checkpoint"), folder, { recursive: true });
  const path = join(folder, "model.safetensors");
  const file = await readSafetensors(bytesSource({ bytes: await readFile(path), name: path }));
  const read = [...file.tensors].map(async ([name, tensor]): Promise<[string, Tensor]> => {
    const { type, shape } = tensor.info;
    const bytes = await tensor.readRows(0, elementCount(shape.slice(0, -1)));
    return [name, { name, type, shape, bytes: new Uint8Array(bytes) }];
  });
  await writeFile(path, serializeSafetensors({ tensors: [...change(new Map(await Promise.all(read)))] }));
  const config = join(folder, "config.json");
  const text = await readFile(config, "utf8");
  await writeFile(config, JSON.stringify(changeConfig(JSON.parse(text) as Record<string, unknown>)));
}

/** Elements of some rows and columns: every `step`th column of matrix `matrix` of inputs x outputs, from `start`, turned round. */
export function turnedMatrix(
  values: Float32Array,
  shape: readonly number[],
  { matrix, start, step }: { readonly matrix: number; readonly start: number; readonly step: number },
): Float32Array {
  const [, inputs = 0, outputs = 0] = shape;
  const rows = outputs / step;
  return Float32Array.from({ length: rows * inputs }, (_, index) => {
    const [row, column] = [Math.floor(index / inputs), index % inputs];
    return values[(matrix * inputs + column) * outputs + start + row * step]!;
  });
}
