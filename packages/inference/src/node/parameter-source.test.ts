import { expect, it } from "vitest";
import { goldenModel } from "../testing/golden-model.ts";
import { openParameters } from "./parameter-source.ts";

it("reads a block into the memory that another one has given back", async () => {
  const model = await goldenModel("llama2-spm");
  const [first, second] = model.graph.blocks;
  const fresh = openParameters(model);
  const expected = await fresh.load(second!.tensors);
  await fresh.close();

  const parameters = openParameters(model);
  const loaded = await parameters.load(first!.tensors);
  const buffers = new Set([...loaded.values()].map(({ data }) => data.buffer));
  parameters.release(loaded);
  const next = await parameters.load(second!.tensors);
  expect([...next.values()].filter(({ data }) => !buffers.has(data.buffer))).toEqual([]);
  expect([...next].map(([name, { type, data }]) => [name, type, [...data]])).toEqual(
    [...expected].map(([name, { type, data }]) => [name, type, [...data]]),
  );
  await parameters.close();
});
