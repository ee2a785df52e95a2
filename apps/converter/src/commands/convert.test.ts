import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

describe("quern convert", () => {
  it("writes several types in one pass and reports them", async () => {
    const folder = await temporaryFolder();
    const { exitCode, stdout, stderr } = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "q4_k_m,Q8_0", "-o", folder, "--threads", "2"],
    });
    expect(stderr).toContain("converting 38 tensors");
    expect(exitCode).toBe(0);
    const files = (await readdir(folder)).sort();
    expect(files).toEqual(["Quern-Demo-2.9M-Q4_K_M.gguf", "Quern-Demo-2.9M-Q8_0.gguf"]);
    for (const file of files) {
      expect(stdout).toContain(join(folder, file));
    }
    expect(stdout).toMatch(
      /^Type +Size +Of source +Bits\/weight +File\nQ4_K_M +\d\.\d\d MB +\d\d\.\d% +\d\.\d\d /,
    );
    expect(stdout).toMatch(/\ntime +[\d.]+ m?s \(.*\nmemory +\d+ MB at most\nkernels +(native|wasm) \w+\n$/);
  });

  it.each(["qwen3", "llama2-spm"])("writes the files of convert_hf_to_gguf.py for %s", async (name) => {
    const folder = await temporaryFolder();
    const golden = repositoryPath(`fixtures/golden/${name}`);
    const { exitCode, stderr } = await runCli({
      argv: [
        "convert",
        join(golden, "checkpoint"),
        "-t",
        "f32,BF16,q8_0",
        "-o",
        `${folder}/new/`,
        "--threads",
        "0",
      ],
    });
    expect(stderr).not.toContain("error");
    expect(exitCode).toBe(0);
    for (const type of ["F32", "BF16", "Q8_0"]) {
      const file = (await readdir(join(folder, "new"))).find((entry) => entry.endsWith(`-${type}.gguf`));
      const expected = JSON.parse(
        await readFile(join(golden, "expected", `${type.toLowerCase()}.json`), "utf8"),
      ) as { file: { sha256: string } };
      const bytes = await readFile(join(folder, "new", file!));
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(expected.file.sha256);
    }
  });

  it("takes Q4_K_M and the current folder unless told otherwise", async () => {
    const folder = await temporaryFolder();
    const { exitCode } = await runCli({ argv: ["convert", demoCheckpoint, "--threads", "0"], cwd: folder });
    expect(exitCode).toBe(0);
    expect(await readdir(folder)).toEqual(["Quern-Demo-2.9M-Q4_K_M.gguf"]);
  });

  it("says nothing but the result with --quiet", async () => {
    const folder = await temporaryFolder();
    const run = await runCli({ argv: ["convert", demoCheckpoint, "-t", "F16", "-o", folder, "--quiet"] });
    expect(run.exitCode).toBe(0);
    expect(run.stderr).toBe("");
    expect(run.stdout).toContain("F16");
  });

  it("shows the plan but no progress with --no-progress", async () => {
    const folder = await temporaryFolder();
    const run = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "F16", "-o", folder, "--no-progress"],
    });
    expect(run.exitCode).toBe(0);
    expect(run.stderr).toContain("parameters");
    expect(run.stderr).not.toContain("100%");
  });
});

