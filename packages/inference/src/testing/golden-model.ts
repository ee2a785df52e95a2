import { fileURLToPath } from "node:url";
import { openModel } from "@quern/checkpoints/node";
import { openRunnable, type RunnableModel } from "../model.ts";
import type { ModelWindow } from "../window.ts";

/** A tiny checkpoint; fixtures/golden/README.md describes them. */
export async function goldenModel(name: string): Promise<RunnableModel> {
  const path = new URL(`../../../../fixtures/golden/${name}/checkpoint`, import.meta.url);
  return openRunnable(await openModel(fileURLToPath(path)));
}

/** Windows of some made-up tokens. */
export function someWindows(lengths: readonly number[], vocabularySize: number): ModelWindow[] {
  let state = 7;
  return lengths.map((length, index) => ({
    tokens: Int32Array.from({ length }, () => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state % vocabularySize;
    }),
    starts: index % 2 === 0 ? [0] : [0, Math.floor(length / 3)],
  }));
}
