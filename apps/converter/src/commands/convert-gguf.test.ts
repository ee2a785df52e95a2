import { copyFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const golden = repositoryPath("fixtures/golden/qwen3/checkpoint");

let folder: string;
let source: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  source = join(folder, "source.gguf");
  await runCli({ argv: ["convert", golden, "-t", "Q8_0", "-o", source, "-q"] });
});

describe("quern convert with a GGUF file", () => {
  it("refuses to quantize again, and says how to have it", async () => {
    const { exitCode, stderr } = await runCli({ argv: ["convert", source, "-o", join(folder, "no.gguf")] });
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/is Q8_0 already: [^]*--allow-requantize/);
  });

  it("does so when asked, and reports what it added", async () => {
    const out = await temporaryFolder();
    const { exitCode, stdout } = await runCli({
      argv: ["convert", source, "-t", "q4_k_m,copy", "--allow-requantize", "-o", out],
    });
    expect(exitCode).toBe(0);
    expect((await readdir(out)).length).toBe(2);
    expect(stdout).toMatch(/^Quantized again +Tensor +Change +Error added$/m);
    expect(stdout).toMatch(/^Q4_K_M +all \d+ tensors that were quantized already +\d\.\d{3} %$/m);
    expect(stdout).toMatch(/^Q4_K_M +blk\.\d\.\S+ +Q8_0 to Q\d\S* +\d\.\d{3} %$/m);
    expect(stdout).not.toMatch(/^COPY +all/m);
  });

  it("shows in the plan what is left out and what is quantized again", async () => {
    const { exitCode, stdout } = await runCli({
      argv: ["convert", source, "-t", "Q6_K", "--allow-requantize", "--prune-layers", "0", "--dry-run"],
    });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^ +blk\.0\.ffn_up\.weight .* Q8_0 .* was blk\.1\.ffn_up\.weight, quantized again$/m,
    );
    expect(stdout).toMatch(/source · qwen3 · .*\(Q8_0, F32\)/);
  });

  it("keeps a split, or makes it one file", async () => {
    const out = await temporaryFolder();
    const parts = join(out, "part.gguf");
    const split = ["-t", "BF16", "--split-max-tensors", "10", "-o", parts];
    expect((await runCli({ argv: ["convert", golden, ...split] })).exitCode).toBe(0);
    const names = (await readdir(out)).sort();
    expect(names.length).toBeGreaterThan(1);
    const last = join(out, names.at(-1)!);
    const kept = ["-t", "Q8_0", "--keep-split", "-o", join(out, "kept.gguf")];
    expect((await runCli({ argv: ["convert", last, ...kept] })).exitCode).toBe(0);
    expect(
      (await runCli({ argv: ["convert", last, "-t", "Q8_0", "-o", join(out, "one.gguf")] })).exitCode,
    ).toBe(0);
    expect((await readdir(out)).filter((name) => !names.includes(name)).sort()).toEqual([
      ...names.map((name) => name.replace("part", "kept")),
      "one.gguf",
    ]);
  });

  it("leaves the source alone when told to write to it", async () => {
    const copy = join(await temporaryFolder(), "copy.gguf");
    await copyFile(source, copy);
    const { exitCode, stderr } = await runCli({
      argv: ["convert", copy, "-t", "COPY", "-o", copy, "--force"],
    });
    expect(exitCode).toBe(4);
    expect(stderr).toContain("OUTPUT_IS_SOURCE");
    expect((await readFile(copy)).equals(await readFile(source))).toBe(true);
  });

  it.each([
    ["--flavour converter", "RECIPE_FLAVOUR"],
    ["--intermediate F32", "RECIPE_OPTION"],
    ["--pre llama-bpe", "RECIPE_OPTION"],
    ["--prune-layers 7", "RECIPE_PRUNE_LAYERS"],
  ])("refuses %s", async (option, code) => {
    const { exitCode, stderr } = await runCli({
      argv: ["convert", source, "-t", "Q8_0", ...option.split(" ")],
    });
    expect(stderr).toContain(code);
    expect(exitCode).toBe(2);
  });
});
