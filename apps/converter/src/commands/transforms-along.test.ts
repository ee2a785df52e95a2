import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collectCalibrationWindows, planSequential, sequentialInputs } from "@quern/calibration";
import { openCheckpointDirectory, openGgufModel } from "@quern/checkpoints/node";
import { checkpointTokenizer } from "@quern/corpus";
import { openTextFiles } from "@quern/corpus/node";
import { openRunnable } from "@quern/inference";
import { openLayeredModel, planCheckpoint, writeCheckpoint } from "@quern/pipeline/layers";
import { resolveRecipe } from "@quern/recipes";
import { parseRecipe } from "@quern/recipes/file";
import { beforeAll, describe, expect, it } from "vitest";
import { demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const tiny = repositoryPath("fixtures/golden/llama2-spm/checkpoint");
// Enough that some windows are kept apart.
const texts = ["--data", join(demoCheckpoint, "tokenizer.json"), "--tokens", "5632"];

const RECIPE = `name: awq-and-gptq
format: gptq
parameters: { bits: 4, groupSize: 32, symmetric: true }
transforms: [{ name: awq, options: { steps: 4 } }]
rounding: { name: gptq }
`;

async function run(cwd: string, argv: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runCli({ argv: [...argv, "-q"], cwd });
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

let statistics: string;
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "quern-"));
  statistics = join(folder, "statistics.safetensors");
  await runCli({ argv: ["calibrate", tiny, ...texts, "-o", statistics, "-j", "0", "-q"] });
  return () => rm(folder, { recursive: true });
});

