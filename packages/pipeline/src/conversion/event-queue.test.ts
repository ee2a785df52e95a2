import { describe, expect, it } from "vitest";
import { EventQueue } from "./event-queue.ts";

describe("EventQueue", () => {
  it("gives events in order, queued and live, then ends", async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    queue.push(2);
    const seen: number[] = [];
    const reading = (async () => {
      for await (const event of queue) {
        seen.push(event);
        if (event === 2) queue.push(3);
      }
    })();
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([1, 2, 3]);
    queue.push(4);
    queue.push(5);
    queue.end();
    await reading;
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it("gives what came before an error, then the error", async () => {
    const queue = new EventQueue<string>();
    queue.push("last");
    queue.fail(new Error("broken"));
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of queue) seen.push(event);
    })();
    await expect(reading).rejects.toThrow("broken");
    expect(seen).toEqual(["last"]);
  });
});
