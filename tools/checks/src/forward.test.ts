import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadKernels } from "@quern/kernels";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compareForward, convertCase, forwardCases } from "./compare-forward.mjs";

const cases = forwardCases();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-checks-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function compare(name: string): ReturnType<typeof compareForward> {
  const { tokens, checkpoint, ...given } = cases.get(name)!;
  const path = await convertCase({ tokens, checkpoint, ...given }, { name, folder });
  return compareForward({ path, tokens, architecture: checkpoint, kernels: await loadKernels() });
}

describe("logits of F32 files", () => {
  it.each(["llama31-bpe", "qwen3moe", "cohere2", "smollm3", "stablelm", "deepseek2-lite", "phi3-long"])(
    "are those of llama.cpp: %s",
    async (name) => {
      expect((await compare(name)).asIs).toBeLessThan(2e-4);
    },
  );

  it("are off by what llama.cpp rounds before MXFP4 weights: gpt-oss", async () => {
    const { asIs, rounded, roundings } = await compare("gpt-oss");
    expect(roundings).toEqual(["Q8_0 activations before MXFP4"]);
    expect(rounded).toBeLessThan(2e-4);
    expect(asIs).toBeGreaterThan(1e-2);
  });

  it.each(["gemma2", "gptneox"])("are off by what llama.cpp's table of GELU rounds: %s", async (name) => {
    const { asIs, rounded, roundings } = await compare(name);
    expect(roundings).toEqual(["GELU by a table of F16"]);
    // An argument that is off by a rounding error may lie on the other side of a step of the table.
    expect(rounded).toBeLessThan(1e-3);
    expect(asIs).toBeLessThan(1e-2);
  });
});
