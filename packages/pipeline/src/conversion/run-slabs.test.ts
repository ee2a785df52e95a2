import { describe, expect, it } from "vitest";
import { runSlabs } from "./run-slabs.ts";
import type { Slab, SlabResult } from "./slab.ts";
import { SLABS_IN_FLIGHT, type SlabRunner } from "./slab-runner.ts";

const slabs: Slab[] = Array.from({ length: 20 }, (_, firstRow) => ({
  tensor: 0,
  name: "t",
  expression: { operation: "source" },
  sources: [],
  weightType: "F32",
  columns: 1,
  matrixRows: 20,
  firstRow,
  rows: 1,
  conversions: [],
}));

async function* each(): AsyncGenerator<Slab, void, undefined> {
  yield* slabs;
}

function runner(run: (slab: Slab, lane: number) => Promise<SlabResult>): SlabRunner {
  return { kernels: "none", run, idleTime: () => 0, close: async () => {} };
}

const times = { read: 0, convert: 0, quantize: 0, write: 0 };
const ignore = { onStart: () => {}, onDone: () => {} };

describe("runSlabs", () => {
  it("runs every slab once, no lane twice at a time", async () => {
    const busy = new Set<string>();
    const lanes = new Set<string>();
    const make = (name: string): SlabRunner =>
      runner(async (slab, lane) => {
        const key = `${name}${lane}`;
        expect(busy.has(key)).toBe(false);
        busy.add(key);
        lanes.add(key);
        await new Promise((resolve) => setImmediate(resolve));
        busy.delete(key);
        return { bytesWritten: slab.firstRow, errors: new Map(), times };
      });
    const started: number[] = [];
    let sum = 0;
    await runSlabs({
      slabs: each(),
      runners: [make("a"), make("b")],
      signal: new AbortController().signal,
      onStart: (slab) => started.push(slab.firstRow),
      onDone: (_, { bytesWritten }) => (sum += bytesWritten),
    });
    expect(started).toEqual(slabs.map((slab) => slab.firstRow));
    expect(sum).toBe(190);
    expect(lanes.size).toBe(2 * SLABS_IN_FLIGHT);
  });

  it("starts nothing more after an error", async () => {
    const started: number[] = [];
    const failing = runner(async ({ firstRow }) => {
      started.push(firstRow);
      await new Promise((resolve) => setImmediate(resolve));
      if (firstRow === 3) throw new Error("slab 3");
      return { bytesWritten: 0, errors: new Map(), times };
    });
    const signal = new AbortController().signal;
    await expect(runSlabs({ slabs: each(), runners: [failing], signal, ...ignore })).rejects.toThrow(
      "slab 3",
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(Math.max(...started)).toBeLessThan(3 + 2 * SLABS_IN_FLIGHT);
  });

  it("ends with the reason of the signal, even while runners are stuck", async () => {
    const controller = new AbortController();
    const stuck = runner(() => new Promise(() => {}));
    const run = runSlabs({ slabs: each(), runners: [stuck], signal: controller.signal, ...ignore });
    controller.abort(new Error("enough"));
    await expect(run).rejects.toThrow("enough");
    await expect(
      runSlabs({ slabs: each(), runners: [stuck], signal: controller.signal, ...ignore }),
    ).rejects.toThrow("enough");
  });
});
