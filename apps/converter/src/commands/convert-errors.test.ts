import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { demoCheckpoint, runCli, temporaryFolder } from "../testing/run-cli.ts";

describe("wrong usage", () => {
  it.each([
    [["convert"], "missing required argument 'model'"],
    [["convert", "x", "--typ", "Q8_0"], "Did you mean --type?"],
    [["convert", "x", "-t", "Q4_KM"], "Did you mean Q4_K_M?"],
    [["convert", "x", "-t", "gptq-w4-g128"], '"quern types" lists them'],
    [["convert", "x", "--memory", "lots"], "Write a size such as 400MB"],
    [["convert", "x", "--threads", "-1"], "Write a whole number"],
    [["convert", "x", "--kernels", "cuda"], "Allowed choices are native, wasm"],
    [["convert", "x", "--tensor-type", "Q6_K"], "Write PATTERN=TYPE"],
    [["convert", "x", "--intermediate", "Q8_0"], "Allowed choices are auto, F32, F16, BF16"],
    [["convert", "x", "--metadata", "general.name"], "Write KEY=TYPE:VALUE"],
    [["convert", demoCheckpoint, "-t", "IQ2_XXS", "-n"], "Pass --imatrix"],
    [["convert", demoCheckpoint, "-t", "F16", "--pure", "-n"], "--flavour quantizer"],
    [["convert", demoCheckpoint, "--threads", "99999", "-n"], "code  PLAN_THREADS"],
    [["convert", "x", "y"], "too many arguments"],
    [["convert", demoCheckpoint, "-t", "F16,F32", "-o", "one.gguf"], "--output names one file"],
  ])("%j", async (argv, message) => {
    const { exitCode, stderr, stdout } = await runCli({ argv });
    expect(stderr).toContain(message);
    expect(stdout).toBe("");
    expect(exitCode).toBe(2);
  });
});

async function demoCopy(): Promise<string> {
  const copy = join(await temporaryFolder(), "model");
  await cp(demoCheckpoint, copy, { recursive: true });
  return copy;
}

async function conversionOf(
  checkpoint: string,
  ...options: string[]
): Promise<{ exitCode: number; stderr: string }> {
  const folder = await temporaryFolder();
  const run = await runCli({ argv: ["convert", checkpoint, "-o", folder, ...options] });
  expect(await readdir(folder)).toEqual([]);
  return run;
}

describe("bad input", () => {
  it("a folder that is not there", async () => {
    const { exitCode, stderr } = await conversionOf("no-such-folder");
    expect(stderr).toMatch(/error: .*no-such-folder/);
    expect(stderr).toMatch(/^ {2}code +CHECKPOINT_NOT_FOUND$/m);
    expect(exitCode).toBe(3);
  });

  it("a file of weights that is cut short", async () => {
    const checkpoint = await demoCopy();
    await truncate(join(checkpoint, "model.safetensors"), 1_000_000);
    const { exitCode, stderr } = await conversionOf(checkpoint);
    expect(stderr).toMatch(/^ {2}code +SAFETENSORS_/m);
    expect(stderr).toMatch(/^ {2}file +.*model\.safetensors$/m);
    expect(exitCode).toBe(3);
  });

  it("a config that is no JSON", async () => {
    const checkpoint = await demoCopy();
    await writeFile(join(checkpoint, "config.json"), "{");
    const { exitCode, stderr } = await conversionOf(checkpoint);
    expect(stderr).toContain("config.json");
    expect(exitCode).toBe(3);
  });

  it("an architecture that nobody knows", async () => {
    const checkpoint = await demoCopy();
    const path = join(checkpoint, "config.json");
    await writeFile(
      path,
      (await readFile(path, "utf8")).replace("LlamaForCausalLM", "QuernUnheardOfForCausalLM"),
    );
    const { exitCode, stderr } = await conversionOf(checkpoint);
    expect(stderr).toContain("QuernUnheardOfForCausalLM");
    expect(exitCode).toBe(3);
  });

  it("a tokenizer that is broken", async () => {
    const checkpoint = await demoCopy();
    await writeFile(join(checkpoint, "tokenizer.json"), "[]");
    const { exitCode, stderr } = await conversionOf(checkpoint);
    expect(stderr).toContain("tokenizer.json");
    expect(exitCode).toBe(3);
  });

  it("an imatrix that is none", async () => {
    const { exitCode, stderr } = await conversionOf(
      demoCheckpoint,
      "--imatrix",
      join(demoCheckpoint, "config.json"),
    );
    expect(stderr).toContain("config.json");
    expect(exitCode).toBe(3);
  });

  it("weights that are not finite, named with their tensor", async () => {
    const checkpoint = await demoCopy();
    const path = join(checkpoint, "model.safetensors");
    const bytes = await readFile(path);
    bytes.fill(0xff, bytes.length - 2);
    await writeFile(path, bytes);
    const { exitCode, stderr } = await conversionOf(checkpoint);
    expect(stderr).toMatch(/^ {2}tensor +/m);
    expect(exitCode).toBe(3);
  });
});

describe("output problems", () => {
  it("refuses to replace a file unless forced", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "precious.gguf");
    await writeFile(path, "precious");
    const argv = ["convert", demoCheckpoint, "-t", "F16", "-o", path];
    const refused = await runCli({ argv });
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).toContain("precious.gguf");
    expect(refused.stderr).toMatch(/^ {2}hint +.*--force/m);
    expect(await readFile(path, "utf8")).toBe("precious");

    const planned = await runCli({ argv: [...argv, "--force", "--dry-run"] });
    expect(planned.stdout).toContain("replaces the file there");

    const forced = await runCli({ argv: [...argv, "--force"] });
    expect(forced.exitCode).toBe(0);
    expect((await stat(path)).size).toBeGreaterThan(5_000_000);
  });

  it("a folder in which nothing can be written", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "file"), "");
    const { exitCode, stderr } = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "F16", "-o", join(folder, "file", "demo.gguf")],
    });
    expect(stderr).toMatch(/^ {2}code +OUTPUT_/m);
    expect(exitCode).toBe(4);
  });

  it("a path that is a folder", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "Quern-Demo-2.9M-F16.gguf"));
    const { exitCode } = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "F16", "-o", folder, "--force"],
    });
    expect(exitCode).toBe(4);
    expect(existsSync(join(folder, "Quern-Demo-2.9M-F16.gguf.partial"))).toBe(false);
  });
});
