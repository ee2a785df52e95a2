import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openStatistics } from "@quern/statistics";
import { describe, expect, it } from "vitest";
import { demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const text = repositoryPath("fixtures/evaluation/text.txt");

describe("quern calibrate", () => {
  it("collects statistics on the bundled texts, and says what it does", async () => {
    const cwd = await temporaryFolder();
    const { exitCode, stdout, stderr } = await runCli({
      argv: ["calibrate", demoCheckpoint, "--tokens", "4096", "--window", "128", "-j", "0"],
      cwd,
    });
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^demo|quern-demo .*llama/m);
    expect(stderr).toMatch(/^ +tokens +\d,\d+ in \d+ windows of 128, and \d+ in \d kept apart$/m);
    expect(stderr).toMatch(/^ +texts +default-text\/prose\.txt, /m);
    expect(stderr).toMatch(/^ 50\.0% .* of 4,0\d\d tokens .*block \d of 4$/m);
    expect(stdout).toMatch(/^tokens +4,0\d\d through 4 blocks$/m);
    expect(stdout).toMatch(/^time .* tokens per second through the whole model\)$/m);
    const name = "quern-demo-statistics.safetensors";
    expect(await readdir(cwd)).toEqual([name]);
    const statistics = await openStatistics(join(cwd, name));
    expect(statistics.tool).toMatch(/^quern \d/);
    expect(statistics.corpus.rule).toEqual({ kind: "packed", length: 128 });
    expect(statistics.corpus.calibration.sources).toHaveLength(5);
    expect(statistics.corpus.holdOut!.windows).toBe(3);
    expect(statistics.options).toEqual({ holdOutEvery: 10 });
    expect(statistics.input("blk.3.ffn_down").hessian).toBe(true);
    await statistics.close();
  });

  it("gives plan, progress and result as JSON", async () => {
    const cwd = await temporaryFolder();
    await writeFile(join(cwd, "text.txt"), await readFile(text));
    await writeFile(join(cwd, "more.txt"), await readFile(text));
    const data = ["--data", "text.txt:2", "more.txt:2"];
    const argv = ["calibrate", demoCheckpoint, ...data, "--windows", "8", "--window", "64"];
    const { host, exitCode } = await runCli({
      argv: [...argv, "--hold-out", "4", "--no-hessians", "--json", "-j", "0", "-o", "out.safetensors"],
      cwd,
    });
    expect(exitCode).toBe(0);
    const [plan, start] = host.records;
    expect(plan).toMatchObject({
      type: "plan",
      tokens: 512,
      rule: { kind: "packed", length: 64 },
      calibration: {
        windows: 6,
        sources: [
          { name: "text.txt", weight: 2 },
          { name: "more.txt", weight: 2 },
        ],
      },
      holdOut: { every: 4, windows: 2 },
      file: { path: join(cwd, "out.safetensors"), replaces: false },
      blocks: 4,
      passes: [1, 1, 1, 1, 1],
      warnings: [],
    });
    expect(start).toMatchObject({ type: "start", tokens: 512, windows: 8 });
    expect(host.records.at(-1)).toMatchObject({
      type: "result",
      path: join(cwd, "out.safetensors"),
      tokens: 512,
      rareExperts: [],
      peakMemory: expect.any(Number),
    });
  });

  it("makes the same of a checkpoint and of its GGUF file, for the same windows", async () => {
    const cwd = await temporaryFolder();
    const quiet = ["-q", "-j", "0"];
    await runCli({ argv: ["convert", demoCheckpoint, "-t", "BF16", "-o", "model.gguf", ...quiet], cwd });
    const options = ["--data", text, "--tokens", "1024", "--window", "128", ...quiet];
    for (const [model, output] of [
      [demoCheckpoint, "a.st"],
      ["model.gguf", "b.st"],
    ]) {
      const run = await runCli({ argv: ["calibrate", model!, "-o", output!, ...options], cwd });
      expect(run.exitCode).toBe(0);
    }
    const [a, b] = await Promise.all(["a.st", "b.st"].map((name) => openStatistics(join(cwd, name))));
    expect(b!.model.identity).toBe(a!.model.identity);
    expect(b!.corpus.calibration.hash).toBe(a!.corpus.calibration.hash);
    for (const module of ["blk.0.attn_q", "blk.3.ffn_down"]) {
      expect(await b!.readHessian({ module })).toEqual(await a!.readHessian({ module }));
    }
    await Promise.all([a!.close(), b!.close()]);
  });

  it("warns of layers that see too few tokens, and of a hold-out that cannot be", async () => {
    const cwd = await temporaryFolder();
    const { stderr, exitCode } = await runCli({
      argv: ["calibrate", demoCheckpoint, "--tokens", "256", "--window", "128", "-n"],
      cwd,
    });
    expect(exitCode).toBe(0);
    expect(stderr).toContain("warning: no window is kept apart");
    expect(stderr).toMatch(/^warning: all of ffn_down sees 256 tokens; with \d+ inputs it should be \d+/m);
    expect(await readdir(cwd)).toEqual([]);
  });

  it("stops when interrupted, and goes on with the same command", async () => {
    const cwd = await temporaryFolder();
    const argv = ["calibrate", demoCheckpoint, "--tokens", "4096", "-j", "0", "-o", "out.st"];
    const stopped = await runCli({
      argv,
      cwd,
      onStderr: (line, host) => {
        if (line.includes("block 3 of 4")) host.interrupt();
      },
    });
    expect(stopped.exitCode).toBe(130);
    expect(stopped.stderr).toContain(
      "Interrupted: the same command goes on behind the last block that is complete.",
    );
    expect((await readdir(cwd)).length).toBeGreaterThan(0);
    const other = await runCli({ argv: [...argv, "--window", "256"], cwd });
    expect(other.stderr).toContain("STATISTICS_OTHER_RUN");
    expect(other.exitCode).toBe(4);
    const resumed = await runCli({ argv, cwd });
    expect(resumed.exitCode).toBe(0);
    expect(resumed.stdout).toMatch(/; [23] of 4 blocks were done before$/m);
    expect(await readdir(cwd)).toEqual(["out.st"]);
  });

  it.each([
    [["--tokens", "5", "--windows", "5"], "cannot be used with", 2],
    [["--data", "nowhere.txt"], "SOURCE_NOT_FOUND", 3],
    [["--data", text, "--window", "100000"], "CORPUS_TOO_SHORT", 3],
    [["--data", `${text}:0`], "the weight must be above 0", 2],
    [["--memory", "1MB"], "CALIBRATION_MEMORY", 2],
    [["--hold-out", "1"], "CORPUS_OPTION_INVALID", 2],
    [["--hold-out", "-1"], "whole number", 2],
  ])("refuses %j before it runs the model", async (options, message, code) => {
    const cwd = await temporaryFolder();
    const { exitCode, stderr } = await runCli({ argv: ["calibrate", demoCheckpoint, ...options], cwd });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("calibrating");
    expect(exitCode).toBe(code);
    expect(await readdir(cwd)).toEqual([]);
  });
});
