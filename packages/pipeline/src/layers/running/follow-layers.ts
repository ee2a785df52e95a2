import { ShardReader } from "@quern/checkpoints/node";
import { evaluateRows, replaceTensors, source, type TensorReader } from "@quern/models";
import type { InputSource } from "@quern/statistics";
import type { BufferPool } from "@quern/threads";
import { decodeElements, elementCount } from "@quern/tensor";
import type { LayeredModel } from "../linear-layers.ts";
import type { PlannedLinear } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import type { QuantizedLinear } from "./quantize-layer.ts";
import type { StageFollower } from "./quantize-stages.ts";

export interface LayerFollower extends StageFollower {
  layerDone(planned: PlannedLinear, quantized: QuantizedLinear): Promise<void>;
  close(): Promise<void>;
}

/** After each stage, the source gets the tensors of the model, as GGUF has them, with what is new in them. */
export function followLayers(params: {
  readonly model: LayeredModel;
  readonly inputs: InputSource;
  readonly run: RunLayerTask;
  readonly pool: BufferPool;
}): LayerFollower {
  const { model, inputs, run, pool } = params;
  const lease = pool.lease();
  const { description } = model;
  const shards = new ShardReader(model.checkpoint.shards);
  const changed = new Map<string, Float32Array>();
  const reader = weightReader(model, shards, changed);
  const users = new Map<string, string[]>();
  for (const { name, weights } of description.modules) {
    for (const weight of weights) users.set(weight, [...(users.get(weight) ?? []), `${name}.weight`]);
  }
  return {
    async layerDone({ weights: { tensor, rows, columns } }, { matrix }) {
      const into = new Float32Array(lease.take(rows * columns * 4));
      await run({ kind: "dequantize", tensor, matrix, into });
      changed.set(tensor, into);
    },
    async stageDone() {
      const names = new Set([...changed.keys()].flatMap((weight) => users.get(weight) ?? []));
      for (const { name: tensor, expression, shape } of description.tensors) {
        if (!names.has(tensor)) continue;
        const rows = elementCount(shape.slice(0, -1));
        const bytes = await evaluateRows(
          replaceTensors(expression, ({ name }) => source(name)),
          { reader, firstRow: 0, rows },
        );
        await inputs.replace({ tensor, values: decodeElements({ type: "F32", bytes }) });
      }
      changed.clear();
      lease.release();
    },
    close: () => shards.close(),
  };
}

/** Reads the weights of the checkpoint in F32, quantized ones dequantized, and those that have changed as they are now. */
function weightReader(
  { tensors, checkpoint }: LayeredModel,
  shards: ShardReader,
  changed: ReadonlyMap<string, Float32Array>,
): TensorReader {
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
      const bytes = await evaluateRows(expression, { reader: stored, firstRow: start, rows: count });
      return new Uint8Array(decodeElements({ type: info.type, bytes }).buffer);
    },
  };
}
