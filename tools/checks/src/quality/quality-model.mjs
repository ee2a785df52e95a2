import { readFile } from "node:fs/promises";
import { openModel } from "@quern/checkpoints/node";
import { checkpointTokenizer } from "@quern/corpus";
import { openParameters, openRunnable } from "@quern/inference";

const WINDOW = 256;

/** A model with all its weights in shared memory, and its groups of linear layers. */
export async function openQualityModel(folder) {
  const source = await openModel(folder);
  const model = await openRunnable(source);
  const { embedding, blocks, output } = model.graph;
  const reader = openParameters(model);
  const names = [embedding, ...blocks, output].flatMap(({ tensors }) => tensors);
  const parameters = await reader.load(names);
  await reader.close();
  const tokenizer = await checkpointTokenizer(source.files);
  return {
    graph: model.graph,
    parameters,
    groups: new Map(model.inputs.flat().map((group) => [group.name, group])),
    /** Windows of a text: the first ones, or as many that are spread over it evenly. */
    async windows(path, limit, { spread = false } = {}) {
      const ids = tokenizer.encode(await readFile(path, "utf8"), "text");
      const all = Math.floor(ids.length / WINDOW);
      const count = Math.min(limit, all);
      return Array.from({ length: count }, (_, i) => {
        const start = (spread ? Math.floor((i * all) / count) : i) * WINDOW;
        return ids.slice(start, start + WINDOW);
      });
    },
  };
}

export function shared(length) {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}
