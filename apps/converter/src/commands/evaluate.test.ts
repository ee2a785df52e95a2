import { readFileSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EvaluationReport } from "@quern/evaluation";
import { describe, expect, it } from "vitest";
import { demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const text = repositoryPath("fixtures/evaluation/text.txt");

/** Results of `llama-perplexity --kl-divergence`; see fixtures/evaluation/README.md. Shares are in percent. */
interface RecordedDivergence {
  readonly type: string;
  readonly imatrix?: string;
  readonly context: number;
  readonly weights: "stored" | "dequantized";
  readonly perplexity: number;
  readonly perplexityError: number;
  readonly basePerplexity: number;
  readonly correlation: number;
  readonly logRatio: number;
  readonly logRatioError: number;
  readonly ratioError: number;
  readonly differenceError: number;
  readonly kld: Readonly<Record<string, number>>;
  readonly deltaP: Readonly<Record<string, number>>;
  readonly rmsDeltaP: number;
  readonly rmsDeltaPError: number;
  readonly sameTop: number;
  readonly sameTopError: number;
}

const { divergences } = JSON.parse(
  readFileSync(repositoryPath("fixtures/evaluation/llama-perplexity.json"), "utf8"),
) as { divergences: readonly RecordedDivergence[] };

function recorded(type: string, weights: RecordedDivergence["weights"]): RecordedDivergence {
  return divergences.find(
    (entry) => entry.type === type && entry.weights === weights && entry.context === 256,
  )!;
}

const arguments_ = ["--data", text, "-c", "256", "-j", "0", "--json"];

/** The demo model in a type, in a folder of its own. */
async function convertDemo(type: string): Promise<string> {
  const path = join(await temporaryFolder(), `${type}.gguf`);
  const { exitCode } = await runCli({
    argv: ["convert", demoCheckpoint, "-t", type, "-o", path, "-q", "-j", "0"],
  });
  expect(exitCode).toBe(0);
  return path;
}

async function evaluateDemo(argv: readonly string[]): Promise<EvaluationReport> {
  const { exitCode, host, stderr } = await runCli({ argv: ["eval", ...argv, ...arguments_] });
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  return host.records.at(-1) as unknown as EvaluationReport;
}

describe("quern eval", () => {
  it.each(["Q8_0", "Q4_K_M", "Q2_K"])(
    "finds what llama-perplexity finds in dequantized weights, and in stored ones within errors: %s",
    async (type) => {
      const file = await convertDemo(type);
      const { total } = await evaluateDemo([file, "--against", demoCheckpoint]);
      const { perplexity, comparison } = total;
      const { divergence, deltaP, agreement } = comparison!;
      const expected = recorded(type, "dequantized");

      // llama-perplexity keeps the reference in 16 bits, which shows in the sixth digit.
      expect(perplexity.value).toBeCloseTo(expected.perplexity, 3);
      expect(perplexity.error).toBeCloseTo(expected.perplexityError, 4);
      expect(comparison!.referencePerplexity.value).toBeCloseTo(expected.basePerplexity, 3);
      expect(100 * comparison!.correlation!).toBeCloseTo(expected.correlation, 1);
      expect(comparison!.logPerplexityRatio.value).toBeCloseTo(expected.logRatio, 5);
      expect(comparison!.logPerplexityRatio.error).toBeCloseTo(expected.logRatioError, 5);
      expect(comparison!.perplexityRatio.error).toBeCloseTo(expected.ratioError, 5);
      expect(comparison!.perplexityDifference.error).toBeCloseTo(expected.differenceError, 4);
      const percentile = (list: typeof divergence.percentiles, percent: number): number =>
        list.find((entry) => entry.percent === percent)!.value;
      expect(Math.abs(divergence.mean.value - expected.kld["mean"]!)).toBeLessThan(2e-6);
      expect(divergence.mean.error).toBeCloseTo(expected.kld["meanError"]!, 5);
      expect(divergence.median).toBeCloseTo(expected.kld["median"]!, 4);
      expect(divergence.maximum).toBeCloseTo(expected.kld["maximum"]!, 3);
      for (const percent of [99.9, 99, 95, 90, 10, 5, 1]) {
        expect(percentile(divergence.percentiles, percent)).toBeCloseTo(expected.kld[`p${percent}`]!, 3);
      }
      expect(100 * deltaP.mean.value).toBeCloseTo(expected.deltaP["mean"]!, 2);
      expect(100 * deltaP.mean.error).toBeCloseTo(expected.deltaP["meanError"]!, 2);
      for (const percent of [99.9, 95, 75, 25, 5, 0.1]) {
        expect(100 * percentile(deltaP.percentiles, percent)).toBeCloseTo(expected.deltaP[`p${percent}`]!, 1);
      }
      expect(100 * deltaP.rootMeanSquare.value).toBeCloseTo(expected.rmsDeltaP, 2);
      expect(100 * deltaP.rootMeanSquare.error).toBeCloseTo(expected.rmsDeltaPError, 2);
      expect(100 * agreement.value).toBeCloseTo(expected.sameTop, 1);
      expect(100 * agreement.error).toBeCloseTo(expected.sameTopError, 2);

      // With weights as they are stored, llama.cpp rounds activations as well, which costs more.
      const stored = recorded(type, "stored");
      expect(Math.abs(perplexity.value - stored.perplexity)).toBeLessThan(perplexity.error);
      expect(divergence.mean.value).toBeLessThan(stored.kld["mean"]!);
    },
  );

  it("shows a table, and writes the report", async () => {
    const folder = await temporaryFolder();
    const output = join(folder, "report.html");
    const { exitCode, stdout, stderr } = await runCli({
      argv: [
        "eval",
        demoCheckpoint,
        "--data",
        text,
        "-c",
        "256",
        "--windows",
        "4",
        "-j",
        "0",
        "--report",
        output,
      ],
    });
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/tokens +1,024 in 4 windows of 256, 508 scored/);
    expect(stderr).toMatch(/evaluating 1,024 tokens/);
    expect(stdout).toMatch(/^Text +Scored +PPL *$/m);
    expect(stdout).toMatch(/^text\.txt +508 +\d+\.\d{4} ± \d\.\d{4}$/m);
    const figures = await readFile(join(folder, "report.json"), "utf8");
    const { evaluation: report } = JSON.parse(figures) as { evaluation: EvaluationReport };
    expect(report).toMatchObject({
      format: "quern-evaluation",
      model: { name: "quern-demo", types: [{ type: "BF16" }] },
      corpus: { windows: 4, positions: 508, score: "half", context: 256 },
      total: { name: "all", positions: 508 },
    });
    const again = await runCli({ argv: ["eval", demoCheckpoint, "--data", text, "--report", output] });
    expect(again.exitCode).toBe(4);
    expect(again.stderr).toContain("OUTPUT_EXISTS");
    expect((await readdir(folder)).sort()).toEqual(["report.html", "report.json"]);
    expect(await readFile(output, "utf8")).toMatch(/Perplexity[^]*resamples of windows/);
  });

  it("compares with a saved reference", async () => {
    const file = await convertDemo("Q4_0");
    const reference = join(await temporaryFolder(), "reference.safetensors");
    const few = ["--windows", "6"];
    await evaluateDemo([demoCheckpoint, "--save-reference", reference, "--likeliest", "256", ...few]);
    const exact = await evaluateDemo([file, "--against", demoCheckpoint, ...few]);
    const { exitCode, host, stdout, stderr } = await runCli({
      argv: ["eval", file, "--against", reference, "-j", "0", "--json"],
    });
    expect([exitCode, stderr]).toEqual([0, ""]);
    const found = host.records.at(-1) as unknown as EvaluationReport;
    expect(found.corpus.hash).toBe(exact.corpus.hash);
    const [mean, exactMean] = [found, exact].map(({ total }) => total.comparison!.divergence.mean.value);
    expect(Math.abs(mean! / exactMean! - 1)).toBeLessThan(0.01);
    const [low, high] = found.total.comparison!.divergence.bounds!;
    expect(low).toBeLessThan(exactMean!);
    expect(high).toBeGreaterThan(exactMean!);
    expect(stdout).toContain('"likeliest":256');

    const table = await runCli({ argv: ["eval", file, "--against", reference, "-j", "0", "-q"] });
    expect(table.stdout).toMatch(
      /^estimate +by the 256 most likely tokens; the exact KLD is from 0\.\d+ to \d\.\d+$/m,
    );
    const other = await runCli({ argv: ["eval", file, "--against", reference, "--data", text, "-j", "0"] });
    expect(other.exitCode).toBe(3);
    expect(other.stderr).toContain("EVALUATION_REFERENCE_MISMATCH");
  });

  it("quantizes inputs as the runtimes of a checkpoint do", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "w8a8");
    const { exitCode } = await runCli({
      argv: ["convert", demoCheckpoint, "--recipe", "w8a8", "-o", path, "-q", "-j", "0"],
    });
    expect(exitCode).toBe(0);
    const few = ["--against", demoCheckpoint, "--windows", "4"];
    const found = await evaluateDemo([path, ...few]);
    expect(found.model.quantizedInputs).toEqual([{ type: "I8", layers: 28 }]);
    expect(found.reference).not.toHaveProperty("quantizedInputs");

    const file = join(path, "config.json");
    const config = await readFile(file, "utf8");
    const changed = JSON.parse(config) as {
      quantization_config: { config_groups: { group_0: { input_activations: unknown } } };
    };
    changed.quantization_config.config_groups.group_0.input_activations = null;
    await writeFile(file, JSON.stringify(changed));
    const weights = await evaluateDemo([path, ...few]);
    expect(weights.model).not.toHaveProperty("quantizedInputs");
    const [all, alone] = [found, weights].map(({ total }) => total.comparison!.divergence.mean.value);
    expect(alone).toBeGreaterThan(0);
    expect(all).toBeGreaterThan(2 * alone!);

    const { stdout } = await runCli({ argv: ["eval", demoCheckpoint, "--against", path, "-n"] });
    expect(stdout).not.toContain("inputs of");
    await writeFile(file, config);
    const plan = await runCli({ argv: ["eval", path, "-n"] });
    expect(plan.stdout).toMatch(/ bits each \(I8, BF16\) · inputs of 28 layers as I8$/m);
  });

  it("takes the bundled texts, each a domain, and plans without running", async () => {
    const { exitCode, host } = await runCli({
      argv: ["eval", demoCheckpoint, "--score", "all", "--dry-run", "--json"],
    });
    expect(exitCode).toBe(0);
    expect(host.records).toHaveLength(1);
    expect(host.records[0]).toMatchObject({
      type: "plan",
      corpus: { domains: ["prose.txt", "reference.txt", "code.txt"], context: 512, score: "all" },
      warnings: [],
    });
    const { stdout } = await runCli({ argv: ["eval", demoCheckpoint, "--against", demoCheckpoint, "-n"] });
    expect(stdout).toMatch(
      /^ +against +quern-demo · llama · 2\.89M parameters · 16\.00 bits each \(BF16\)$/m,
    );
    expect(stdout).toMatch(/^ +texts +prose\.txt, reference\.txt, code\.txt$/m);
  });

  it.each([
    [
      ["eval", demoCheckpoint, "--against", repositoryPath("fixtures/golden/llama2-spm/checkpoint")],
      3,
      "EVALUATION_VOCABULARY_MISMATCH",
    ],
    [
      ["eval", demoCheckpoint, "--against", repositoryPath("examples/quern-demo/model.safetensors")],
      3,
      "EVALUATION_REFERENCE_INVALID",
    ],
    [["eval", demoCheckpoint, "--against", "none"], 3, "CHECKPOINT_NOT_FOUND"],
    [["eval", "missing.gguf"], 3, "missing.gguf: no such file or folder"],
    [["eval", repositoryPath("fixtures/golden/bert/checkpoint")], 3, "EVALUATION_NO_LOGITS"],
    [["eval", demoCheckpoint, "--data", "none.txt"], 3, "SOURCE_NOT_FOUND"],
    [["eval", demoCheckpoint, "-c", "2"], 2, "EVALUATION_OPTION_INVALID"],
    [["eval", demoCheckpoint, "-c", "1000000"], 3, "CORPUS_TOO_SHORT"],
    [["eval", demoCheckpoint, "-m", "1MB"], 2, "EVALUATION_MEMORY"],
    [["eval", demoCheckpoint, "--score", "third"], 2, "Allowed choices are half, all"],
    [["eval", demoCheckpoint, "--windows", "1", "--chunks", "1"], 2, "cannot be used with"],
    [
      ["eval", demoCheckpoint, "--against", demoCheckpoint, "--save-reference", "x"],
      2,
      "cannot be used with",
    ],
  ])("refuses %j", async (argv, expected, message) => {
    const { exitCode, stderr, stdout } = await runCli({ argv });
    expect(stderr).toContain(message);
    expect(stdout).toBe("");
    expect(exitCode).toBe(expected);
  });
});
