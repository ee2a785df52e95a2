import { describe, expect, it } from "vitest";
import type { Thread } from "./service.ts";
import { taskQueue } from "./task-queue.ts";

/** A thread whose tasks are functions. */
function threadOf(log: string[] = []): Thread<() => Promise<string>, string> {
  return {
    description: "functions",
    run: (task, lane) => {
      log.push(`lane ${lane}`);
      return task();
    },
    idleTime: () => 0,
    close: async () => {},
  };
}

const after =
  (result: string, milliseconds = 1) =>
  (): Promise<string> =>
    new Promise((resolve) => setTimeout(() => resolve(result), milliseconds));

describe("taskQueue", () => {
  it("runs no more tasks at once than there is room for, in their order", async () => {
    const { signal } = new AbortController();
    const log: string[] = [];
    const queue = taskQueue({ threads: [threadOf(log), threadOf(log)], lanes: 2, signal });
    let running = 0;
    let most = 0;
    const begun: number[] = [];
    const results = await Promise.all(
      Array.from({ length: 9 }, (_, index) =>
        queue.run(async () => {
          begun.push(index);
          most = Math.max(most, ++running);
          const result = await after(`${index}`)();
          running--;
          return result;
        }),
      ),
    );
    expect(results).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(most).toBe(4);
    // All threads get one task before any gets two.
    expect(log.slice(0, 4)).toEqual(["lane 0", "lane 0", "lane 1", "lane 1"]);
  });

  it("gives the error of a task to whoever asked for it, and goes on", async () => {
    const queue = taskQueue({ threads: [threadOf()], signal: new AbortController().signal });
    const failing = queue.run(() => Promise.reject(new Error("broken")));
    const next = queue.run(after("fine"));
    await expect(failing).rejects.toThrow("broken");
    await expect(next).resolves.toBe("fine");
  });

  it("fails everything when it is aborted", async () => {
    const abort = new AbortController();
    const queue = taskQueue({ threads: [threadOf()], signal: abort.signal });
    let begun = false;
    const inHand = queue.run(after("late", 1000));
    const waiting = queue.run(async () => {
      begun = true;
      return "never";
    });
    abort.abort(new Error("enough"));
    await expect(inHand).rejects.toThrow("enough");
    await expect(waiting).rejects.toThrow("enough");
    await expect(queue.run(after("later"))).rejects.toThrow("enough");
    expect(begun).toBe(false);
  });
});
