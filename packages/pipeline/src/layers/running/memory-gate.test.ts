import { expect, it } from "vitest";
import { MemoryGate } from "./memory-gate.ts";

/** Lets everything happen that can. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

it("lets in what there is room for, in the order of asking, and who is too large alone", async () => {
  const gate = new MemoryGate(100);
  const inside: string[] = [];
  for (const [name, bytes] of [
    ["a", 60],
    ["b", 60],
    ["c", 30],
    ["d", 500],
    ["e", 1],
  ] as const) {
    void gate.enter(bytes).then(() => inside.push(name));
  }
  await settle();
  expect(inside).toEqual(["a"]);
  gate.leave(60);
  await settle();
  expect(inside).toEqual(["a", "b", "c"]);
  gate.leave(30);
  await settle();
  expect(inside).toEqual(["a", "b", "c"]);
  gate.leave(60);
  await settle();
  expect(inside).toEqual(["a", "b", "c", "d"]);
  gate.leave(500);
  await settle();
  expect(inside).toEqual(["a", "b", "c", "d", "e"]);
});

it("counts memory that is kept for work of a size as taken", async () => {
  const gate = new MemoryGate(100);
  const inside: string[] = [];
  const enter = (name: string, bytes: number): void => void gate.enter(bytes).then(() => inside.push(name));
  enter("a", 60);
  enter("b", 20);
  enter("c", 20);
  await settle();
  expect(inside).toEqual(["a", "b", "c"]);
  gate.leave(20);
  gate.leave(20);
  // There would be room beside what is inside, but not beside what is kept for b and c.
  enter("d", 30);
  enter("e", 20);
  await settle();
  expect(inside).toEqual(["a", "b", "c"]);
  gate.leave(60);
  await settle();
  expect(inside).toEqual(["a", "b", "c", "d", "e"]);
});
