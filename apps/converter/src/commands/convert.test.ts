// @module-tag kernels

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

async function sha256(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

/** Hash of the file that a description of the golden set tells of. */
async function expectedHash(description: string): Promise<string> {
  const { file } = JSON.parse(await readFile(description, "utf8")) as { file: { sha256: string } };
  return file.sha256;
}

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
    expect(stdout).toMatch(
      /\ntime +[\d.]+ m?s \(.*\nmemory +\d+ MB at most\nkernels +(native|wasm) \w+\nthreads +\d+: .*\n$/,
    );
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
      const description = join(golden, "expected", `${type.toLowerCase()}.json`);
      expect(await sha256(join(folder, "new", file!))).toBe(await expectedHash(description));
    }
  });

  it.each(["f32", "BF16"])("passes weights through %s if so asked", async (intermediate) => {
    const { host } = await runCli({
      argv: [
        "convert",
        demoCheckpoint,
        "-t",
        "Q4_K_S",
        "--intermediate",
        intermediate,
        "--dry-run",
        "--json",
      ],
    });
    expect(host.records[0]).toMatchObject({ outputs: [{ intermediate: intermediate.toUpperCase() }] });
  });

  it("gives tensors the types that are asked for", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "demo.gguf");
    const options = [
      "--tensor-type",
      "ffn_down=q8_0",
      "--token-embedding-type",
      "q5_k",
      "--metadata",
      "general.name=string:Mine",
    ];
    const { exitCode } = await runCli({
      argv: ["convert", demoCheckpoint, "-t", "Q4_K_S", "-o", path, ...options],
    });
    expect(exitCode).toBe(0);
    const { host } = await runCli({ argv: ["inspect", path, "--json"] });
    expect(host.records[0]).toMatchObject({
      metadata: expect.arrayContaining([{ key: "general.name", type: "string", value: "Mine" }]),
      tensors: expect.arrayContaining([
        expect.objectContaining({ name: "token_embd.weight", type: "Q5_K" }),
        expect.objectContaining({ name: "blk.3.ffn_down.weight", type: "Q8_0" }),
        expect.objectContaining({ name: "blk.3.ffn_up.weight", type: "Q4_K" }),
      ]),
    });
  });

  it.each(["Q4_K_M", "Q3_K_M", "Q6_K"])(
    "writes the file of llama-quantize for %s with an importance matrix",
    async (type) => {
      const folder = await temporaryFolder();
      const golden = repositoryPath("fixtures/golden/qwen3");
      const path = join(folder, "qwen3.gguf");
      const { exitCode } = await runCli({
        argv: [
          "convert",
          "checkpoint",
          "-t",
          type,
          "-o",
          path,
          "--imatrix",
          "imatrix.gguf",
          "--intermediate",
          "f32",
        ],
        cwd: golden,
      });
      expect(exitCode).toBe(0);
      const description = join(golden, "expected", "quantize-imatrix", `${type}.json`);
      expect(await sha256(path)).toBe(await expectedHash(description));
    },
  );

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
      outputs: [{ type: "Q8_0", files: [{ path: join(folder, "a.gguf"), replaces: false }] }],
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
      outputs: [{ type: "Q4_K_M", files: [{ path, bytes: size }], bytes: size }],
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