describe("quern convert with transforms and --sequential", () => {
  it("writes checkpoints, with the same bytes for any threads", async () => {
    const cwd = await temporaryFolder();
    await writeFile(join(cwd, "recipe.yaml"), RECIPE);
    const argv = ["convert", tiny, "--recipe", "recipe.yaml"];
    for (const threads of ["1", "2"]) {
      const stdout = await run(cwd, [
        ...argv,
        "--sequential",
        ...texts,
        "-j",
        threads,
        "-o",
        `along${threads}`,
      ]);
      expect(stdout).toMatch(/^layers +14 quantized/m);
      expect(stdout).toMatch(/^outputs +[\d.]+% error on held-out inputs/m);
    }
    const [one, two] = await Promise.all(
      ["along1", "along2"].map((name) => readFile(join(cwd, name, "model.safetensors"))),
    );
    expect(one!.equals(two!)).toBe(true);
    await run(cwd, [...argv, "--statistics", statistics, "-j", "0", "-o", "once"]);
    const [along, once] = await Promise.all(
      ["along1", "once"].map((name) => openCheckpointDirectory(join(cwd, name))),
    );
    // The inputs of the first block are those of the model as it was, those of the second what the first has made of them.
    for (const [block, isSame] of [
      [0, true],
      [1, false],
    ] as const) {
      const name = `model.layers.${block}.input_layernorm.weight`;
      const [a, b] = await Promise.all([along!, once!].map((model) => model.readTensor(name)));
      expect(Buffer.from(a!).equals(Buffer.from(b!)), name).toBe(isSame);
    }
    expect(await run(cwd, ["verify", "along1", "--source", tiny])).toContain("along with its quantization");
  });

  it("writes GGUF, with the same bytes for any threads", async () => {
    const cwd = await temporaryFolder();
    const argv = ["convert", tiny, "-t", "Q4_0", "--rounding", "gptq", "--transform", "awq"];
    for (const threads of ["1", "2"]) {
      await run(cwd, [...argv, "--sequential", ...texts, "-j", threads, "-o", `along${threads}.gguf`]);
    }
    const [one, two] = await Promise.all(
      ["along1", "along2"].map((name) => readFile(join(cwd, `${name}.gguf`))),
    );
    expect(one!.equals(two!)).toBe(true);
    await run(cwd, [...argv, "--statistics", statistics, "-j", "0", "-o", "once.gguf"]);
    const once = await readFile(join(cwd, "once.gguf"));
    const [model, other] = await Promise.all(
      ["along1", "once"].map((name) => openGgufModel(join(cwd, `${name}.gguf`))),
    );
    expect(model!.metadata.get("quern.rounding")).toEqual({ type: "string", value: "awq+gptq" });
    for (const [block, isSame] of [
      [0, true],
      [1, false],
    ] as const) {
      for (const name of [`blk.${block}.attn_norm.weight`, `blk.${block}.ffn_norm.weight`]) {
        const [a, b] = [[model!, one!] as const, [other!, once] as const].map(([{ tensors }, bytes]) => {
          const { offset, size } = tensors.get(name)!;
          return bytes.subarray(offset, offset + size);
        });
        expect(a!.equals(b!), name).toBe(isSame);
      }
    }
  });

  it("rotates checkpoints before they are run", async () => {
    const cwd = await temporaryFolder();
    await writeFile(
      join(cwd, "recipe.yaml"),
      RECIPE.replace(/^transforms.*$/m, "transforms: [{ name: hadamard }]"),
    );
    const argv = ["convert", tiny, "--recipe", "recipe.yaml", "--sequential", ...texts, "--json"];
    const stdout = await run(cwd, [...argv, "-j", "0", "-o", "rotated"]);
    const { layers } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as {
      layers: { module: string; outputError: { rounded: number } }[];
    };
    expect(layers.length).toBe(14);
    // With inputs that were not those of the rotated model, rounding for them would be worse than none.
    for (const { module, outputError } of layers) expect(outputError.rounded, module).toBeLessThan(0.1);
  });

  it("can compare inputs with those of the model as it was, which is changed alike", async () => {
    const cwd = await temporaryFolder();
    const source = await openCheckpointDirectory(tiny);
    const files = await openTextFiles({
      files: [{ path: join(demoCheckpoint, "tokenizer.json"), weight: 1 }],
    });
    const runnable = await openRunnable(source);
    const windows = await collectCalibrationWindows({
      model: runnable,
      sources: files.sources,
      tokenizer: await checkpointTokenizer(source.files),
      rule: { kind: "packed", length: 128 },
      tokens: 2048,
      holdOut: 4,
    });
    await files.close();
    const recipe = parseRecipe({
      text: RECIPE.replace("name: gptq }", "name: gptq, options: { shift: 0.25 } }"),
      file: "recipe.yaml",
    });
    const model = await openLayeredModel(source);
    const folds = { hessians: true };
    const weights: Buffer[] = [];
    for (const threads of [0, 2]) {
      const temporary = join(cwd, `run-${threads}`);
      const plan = await planSequential({ model: runnable, windows, cross: true, folds, temporary, threads });
      const inputs = sequentialInputs(plan);
      const { folder, layers } = await writeCheckpoint(
        await planCheckpoint({
          model,
          recipe: resolveRecipe(recipe, model.linears),
          recipeName: recipe.name,
          output: join(cwd, `output-${threads}`),
          tool: "tests:1",
          inputs,
          threads,
        }),
      );
      await inputs.close();
      expect(layers.length).toBe(14);
      for (const { module, outputError } of layers) {
        expect(outputError!.rounded, module).toBeLessThan(2 * outputError!.nearest!);
      }
      weights.push(await readFile(join(folder, "model.safetensors")));
    }
    expect(weights[0]!.equals(weights[1]!)).toBe(true);
  });

  it("runs recipes that compare inputs with those of the model as it was, and round the output layer", async () => {
    const cwd = await temporaryFolder();
    const shifted = RECIPE.replace("name: gptq }", "name: gptq, options: { shift: 0.25 } }");
    for (const [name, text] of [
      ["gptaq", `${shifted}rules: [{ roles: [output] }]\n`],
      ["gptq", `${RECIPE}rules: [{ roles: [output] }]\n`],
    ] as const) {
      await writeFile(join(cwd, `${name}.yaml`), text);
    }
    const argv = ["convert", tiny, "--sequential", ...texts, "-j", "1", "--json"];
    const results = await Promise.all(
      ["gptaq", "gptq"].map(async (name) => {
        const stdout = await run(cwd, [...argv, "--recipe", `${name}.yaml`, "-o", name]);
        const result = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as { layers: { module: string }[] };
        expect(result.layers.map(({ module }) => module)).toContain("lm_head");
        return readFile(join(cwd, name, "model.safetensors"));
      }),
    );
    expect(results[0]!.equals(results[1]!)).toBe(false);
  });

  it("still refuses to rotate GGUF", async () => {
    const cwd = await temporaryFolder();
    const { exitCode, stderr } = await runCli({
      argv: ["convert", tiny, "-t", "Q4_0", "--rounding", "gptq", "--transform", "hadamard", "--sequential"],
      cwd,
    });
    expect(exitCode).toBe(2);
    expect(stderr).toContain("Allowed choices are awq, smooth-quant");
  });
});