describe("quern convert --dry-run", () => {
  it("shows every tensor and writes nothing", async () => {
    const folder = await temporaryFolder();
    const { exitCode, stdout, stderr } = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "Q4_K_M", "-o", folder, "--dry-run"],
    });
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    expect(await readdir(folder)).toEqual([]);
    expect(stdout.match(/^ {2}(blk|output_norm|token_embd)\./gm)).toHaveLength(38);
    expect(stdout).toMatch(/^ {2}token_embd\.weight +256 x 2048 +BF16 +Q6_K +430,080/m);
    expect(stdout).toContain("llama · 2.89M parameters · 38 tensors · 5.77 MB of weights (BF16)");
  });

  it("says why a tensor gets another type", async () => {
    const checkpoint = repositoryPath("fixtures/golden/qwen2/checkpoint");
    const { stdout } = await runCli({ argv: ["convert", checkpoint, "-t", "Q4_K_M,F16", "--dry-run"] });
    expect(stdout).toMatch(/Q4_K_M: instead of Q\d_K: /);
  });

  it("gives the same plan as JSON", async () => {
    const folder = await temporaryFolder();
    const { exitCode, host } = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "Q8_0", "-o", join(folder, "a.gguf"), "--dry-run", "--json"],
    });
    expect(exitCode).toBe(0);
    expect(host.records).toHaveLength(1);
    expect(host.records[0]).toMatchObject({
      type: "plan",
      architecture: "llama",
      outputs: [{ type: "Q8_0", path: join(folder, "a.gguf"), replaces: false }],
    });
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("quern convert --json", () => {
  it("writes plan, events and the result as JSON lines", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "demo.gguf");
    const { exitCode, host, stderr } = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "Q4_K_M", "-o", path, "--json"],
    });
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    const types = host.records.map((record) => record["type"]);
    expect(types[0]).toBe("plan");
    expect(types[1]).toBe("start");
    expect(types.filter((type) => type === "tensor:done")).toHaveLength(38);
    expect(types.at(-1)).toBe("result");
    const { size } = await stat(path);
    expect(host.records.at(-1)).toMatchObject({
      outputs: [{ type: "Q4_K_M", path, bytes: size }],
      tensors: 38,
    });
    expect(host.records.at(-1)!["peakMemory"]).toBeGreaterThan(10_000_000);
    expect(host.records.find((record) => record["type"] === "plan")).toMatchObject({
      outputs: [{ fileSize: size }],
    });
  });

  it("ends with an error line when it fails", async () => {
    const { exitCode, host, stderr } = await runCli({ argv: ["convert", "no-such-folder", "--json"] });
    expect(exitCode).toBe(3);
    expect(host.records).toEqual([
      expect.objectContaining({ type: "error", code: "CHECKPOINT_NOT_FOUND", exitCode: 3 }),
    ]);
    expect(stderr).toContain("error:");
  });
});

describe("progress", () => {
  it("is whole lines where nobody watches", async () => {
    const folder = await temporaryFolder();
    const { stderr } = await runCli({ argv: ["convert", demoCheckpoint, "-t", "Q8_0", "-o", folder] });
    expect(stderr).toMatch(/^converting 38 tensors$/m);
    expect(stderr).toMatch(/^ +100% {2}5\.77 MB of 5\.77 MB/m);
    expect(stderr).toMatch(/^wrote .*Q8_0\.gguf \(3\.\d\d MB\)$/m);
    expect(stderr).not.toContain("\u001b");
  });

  it("is one line that is redrawn on a terminal, without colours if so asked", async () => {
    const folder = await temporaryFolder();
    const { stderr, stdout } = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "Q8_0", "-o", folder],
      terminal: true,
      env: { NO_COLOR: "1", TERM: "xterm" },
    });
    expect(stderr).toContain("\r\u001b[2K");
    expect(stderr).not.toContain("\u001b[1m");
    expect(stderr.endsWith("\r\u001b[2K")).toBe(true);
    expect(stdout).not.toContain("\u001b");
  });
});

describe("interruption", () => {
  it("leaves no file behind, under whatever name", async () => {
    const folder = await temporaryFolder();
    const { exitCode, stderr } = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "Q4_K_M,Q8_0", "-o", folder],
      onStderr: (text, host) => {
        if (text.startsWith("converting")) {
          host.interrupt();
        }
      },
    });
    expect(exitCode).toBe(130);
    expect(stderr).toContain("Interrupted");
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("wrong usage", () => {
  it.each([
    [["convert"], "missing required argument 'checkpoint'"],
    [["convert", "x", "--typ", "Q8_0"], "Did you mean --type?"],
    [["convert", "x", "-t", "Q4_KM"], "Did you mean Q4_K_M?"],
    [["convert", "x", "-t", "gptq-w4-g128"], '"quern types" lists them'],
    [["convert", "x", "--memory", "lots"], "Write a size such as 400MB"],
    [["convert", "x", "--threads", "-1"], "Write a whole number"],
    [["convert", "x", "--kernels", "cuda"], "Allowed choices are native, wasm"],
    [["convert", "x", "--tensor-type", "Q6_K"], "Write PATTERN=TYPE"],
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
