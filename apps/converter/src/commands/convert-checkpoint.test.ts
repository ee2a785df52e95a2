// @module-tag kernels

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { CONTAINERS } from "@quern/recipes";
import type { ConversionRecord } from "@quern/reports";
import { bytesSource, readSafetensors } from "safetensors-js";
import { beforeAll, describe, expect, it } from "vitest";
import { repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

/** Two blocks, tied embeddings; all layers have 256 inputs. */
const model = repositoryPath("fixtures/golden/qwen3/checkpoint");
const fast = ["-j", "0", "--quiet"];

/** Statistics of the model, made once. */
let statistics: string;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "quern-"));
  statistics = join(folder, "statistics.safetensors");
  await runCli({
    argv: ["calibrate", model, "--tokens", "2048", "--window", "64", "-o", statistics, ...fast],
  });
  return () => rm(folder, { recursive: true });
});

interface Config {
  readonly quantization_config: Readonly<Record<string, unknown>>;
}

async function configOf(folder: string): Promise<Config> {
  return JSON.parse(await readFile(join(folder, "config.json"), "utf8")) as Config;
}

describe("quern convert --to", () => {
  it.each(CONTAINERS.map(({ name, formats }) => [name, formats] as const))(
    "%s writes a checkpoint that can be read",
    async (container, formats) => {
      const cwd = await temporaryFolder();
      const { exitCode, stdout, stderr } = await runCli({
        argv: ["convert", model, "--to", container, "--statistics", statistics, "-o", "out", ...fast],
        cwd,
      });
      expect(stderr).not.toContain("error:");
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^layers +14 quantized/m);
      expect(await readdir(cwd)).toEqual(["out"]);
      const { tensors } = await openCheckpointDirectory(join(cwd, "out"));
      expect(formats.length).toBeGreaterThan(0);
      expect(tensors.has("model.layers.0.mlp.down_proj.weight")).toBe(
        ["bnb", "fp8", "mlx"].includes(container),
      );
      expect((await configOf(join(cwd, "out"))).quantization_config).toBeDefined();
    },
  );

  it("tells what it is going to do and what it has done", async () => {
    const cwd = await temporaryFolder();
    const argv = [
      "convert",
      model,
      "--to",
      "gptq",
      "--statistics",
      statistics,
      "-j",
      "0",
      "--report",
      "report.json",
    ];
    const { exitCode, stdout, stderr } = await runCli({ argv, cwd });
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^checkpoint · qwen3 · .* parameters · \d+ tensors · .* of weights$/m);
    expect(stderr).toMatch(/^ +recipe +gptq-w4-g128: GPTQ, 4 bits in groups of 128, symmetric$/m);
    expect(stderr).toMatch(/^ +layers +14 quantized$/m);
    expect(stderr).toMatch(/^ +loaded by +vllm, sglang, transformers, gptqmodel, llama\.cpp$/m);
    expect(stderr).toMatch(/^ +statistics +\/.*statistics\.safetensors$/m);
    expect(stderr).toMatch(/^ +memory +about .* \(budget: .*, at least .*\)$/m);
    expect(stderr).toMatch(/^quantizing \d+ tensors$/m);
    expect(stderr).toMatch(/^ +100% +\d.* weights/m);
    const folder = join(cwd, "checkpoint-gptq-w4-g128");
    expect(stdout).toContain(`folder   ${folder} (`);
    expect(stdout).toMatch(/^outputs +[\d.]+% error on held-out inputs; to nearest it would be [\d.]+%$/m);
    const report = JSON.parse(await readFile(join(cwd, "report.json"), "utf8")) as {
      conversion: ConversionRecord;
      details: { layers: object[] };
    };
    const [output] = report.conversion.outputs;
    expect(report.conversion).toMatchObject({ model: "checkpoint", sourceTypes: ["BF16"] });
    expect(output!.tensors.filter(({ errors }) => errors !== undefined)).toHaveLength(14);
    const data = output!.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
    // The rest is the headers of files.
    expect(output!.bytes - data).toBeGreaterThan(0);
    expect(output!.bytes - data).toBeLessThan(20_000);
    expect(report.details).toMatchObject({ recipe: { name: "gptq-w4-g128" }, kept: [] });
    expect(report.details.layers).toHaveLength(14);
    expect(report.details.layers[0]).toMatchObject({
      module: "model.layers.0.self_attn.q_proj",
      format: "gptq",
      outputError: { rounded: expect.any(Number) as number, nearest: expect.any(Number) as number },
    });
    expect((await configOf(folder)).quantization_config).toMatchObject({
      quant_method: "gptq",
      bits: 4,
      group_size: 128,
    });
  });

  it("shows the plan and writes nothing with --dry-run", async () => {
    const cwd = await temporaryFolder();
    await writeFile(
      join(cwd, "mine.yaml"),
      "extends: w8a16\nrules:\n  - { roles: [down], keep: true }\n  - { modules: nothing, keep: true }\n",
    );
    const { exitCode, stdout, stderr } = await runCli({
      argv: ["convert", model, "--recipe", "mine.yaml", "-n"],
      cwd,
    });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ +q +2 +256 x 256 +pack-quantized, 8 bits, groups of 128 +nearest$/m);
    expect(stdout).toMatch(/^ +model\.layers\.1\.mlp\.down_proj +1 +256 x 256 +as it is$/m);
    expect(stdout).toMatch(/^ +layers +12 quantized, 2 kept as they are$/m);
    expect(stderr).toContain('rule 2 (modules that match "nothing") decides about no layer');
    expect(await readdir(cwd)).toEqual(["mine.yaml"]);
  });

  it("writes a page of the errors of layers", async () => {
    const cwd = await temporaryFolder();
    const argv = ["convert", model, "--to", "gptq", "--statistics", statistics, "-o", "out", ...fast];
    const { exitCode, stdout } = await runCli({ argv: [...argv, "--report", "out/report.html"], cwd });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^report +\/.*report\.html$/m);
    const page = await readFile(join(cwd, "out/report.html"), "utf8");
    for (const text of [
      "checkpoint: what quantization cost",
      "Where the error is",
      "relative output error, on held-out inputs",
      "<code>model.layers.1.mlp.down_proj.weight</code>",
      "gptq, 4 bits",
      "gptq-w4-g128: GPTQ, 4 bits in groups of 128, symmetric",
    ]) {
      expect(page).toContain(text);
    }
    expect(page).not.toContain("Clipped");
    expect(page).not.toMatch(/NaN|undefined/);
    const combined = await runCli({ argv: ["report", "out/report.json", "-o", "again.html"], cwd });
    expect(combined.exitCode).toBe(0);
    expect(await readFile(join(cwd, "again.html"), "utf8")).toBe(page);
    const again = await runCli({
      argv: [...argv.slice(0, -4), "-n", "-o", "other", "--report", "again.html"],
      cwd,
    });
    expect(again.stderr).toContain("again.html");
    expect(again.exitCode).toBe(4);
  });

  it("says which blocks are compared with what they were", async () => {
    const cwd = await temporaryFolder();
    const { stdout } = await runCli({
      argv: ["convert", model, "--to", "awq", "--statistics", statistics, "-n"],
      cwd,
    });
    expect(stdout).toMatch(
      /^ +transforms +awq, folded in at 8 places; 2 blocks are compared with what they computed before$/m,
    );
  });

  it("gives plan, events and result as JSON", async () => {
    const cwd = await temporaryFolder();
    const argv = [
      "convert",
      model,
      "--recipe",
      "rtn-w8-g128",
      "--group-size",
      "64",
      "-o",
      "out",
      "--json",
      "-j",
      "0",
    ];
    const { host, exitCode } = await runCli({ argv, cwd });
    expect(exitCode).toBe(0);
    const [plan, start] = host.records;
    expect(plan).toMatchObject({
      type: "plan",
      model: "checkpoint",
      container: "gptq",
      recipe: { name: "rtn-w8-g128, groupSize=64", parameters: { bits: 8, groupSize: 64 } },
      folder: join(cwd, "out"),
      replaces: false,
      kept: [],
      warnings: [],
    });
    expect(plan!["layers"]).toHaveLength(14);
    expect(start).toMatchObject({ type: "start", layers: 14 });
    expect(host.records.filter(({ type }) => type === "tensor:done")).toHaveLength(14);
    expect(host.records.at(-1)).toMatchObject({ type: "result", folder: join(cwd, "out") });
  });

  it("replaces a model only when told to", async () => {
    const cwd = await temporaryFolder();
    const argv = ["convert", model, "--to", "bnb", "-o", "out", ...fast];
    expect((await runCli({ argv, cwd })).exitCode).toBe(0);
    const again = await runCli({ argv, cwd });
    expect(again.exitCode).toBe(4);
    expect(again.stderr).toContain("OUTPUT_EXISTS");
    expect((await runCli({ argv: [...argv, "--force"], cwd })).exitCode).toBe(0);
  });

  it("still writes GGUF files", async () => {
    const cwd = await temporaryFolder();
    const { exitCode } = await runCli({
      argv: ["convert", model, "--to", "gguf", "-t", "Q8_0", ...fast],
      cwd,
    });
    expect(exitCode).toBe(0);
    expect(await readdir(cwd)).toEqual([expect.stringMatching(/-Q8_0\.gguf$/)]);
  });
});

