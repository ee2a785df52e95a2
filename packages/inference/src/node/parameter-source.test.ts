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

it("shares numbers of one's own, in memory that is used again", async () => {
  const parameters = openParameters(await goldenModel("llama2-spm"));
  const values = Float32Array.of(1, 2, 3, 4, 5, 6);
  const first = parameters.share({ values, shape: [2, 3] });
  expect(first).toMatchObject({ type: "F32", shape: [2, 3], data: values });
  expect(first.data.buffer).toBeInstanceOf(SharedArrayBuffer);
  parameters.release(new Map([["first", first]]));
  expect(parameters.share({ values, shape: [6] }).data.buffer).toBe(first.data.buffer);
  await parameters.close();
});
