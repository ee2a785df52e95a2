import { describe, expect, it } from "vitest";
import { runTasks } from "./run-tasks.ts";
import type { Thread } from "./service.ts";

const numbers = Array.from({ length: 20 }, (_, index) => index);

function thread(run: (task: number, lane: number) => Promise<number>): Thread<number, number> {
  return { description: "none", run, idleTime: () => 0, close: async () => {} };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("runTasks", () => {
  it("runs every task once, no lane twice at a time", async () => {
    const busy = new Set<string>();
    const lanes = new Set<string>();
    const make = (name: string): Thread<number, number> =>
      thread(async (task, lane) => {
        const key = `${name}${lane}`;
        expect(busy.has(key)).toBe(false);
        busy.add(key);
        lanes.add(key);
        await nextTurn();
        busy.delete(key);
        return 2 * task;
      });
    const started: number[] = [];
    let sum = 0;
    await runTasks({
      tasks: numbers,
      threads: [make("a"), make("b")],
      lanes: 2,
      onStart: (task) => started.push(task),
      onDone: (task, result) => {
        expect(result).toBe(2 * task);
        sum += task;
      },
    });
    expect(started).toEqual(numbers);
    expect(sum).toBe(190);
    expect(lanes).toEqual(new Set(["a0", "a1", "b0", "b1"]));
  });

  it("starts nothing more after an error", async () => {
    const started: number[] = [];
    const failing = thread(async (task) => {
      started.push(task);
      await nextTurn();
      if (task === 3) throw new Error("task 3");
      return task;
    });
    const run = runTasks({ tasks: numbers, threads: [failing], lanes: 2 });
    await expect(run).rejects.toThrow("task 3");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(Math.max(...started)).toBeLessThan(3 + 2 * 2);
  });

  it("fails with what handles the results", async () => {
    const run = runTasks({
      tasks: numbers,
      threads: [thread(async (task) => task)],
      onDone: async (task) => {
        if (task === 5) throw new Error("disk full");
      },
    });
    await expect(run).rejects.toThrow("disk full");
  });

  it("ends with the reason of the signal, even while threads are stuck", async () => {
    const controller = new AbortController();
    const stuck = thread(() => new Promise(() => {}));
    const run = runTasks({ tasks: numbers, threads: [stuck], signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(run).rejects.toThrow("enough");
    const again = runTasks({ tasks: numbers, threads: [stuck], signal: controller.signal });
    await expect(again).rejects.toThrow("enough");
  });
});
