import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type GgufValue,
  ggufArray,
  ggufFloat32,
  ggufString,
  ggufUint64,
  planGguf,
  planGgufSplits,
  splitFileName,
} from "@quern/gguf";
import { describe, expect, it } from "vitest";
import { demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const imatrix = repositoryPath("fixtures/golden/qwen3/imatrix.gguf");

/** A GGUF file with one small tensor and the given metadata. */
async function writeGguf(entries: ReadonlyArray<readonly [string, GgufValue]>): Promise<string> {
  const { header, fileSize } = planGguf({
    metadata: new Map(entries),
    tensors: [{ name: "token_embd.weight", type: "Q8_0", ne: [64, 16] }],
  });
  const bytes = new Uint8Array(fileSize);
  bytes.set(header);
  const path = join(await temporaryFolder(), "small.gguf");
  await writeFile(path, bytes);
  return path;
}

describe("quern inspect", () => {
  it("shows a GGUF file", async () => {
    const path = await writeGguf([
      ["general.architecture", ggufString("llama")],
      ["llama.attention.layer_norm_rms_epsilon", ggufFloat32(1e-5)],
      ["tokenizer.ggml.tokens", ggufArray("string", ["a", "b", "c", "d", "e", "f", "g", "h"])],
      ["general.description", ggufString("x".repeat(500))],
      ["general.count", ggufUint64(2n ** 60n)],
    ]);
    const { exitCode, stdout, stderr } = await runCli({ argv: ["inspect", path] });
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^format +gguf\nfile +small\.gguf \([12]\.\d+ kB\)\nversion +3\nalignment +32 bytes\n/,
    );
    expect(stdout).toMatch(/^parameters +1\.02K \(1,024\)\nweights +1\.09 kB, 8\.50 bits each$/m);
    expect(stdout).toMatch(/^ {2}llama\.attention\.layer_norm_rms_epsilon +float32 +0\.00001$/m);
    expect(stdout).toMatch(/^ {2}tokenizer\.ggml\.tokens +string\[8\] +\["a","b","c","d","e","f", …\]$/m);
    expect(stdout).toMatch(/^ {2}general\.description +string +x{71}…$/m);
    expect(stdout).toMatch(/^ {2}general\.count +uint64 +1152921504606846976$/m);
    expect(stdout).toMatch(/^ {2}token_embd\.weight +Q8_0 +64 x 16 +1,088$/m);
    expect(stdout).toMatch(/^ {2}Q8_0 +1 +1,024 +1,088 +100% +8\.50$/m);
  });

  it("shows everything with --full", async () => {
    const path = await writeGguf([
      ["general.description", ggufString("x".repeat(500))],
      [
        "some.numbers",
        ggufArray(
          "uint32",
          Array.from({ length: 100 }, (_, index) => index),
        ),
      ],
    ]);
    const { stdout } = await runCli({ argv: ["inspect", path, "--full"] });
    expect(stdout).toContain("x".repeat(500));
    expect(stdout).toContain("97,98,99]");
  });

  it("gives JSON", async () => {
    const { exitCode, host } = await runCli({ argv: ["inspect", imatrix, "--json"] });
    expect(exitCode).toBe(0);
    expect(host.records).toHaveLength(1);
    expect(host.records[0]).toMatchObject({
      format: "gguf",
      files: [{ name: "imatrix.gguf" }],
      metadata: expect.arrayContaining([
        { key: "imatrix.datasets", type: "string", length: expect.any(Number), value: expect.any(Array) },
      ]),
      types: [{ type: "F32" }],
    });
  });

  it("shows a safetensors file", async () => {
    const { exitCode, stdout } = await runCli({
      argv: ["inspect", join(demoCheckpoint, "model.safetensors")],
    });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^format +safetensors$/m);
    expect(stdout).toMatch(/^parameters +2\.89M \(2,885,888\)$/m);
    expect(stdout).toMatch(/^ {2}model\.embed_tokens\.weight +BF16 +2048 x 256 +1,048,576$/m);
    expect(stdout).toMatch(/^ {2}BF16 +38 +2,885,888 +5,771,776 +100% +16\.00$/m);
  });

  it("counts the weights that a quantized checkpoint stands for", async () => {
    const output = join(await temporaryFolder(), "quantized");
    for (const container of ["mlx", "bnb"]) {
      const made = await runCli({
        argv: ["convert", demoCheckpoint, "--to", container, "-o", output, "-q", "-f"],
      });
      expect(made.exitCode).toBe(0);
      const { stdout } = await runCli({ argv: ["inspect", output] });
      expect(stdout).toMatch(/^quantized +(mlx|bitsandbytes)$/m);
      expect(stdout).toMatch(/^parameters +2\.89M \(2,885,888\)$/m);
      expect(stdout).toMatch(/^weights +2\.\d\d MB, 6\.\d\d bits each$/m);
    }
  });

  it("shows a checkpoint of several files with its config", async () => {
    const checkpoint = repositoryPath("fixtures/golden/llama31-bpe/checkpoint");
    const { exitCode, stdout } = await runCli({ argv: ["inspect", checkpoint] });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^format +checkpoint$/m);
    expect(stdout).toMatch(/^as GGUF +llama$/m);
    expect(stdout.match(/^file +model-0000\d-of-00003\.safetensors/gm)).toHaveLength(3);
    expect(stdout).toMatch(/^ {2}architectures +array\[1\] +\["LlamaForCausalLM"\]$/m);
  });

  it("says why a checkpoint cannot be converted", async () => {
    const checkpoint = join(await temporaryFolder(), "model");
    await cp(demoCheckpoint, checkpoint, { recursive: true });
    await rm(join(checkpoint, "tokenizer.json"));
    const { exitCode, stdout } = await runCli({ argv: ["inspect", checkpoint] });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^as GGUF +cannot be converted: .*tokenizer/m);
  });

  it("finds all files of a split set from any of them", async () => {
    const prefix = join(await temporaryFolder(), "model");
    const layouts = planGgufSplits({
      metadata: new Map<string, GgufValue>([["general.name", ggufString("split")]]),
      tensors: ["a", "b", "c"].map((name) => ({ name, type: "F32", ne: [32] })),
      division: { maxTensors: 1 },
    });
    for (const [index, { header, fileSize }] of layouts.entries()) {
      const bytes = new Uint8Array(fileSize);
      bytes.set(header);
      await writeFile(splitFileName({ prefix, index, count: layouts.length }), bytes);
    }
    const { exitCode, stdout } = await runCli({ argv: ["inspect", `${prefix}-00002-of-00003.gguf`] });
    expect(exitCode).toBe(0);
    expect(stdout.match(/^file +model-0000[123]-of-00003\.gguf/gm)).toHaveLength(3);
    expect(stdout).toMatch(/^ {2}F32 +3 +96 +384 +100% +32\.00$/m);
  });

  it("never sends control characters of a file to the terminal", async () => {
    const path = await writeGguf([["general.name", ggufString("\u001b]0;owned\u0007\u001b[2Jname")]]);
    const { stdout } = await runCli({
      argv: ["inspect", path, "--full"],
      terminal: true,
      env: { NO_COLOR: "1" },
    });
    expect(stdout).toContain("\\u{1b}]0;owned\\u{7}\\u{1b}[2Jname");
    expect(stdout).not.toContain("\u001b");
  });
});

