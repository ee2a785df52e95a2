import { describe, expect, it } from "vitest";
import type { Slab } from "./slab.ts";
import type { HashTask } from "./task.ts";
import { TaskOrder } from "./task-order.ts";

const slab = (tensor: number): Slab => ({
  tensor,
  name: `t${tensor}`,
  expression: { operation: "source", name: `t${tensor}` },
  sources: [],
  weightType: "F32",
  columns: 1,
  matrixRows: 1,
  firstRow: 0,
  rows: 1,
  conversions: [],
});

async function* slabs(count: number): AsyncGenerator<Slab> {
  for (let tensor = 0; tensor < count; tensor++) yield slab(tensor);
}

const hashOf = (tensor: number): HashTask => ({
  kind: "hash",
  part: { tensor, outputs: [0] },
  file: 0,
  offset: 0,
  size: 1,
});

describe("the order of tasks", () => {
  it("has what is to be hashed before the next slab", async () => {
    const order = new TaskOrder(slabs(2));
    const tasks = order[Symbol.asyncIterator]();
    const seen: string[] = [];
    const take = async (): Promise<void> => {
      const { value } = await tasks.next();
      seen.push(value === undefined ? "end" : value.kind);
    };
    await take();
    order.hash(hashOf(0));
    order.done();
    await take();
    await take();
    expect(seen).toEqual(["slab", "hash", "slab"]);
  });

  it("ends only when the last slab in hand has had its say", async () => {
    const order = new TaskOrder(slabs(1));
    const tasks = order[Symbol.asyncIterator]();
    await tasks.next();
    const next = tasks.next();
    order.hash(hashOf(0));
    order.done();
    expect((await next).value).toEqual(hashOf(0));
    const end = tasks.next();
    order.done();
    expect(await end).toEqual({ value: undefined, done: true });
  });
});