describe("quern convert refuses", () => {
  it.each([
    ["statistics that are missing", ["--to", "gptq"], 2, "RECIPE_STATISTICS_REQUIRED"],
    ["texts instead of statistics", ["--to", "gptq", "--data", "a b.txt"], 2, "RECIPE_STATISTICS_REQUIRED"],
    [
      "texts for a recipe without use for them",
      ["--to", "bnb", "--data", "a.txt"],
      2,
      "RECIPE_STATISTICS_REQUIRED",
    ],
    ["a recipe of another container", ["--to", "mlx", "--recipe", "w4a16"], 2, "RECIPE_CONTAINER"],
    ["a recipe that there is not", ["--recipe", "w5a16"], 2, "RECIPE_UNKNOWN"],
    ["bits without a place", ["--to", "awq", "--bits", "3"], 2, "RECIPE_INVALID"],
    [
      "groups that do not divide the inputs",
      ["--recipe", "w4a16-rtn", "--group-size", "96"],
      2,
      "FORMAT_CANNOT_HOLD",
    ],
    ["what a loader refuses", ["--recipe", "rtn-w3-g64", "--compat", "vllm"], 2, "PLAN_INCOMPATIBLE"],
    ["options of GGUF files", ["--to", "bnb", "--imatrix", "x.gguf"], 2, "USAGE_CONTAINER"],
    ["types of GGUF files", ["--recipe", "bnb-nf4", "-t", "Q4_K_M"], 2, "USAGE_CONTAINER"],
    ["options of checkpoints for GGUF files", ["--compat", "vllm"], 2, "USAGE_CONTAINER"],
    ["a recipe for GGUF files", ["--to", "gguf", "--recipe", "bnb-nf4"], 2, "USAGE_CONTAINER"],
    ["a report of another kind", ["--to", "bnb", "--report", "out.pdf"], 2, "USAGE_REPORT"],
    ["an unknown loader", ["--to", "bnb", "--compat", "vlm"], 2, 'There is no "vlm"'],
    ["groups that are none", ["--to", "bnb", "--group-size", "some"], 2, "Write a whole number, channel"],
  ])("%s", async (_what, options, expectedExitCode, code) => {
    const cwd = await temporaryFolder();
    const { exitCode, stderr } = await runCli({ argv: ["convert", model, ...options, "-q"], cwd });
    expect(stderr).toContain(code);
    expect(exitCode).toBe(expectedExitCode);
    expect(await readdir(cwd)).toEqual([]);
  });

  it.each([
    [
      "a key that there is not",
      "extends: w4a16-rtn\nunfitt: keep\n",
      "line 2, unfitt: there is no such key",
      3,
    ],
    [
      "a value of another type",
      "extends: w4a16-rtn\nparameters:\n  bits: four\n",
      "line 3, parameters.bits: ",
      3,
    ],
    ["members that do not go together", "extends: bnb-nf4\nrounding: hqq\n", "HQQ moves the zero points", 2],
  ])("a recipe file with %s", async (_what, text, expected, expectedExitCode) => {
    const cwd = await temporaryFolder();
    await writeFile(join(cwd, "mine.yaml"), text);
    const { exitCode, stderr } = await runCli({ argv: ["convert", model, "--recipe", "mine.yaml"], cwd });
    expect(stderr).toContain("mine.yaml: ");
    expect(stderr).toContain(expected);
    expect(exitCode).toBe(expectedExitCode);
    expect(await readdir(cwd)).toEqual(["mine.yaml"]);
  });

  it("groups that do not divide the inputs, unless the recipe says what becomes of such layers", async () => {
    const cwd = await temporaryFolder();
    const argv = ["convert", model, "--recipe", "mine.yaml", "-o", "out", "-j", "0"];
    const recipe = "extends: w4a16-rtn\nparameters: { groupSize: 96 }\n";
    await writeFile(join(cwd, "mine.yaml"), recipe);
    const refused = await runCli({ argv, cwd });
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain("256 inputs do not divide into groups of 96");
    expect(refused.stderr).toMatch(/fits in groups of 256, 128, 64, 32, 16, or one scale for each output/);
    expect(refused.stderr).toContain('"unfit: keep" or "unfit: channel"');
    await writeFile(join(cwd, "mine.yaml"), `${recipe}unfit: channel\n`);
    const { exitCode, stderr } = await runCli({ argv, cwd });
    expect(exitCode).toBe(0);
    expect(stderr).toContain("layers have one scale for each output");
    expect((await configOf(join(cwd, "out"))).quantization_config).toMatchObject({
      config_groups: { group_0: { weights: { strategy: "channel" } } },
    });
  });

  it("to quantize an output that is the embedding, and says so", async () => {
    const cwd = await temporaryFolder();
    await writeFile(join(cwd, "mine.yaml"), "extends: w4a16-rtn\nrules: [{ roles: [output] }]\n");
    const { exitCode, stderr } = await runCli({
      argv: ["convert", model, "--recipe", "mine.yaml", "--dry-run"],
      cwd,
    });
    expect(exitCode).toBe(0);
    expect(stderr).toContain('whose output is its embedding "model.embed_tokens.weight"');
  });

  it("statistics with a number that is none, with file and tensor", async () => {
    const cwd = await temporaryFolder();
    const bytes = await readFile(statistics);
    const { tensors } = await readSafetensors(bytesSource({ bytes, name: "statistics" }));
    const [name, { offset }] = [...tensors].find(
      ([key]) => key.includes("blk.1.ffn_down") && key.endsWith("hessian"),
    )!;
    bytes.writeFloatLE(Number.NaN, offset);
    await writeFile(join(cwd, "bad.safetensors"), bytes);
    const { exitCode, stderr } = await runCli({
      argv: ["convert", model, "--to", "gptq", "--statistics", "bad.safetensors", "-o", "out", ...fast],
      cwd,
    });
    expect(exitCode).toBe(3);
    expect(stderr).toContain("STATISTICS_INVALID");
    expect(stderr).toContain(name);
    expect(stderr).toContain("bad.safetensors");
    expect(await readdir(cwd)).not.toContain("out");
  });

  it("and says by which command statistics are made", async () => {
    const cwd = await temporaryFolder();
    const { stderr } = await runCli({
      argv: ["convert", model, "--recipe", "fp8-static", "--data", "a b.txt", "c.txt:2"],
      cwd,
    });
    expect(stderr).toContain(
      `run quern calibrate ${model} --data 'a b.txt' c.txt:2 --no-hessians -o checkpoint-statistics.safetensors, ` +
        "then the same command with --statistics checkpoint-statistics.safetensors",
    );
  });

  it("a GGUF file as source of a checkpoint", async () => {
    const cwd = await temporaryFolder();
    await mkdir(join(cwd, "gguf"));
    await runCli({ argv: ["convert", model, "-t", "Q8_0", "-o", "gguf", ...fast], cwd });
    const [name] = await readdir(join(cwd, "gguf"));
    const { exitCode, stderr } = await runCli({ argv: ["convert", join("gguf", name!), "--to", "bnb"], cwd });
    expect(stderr).toContain("CHECKPOINT_NOT_A_FOLDER");
    expect(exitCode).toBe(3);
  });
});