async function broken(name: string, bytes: string | Uint8Array): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, bytes);
  return path;
}

describe("quern inspect on broken files", () => {
  it.each([
    ["nothing at all", "empty.gguf", "", "GGUF_"],
    ["nothing at all, of no known name", "empty", "", "SOURCE_UNKNOWN_FORMAT"],
    ["nothing at all under the name of safetensors", "empty.safetensors", "", "SAFETENSORS_TRUNCATED"],
    ["something else under the name of a GGUF file", "other.gguf", "<html>not found</html>", "GGUF_NOT_GGUF"],
    ["text", "readme.md", "Hello, this is a text file, not a model.", "SOURCE_UNKNOWN_FORMAT"],
    ["no more than the magic", "magic.gguf", "GGUF", "GGUF_TRUNCATED"],
    [
      "another version",
      "version.gguf",
      "GGUF\u0009\0\0\0aaaaaaaaaaaaaaaaaaaaaaaa",
      "GGUF_VERSION_UNSUPPORTED",
    ],
    [
      "counts beyond the file",
      "counts.gguf",
      Uint8Array.from([71, 71, 85, 70, 3, 0, 0, 0, ...Array<number>(16).fill(0x7f)]),
      "GGUF_TRUNCATED",
    ],
  ])("%s", async (_what, name, bytes, code) => {
    const path = await broken(name, bytes);
    const { exitCode, stdout, stderr } = await runCli({ argv: ["inspect", path] });
    expect(stdout).toBe("");
    expect(stderr).toContain(name);
    expect(stderr).toMatch(new RegExp(`^ {2}code +${code}`, "m"));
    expect(exitCode).toBe(3);
  });

  it("refuses a GGUF file that is cut short, wherever that is", async () => {
    const bytes = await readFile(await writeGguf([["general.architecture", ggufString("llama")]]));
    for (let length = 0; length < bytes.length; length += 13) {
      const path = await broken("cut.gguf", bytes.subarray(0, length));
      const { exitCode, stdout } = await runCli({ argv: ["inspect", path] });
      expect(stdout).toBe("");
      expect(exitCode).toBe(3);
    }
  });

  it("says that there is no such file", async () => {
    const { exitCode, stderr } = await runCli({ argv: ["inspect", "no-such-file.gguf"] });
    expect(stderr).toMatch(/error: .*no-such-file\.gguf/);
    expect(exitCode).toBe(3);
  });

  it("says what a folder lacks", async () => {
    const { exitCode, stderr } = await runCli({ argv: ["inspect", await temporaryFolder()] });
    expect(stderr).toContain("CHECKPOINT_");
    expect(exitCode).toBe(3);
  });
});
