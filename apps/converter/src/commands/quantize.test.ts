// @module-tag kernels

import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CliRun, repositoryPath, runCli } from "../testing/run-cli.ts";

interface QuantizeCommand {
  readonly model: string;
  readonly command: string;
  readonly output?: string;
  readonly size?: number;
  readonly sha256?: string;
  readonly refused?: true;
}

const commands = JSON.parse(
  await readFile(repositoryPath("fixtures/quantize/commands.json"), "utf8"),
) as QuantizeCommand[];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "quantize-"));
  for (const model of ["llama2-spm", "mixtral"]) {
    const golden = repositoryPath(`fixtures/golden/${model}`);
    const cwd = join(root, model);
    await mkdir(cwd);
    await copyFile(join(golden, "imatrix.gguf"), join(cwd, "imatrix.gguf"));
    await writeFile(join(cwd, "types.txt"), "ffn_down=q6_k   attn_v=q8_0\n\tblk.1.attn_k=q5_1\n");
    await runCli({
      argv: ["imatrix", "merge", "imatrix.gguf", "-o", "imatrix.dat", "--chunk-size", "512"],
      cwd,
    });
    const checkpoint = join(golden, "checkpoint");
    await runCli({ argv: ["convert", checkpoint, "-t", "BF16", "-o", "model.gguf"], cwd });
  }
});
afterAll(() => rm(root, { recursive: true }));

/** Runs `quern quantize` beside a model. */
async function quantize(words: readonly string[], model = "llama2-spm"): Promise<CliRun> {
  return runCli({ argv: ["quantize", ...words, "--threads", "0"], cwd: join(root, model) });
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256").update(await readFile(path));
  return hash.digest("hex");
}

describe("command lines of llama-quantize", () => {
  it("are many", () => {
    expect(commands.length).toBeGreaterThan(40);
  });

  it.each(commands.filter(({ refused }) => refused === undefined))(
    "$model: $command",
    async ({ model, command, output = "out.gguf", sha256 }) => {
      const path = join(root, model, output);
      await rm(path, { force: true });
      const { exitCode } = await quantize(command.split(" "), model);
      expect(exitCode).toBe(0);
      expect(await hashOf(path)).toBe(sha256);
      await rm(path);
    },
  );

  it.each(commands.filter(({ refused }) => refused))("$command is refused", async ({ model, command }) => {
    const { exitCode, stderr } = await quantize(command.split(" "), model);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^error: /);
    expect(await readdir(join(root, model))).not.toContain("out.gguf");
  });
});

