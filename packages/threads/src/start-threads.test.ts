import { describe, expect, it } from "vitest";
import { compiledModule } from "./compiled-module.ts";
import { closeThreads, startThreads } from "./start-threads.ts";
import type { Thread } from "./service.ts";
import { createService } from "./testing/echo-service.ts";

function start(count: number, greeting = "hello"): Promise<Thread<string, string>[]> {
  const module = (): URL => new URL(`data:text/javascript,${encodeURIComponent(SERVICE)}`);
  return startThreads({ count, createService, module, options: { greeting } });
}

/** The same as createService of the tests, in JavaScript: threads do not run sources. */
const SERVICE = `
  export async function createService({ greeting }) {
    if (greeting === "") throw new Error("no greeting");
    return {
      description: greeting,
      run(task, lane) {
        if (task === "break") throw new TypeError("broken");
        if (task === "exit") process.exit(3);
        return greeting + ", " + task + " " + lane;
      },
      close: async () => {},
    };
  }`;

describe.each([0, 2])("startThreads with %i", (count) => {
  it("answers tasks", async () => {
    const threads = await start(count);
    expect(threads.map(({ description }) => description)).toEqual(Array(Math.max(count, 1)).fill("hello"));
    for (const thread of threads) {
      await expect(Promise.all([thread.run("a", 0), thread.run("b", 1)])).resolves.toEqual([
        "hello, a 0",
        "hello, b 1",
      ]);
      await expect(thread.run("break", 0)).rejects.toThrow("broken");
      await expect(thread.run("c", 0)).resolves.toBe("hello, c 0");
      expect(thread.idleTime()).toBeGreaterThanOrEqual(0);
    }
    await closeThreads(threads);
  });

  it("fails when the service cannot be made", async () => {
    await expect(start(count, "")).rejects.toThrow("no greeting");
  });
});

describe("startThreads", () => {
  it("gives codes and subjects of errors on this thread", async () => {
    const [thread] = await start(0);
    await expect(thread!.run("fail", 0)).rejects.toMatchObject({
      code: "TASK_BAD",
      subject: { tensor: "t" },
    });
  });

  it("says that a thread has ended, for tasks in hand and for later ones", async () => {
    const [thread] = await start(1);
    await expect(Promise.all([thread!.run("exit", 0), thread!.run("a", 1)])).rejects.toMatchObject({
      code: "WORKER_FAILED",
      message: expect.stringContaining("exit code 3"),
    });
    await expect(thread!.run("b", 0)).rejects.toMatchObject({ code: "WORKER_FAILED" });
  });
});

describe("compiledModule", () => {
  it("names the compiled file that is missing", () => {
    const base = new URL("file:///package/src/deep/caller.ts").href;
    expect(() => compiledModule("../service.ts", base)).toThrowError(
      expect.objectContaining({
        code: "WORKER_MISSING",
        subject: { file: expect.stringMatching(/package.dist.service\.js$/) },
      }),
    );
  });
});
