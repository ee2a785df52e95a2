import { ShardReader } from "@quern/checkpoints/node";
import {
  evaluateRows,
  foldExpression,
  joinChanges,
  replaceTensors,
  source,
  type TensorReader,
  type WeightChanges,
} from "@quern/models";
import type { InputSource } from "@quern/statistics";
import type { BufferPool } from "@quern/threads";
import { decodeElements, elementCount } from "@quern/tensor";
import type { LayeredModel } from "../linear-layers.ts";
import type { PlannedLinear, PlannedStage } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import { changeStages } from "./changed-work.ts";
import type { FoldAlong } from "./fold-along.ts";
import type { StageFollower } from "./quantize-along.ts";

export interface LayerFollower extends StageFollower<PlannedLinear> {
  close(): Promise<void>;
}

/**
 * After each stage, the source gets the tensors of the model, as GGUF has them, with what their layers have become: as it is read back from
 * the files, whichever run has written it.
 */
export function followLayers(params: {
  readonly model: LayeredModel;
  readonly inputs: InputSource;
  readonly run: RunLayerTask;
  readonly pool: BufferPool;
  /** What has become of the whole model before anything is quantized. */
  readonly changes: WeightChanges;
  readonly folding: FoldAlong;
}): LayerFollower {
  const { model, inputs, run, pool, folding } = params;
  const { description } = model;
  const shards = new ShardReader(model.checkpoint.shards);
  const changed = new Map<string, Float32Array>();
  let { changes } = params;
  const reader = weightReader(model, { shards, changed, changes: () => changes });
  const uses = usesOf(model);
  return {
    async blockBegins(stages) {
      const own = await folding.begin(stages[0]!.block);
      changes = joinChanges(params.changes, own);
      return changeStages(stages, { changes: own });
    },
    async stageDone(stage) {
      const written = writtenOf(stage);
      for (const { name: tensor, expression, shape } of description.tensors) {
        const own = (uses.get(tensor) ?? []).filter((name) => written.has(name));
        if (own.length === 0) continue;
        const lease = pool.lease();
        await Promise.all(
          own.map(async (name) => {
            changed.set(name, await readBack(name, written.get(name)!, run, (size) => lease.take(size)));
          }),
        );
        const bytes = await evaluateRows(
          replaceTensors(expression, ({ name }) => source(name)),
          { reader, firstRow: 0, rows: elementCount(shape.slice(0, -1)) },
        );
        changed.clear();
        lease.release();
        await inputs.replace({ tensor, values: decodeElements({ type: "F32", bytes }) });
      }
    },
    close: () => shards.close(),
  };
}

/** By name of a tensor of GGUF: those of the checkpoint that layers consist of. */
function usesOf({ description: { modules } }: LayeredModel): ReadonlyMap<string, readonly string[]> {
  return new Map(
    modules.flatMap(({ name, weights, sources }) => [
      [`${name}.weight`, weights] as const,
      [`${name}.bias`, sources.filter((tensor) => tensor.endsWith(".bias"))] as const,
    ]),
  );
}

/** Layers by the names of the tensors of the checkpoint that have changed with them. */
function writtenOf({ groups }: PlannedStage): ReadonlyMap<string, PlannedLinear> {
  return new Map(
    groups.flatMap(({ layers }) =>
      layers.flatMap((planned) => [
        [planned.weights.tensor, planned] as const,
        ...(planned.bias ? [[planned.bias.name, planned] as const] : []),
      ]),
    ),
  );
}

async function readBack(
  tensor: string,
  { linear, decision, layer, targets, bias }: PlannedLinear,
  run: RunLayerTask,
  take: (size: number) => SharedArrayBuffer,
): Promise<Float32Array> {
  if (tensor === bias?.name) {
    const { type, target, weights } = bias;
    return run({ kind: "read-elements", tensor, type, count: weights.rows * weights.columns, target });
  }
  const into = new Float32Array(take(4 * linear.rows * linear.columns));
  const { module } = linear;
  await run({ kind: "read-layer", module, format: decision.format, layer, targets, into });
  return linear.exchanged ? turned(into, linear) : into;
}

/** The same matrix as inputs x outputs, as the checkpoint has it. */
function turned(
  values: Float32Array,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = values[row * columns + column]!;
    }
  }
  return result;
}

/** Reads the weights of the checkpoint in F32, quantized ones dequantized, and those that have changed as they are now. */
function weightReader(
  { tensors, checkpoint }: LayeredModel,
  params: {
    readonly shards: ShardReader;
    readonly changed: ReadonlyMap<string, Float32Array>;
    readonly changes: () => WeightChanges;
  },
): TensorReader {
  const { shards, changed, changes } = params;
  const stored = shards.reading({
    tensors: [...checkpoint.tensors.values()],
    buffer: (size) => new Uint8Array(size),
  });
  return {
    info: (name) => ({ ...tensors.get(name)!.info, type: "F32" }),
    async readRows(name, start, count) {
      const { info, expression } = tensors.get(name)!;
      const columns = info.shape.at(-1) ?? 1;
      const known = changed.get(name)?.slice(start * columns, (start + count) * columns);
      if (known !== undefined) return new Uint8Array(known.buffer);
      const folded = foldExpression(expression, changes());
      const bytes = await evaluateRows(folded, { reader: stored, firstRow: start, rows: count });
      const type = folded === expression ? info.type : "F32";
      return new Uint8Array(decodeElements({ type, bytes }).buffer);
    },
  };
}