describe("quern quantize", () => {
  it("takes a checkpoint, and writes what the two steps would", async () => {
    const golden = commands.find(({ command }) => command === "model.gguf out.gguf Q4_K_M");
    const checkpoint = repositoryPath("fixtures/golden/llama2-spm/checkpoint");
    const { exitCode } = await quantize([checkpoint, "folder/", "q4_k_m", "1"]);
    expect(exitCode).toBe(0);
    const files = await readdir(join(root, "llama2-spm", "folder")).catch(() => []);
    expect(files).toEqual(["ggml-model-Q4_K_M.gguf"]);
    expect(await hashOf(join(root, "llama2-spm", "folder", files[0]!))).toBe(golden?.sha256);
  });

  it("shows the plan, and writes nothing", async () => {
    const { exitCode, stdout, stderr } = await quantize(["model.gguf", "Q4_K_M", "-n"]);
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ {2}output\.weight +256 x 480 +BF16 +Q6_K +100,800$/m);
    expect(await readdir(join(root, "llama2-spm"))).not.toContain("ggml-model-Q4_K_M.gguf");
  });

  it("replaces nothing unless forced, least of all the model", async () => {
    const path = join(root, "llama2-spm", "there.gguf");
    await writeFile(path, "precious");
    const refused = await quantize(["model.gguf", "there.gguf", "Q8_0"]);
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).toContain("--force");
    expect(await readFile(path, "utf8")).toBe("precious");
    const itself = await quantize(["model.gguf", "model.gguf", "Q8_0", "--force"]);
    expect(itself.stderr).toContain("OUTPUT_IS_SOURCE");
    expect(itself.exitCode).toBe(4);
  });

  it("names every tensor that cannot do without importance", async () => {
    const { exitCode, stderr } = await quantize(["model.gguf", "Q2_K_S", "-n"]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("14 tensors need them: blk.0.attn_k.weight (Q2_K), ");
    expect(stderr).toContain("and 6 more");
    expect(stderr).toContain("Pass --imatrix");
  });

  it.each([
    [["--tensor-type", "ffn_gate_x=q8_0"], "the rule ffn_gate_x=Q8_0 matches no tensor of the model"],
    [
      ["--tensor-type", "attn_norm=q8_0"],
      "attn_norm=Q8_0 changes nothing: it matches only what is not quantized: blk.0.attn_norm.weight, blk.1",
    ],
    [
      ["--tensor-type", "ffn=q8_0", "--tensor-type", "ffn_up=q6_k"],
      "ffn_up=Q6_K changes nothing: rules before it match blk.0.ffn_up.weight, blk.1.ffn_up.weight first",
    ],
    [
      ["--tensor-type", "^output\\.=q8_0", "--output-tensor-type", "q6_k"],
      "changes nothing: another option gives the type of output.weight",
    ],
    [
      ["--tensor-type", "^output\\.=q8_0", "--leave-output-tensor"],
      "changes nothing: it matches only what is not quantized: output.weight",
    ],
    [["--imatrix", "imatrix.gguf", "--exclude-weights", "."], "all 15 entries are left out"],
    [["--imatrix", "../mixtral/imatrix.gguf"], "6 of 15 entries belong to no tensor of the model"],
    [["--imatrix", "../mixtral/imatrix.gguf"], "no weights for 6 of 16 tensors that are quantized"],
    [
      ["--imatrix", "../mixtral/imatrix.gguf"],
      "nothing was counted for some matrices, whose weights are all 1",
    ],
  ])("warns of %j", async (options, message) => {
    const { exitCode, stderr } = await quantize(["model.gguf", "Q4_K_M", "-n", ...options]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(message);
  });

  it("says nothing about tensors that were left out on purpose", async () => {
    const words = ["model.gguf", "Q4_K_M", "-n", "--imatrix", "imatrix.gguf", "--exclude-weights", "ffn"];
    const { stderr } = await quantize(words);
    expect(stderr).not.toContain("no weights for");
  });

  it("reports the importance matrix as JSON", async () => {
    const { host } = await quantize(["model.gguf", "Q8_0", "-n", "--json", "--imatrix", "imatrix.gguf"]);
    expect(host.records[0]).toMatchObject({
      importance: { file: "imatrix.gguf", datasets: ["golden.txt"], chunks: 4, leftOut: [] },
    });
  });

  it.each([
    [[], "missing required argument"],
    [["model.gguf"], "Name a model and a type"],
    [["model.gguf", "Q4_KM"], "did you mean Q4_K_M? If it is the file to write, a type comes after it."],
    [["model.gguf", "out.gguf"], '"quern types" lists them'],
    [["model.gguf", "out.gguf", "99"], 'no type "99"'],
    [["model.gguf", "7b.gguf", "8b"], 'no type "8b"'],
    [["model.gguf", "Q8_0", "many"], '"many" is no number of threads'],
    [["model.gguf", "out.gguf", "Q8_0", "1", "2"], "Nothing comes after the number of threads"],
    [["model.gguf", "Q8_0", "--output-tensr-type", "Q8_0"], "Did you mean --output-tensor-type?"],
    [["model.gguf", "Q8_0", "--output-tensor-type", "Q4_K_M"], "Did you mean Q4_K?"],
    [["model.gguf", "Q8_0", "--tensor-type-file", "none.txt"], "The file cannot be read"],
    [["model.gguf", "Q8_0", "--tensor-type-file", "model.gguf"], "Write PATTERN=TYPE"],
    [["model.gguf", "Q8_0", "--override-kv", "a=int:-1"], "there is --metadata"],
    [["model.gguf", "Q8_0", "--override-kv", "a=int:1x"], "is no int"],
    [["model.gguf", "Q8_0", "--override-kv", "a=float:"], "is no float"],
    [["model.gguf", "Q8_0", "--override-kv", "a=uint8:1"], "there are int, float, bool, str"],
    [["model.gguf", "Q8_0", "--override-kv", `a=str:${"x".repeat(128)}`], "more than 127 bytes"],
    [["model.gguf", "Q8_0", "--override-kv", `${"k".repeat(128)}=int:1`], "Write KEY=TYPE:VALUE"],
    [["model.gguf", "Q8_0", "--prune-layers", "1,x"], "Write a whole number"],
    [["model.gguf", "Q8_0", "--prune-layers", "7"], "RECIPE_PRUNE_LAYERS"],
    [["model.gguf", "Q8_0", "--max-buffer-size", "0"], "above 0"],
    [["model.gguf", "Q8_0", "--max-buffer-size", "9", "--memory", "9MB"], "cannot be used with option"],
    [["model.gguf", "Q8_0", "--include-weights", "a"], "--imatrix"],
    [["model.gguf", "Q8_0", "--intermediate", "f16"], "RECIPE_OPTION"],
  ])("refuses %j", async (words, message) => {
    const { exitCode, stderr } = await quantize([...words, "-n"]);
    expect(stderr).toContain(message);
    expect(exitCode).toBe(2);
  });
});
