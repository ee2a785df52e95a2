import { access, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openGgufModel } from "@quern/checkpoints/node";
import { loadKernels } from "@quern/kernels";
import type { Report } from "@quern/reports";
import { openStatistics } from "@quern/statistics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../testing/run-cli.ts";

const golden = (path: string): string =>
  fileURLToPath(new URL(`../../../../fixtures/golden/${path}`, import.meta.url));
const model = golden("mixtral/checkpoint");

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "report-"));
});
afterAll(() => rm(root, { recursive: true }));

const temporaryFolder = (): Promise<string> => mkdtemp(join(root, "case-"));
const readJson = async (path: string): Promise<Report> => JSON.parse(await readFile(path, "utf8")) as Report;

async function convert(out: string, ...more: string[]): ReturnType<typeof runCli> {
  return runCli({ argv: ["convert", model, "-o", `${out}/`, "--report", join(out, "report.html"), ...more] });
}

describe("convert --report", () => {
  it("writes a page and its figures", async () => {
    const out = await temporaryFolder();
    const { exitCode, stdout } = await convert(
      out,
      "-t",
      "Q4_K_M,Q8_0",
      "--imatrix",
      golden("mixtral/imatrix.gguf"),
      "--flavour",
      "quantizer",
    );
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`report   ${join(out, "report.html")}, ${join(out, "report.json")}`);
    const { format, version, conversion } = await readJson(join(out, "report.json"));
    expect({ format, version }).toEqual({ format: "quern-report", version: 1 });
    expect(conversion).toMatchObject({
      architecture: "llama",
      sourceTypes: ["BF16"],
      importance: { file: "imatrix.gguf" },
      settings: [{ name: "--flavour", value: "quantizer" }],
    });
    const [four, eight] = conversion!.outputs;
    expect(four!.errors!.relativeError).toBeGreaterThan(eight!.errors!.relativeError * 4);
    const query = four!.tensors.find(({ name }) => name === "blk.1.attn_q.weight")!;
    expect(query).toMatchObject({ layer: 1, role: "attn_q", from: "BF16", requantized: false });
    expect(query.errors!.output!.relativeError).toBeGreaterThan(0);
    const norm = four!.tensors.find(({ name }) => name === "output_norm.weight")!;
    expect(norm.errors).toBeUndefined();
    const page = await readFile(join(out, "report.html"), "utf8");
    expect(page).toContain(`${(four!.errors!.relativeError * 100).toPrecision(3)} %`);
    expect(JSON.stringify(conversion)).not.toContain(root);
    expect((await readdir(out)).some((name) => name.endsWith(".partial"))).toBe(false);
  });

  it("writes the same files for any threads and memory", async () => {
    const texts = await Promise.all(
      [[], ["-j", "0"], ["-j", "2", "-m", "50kB"], ["--kernels", "wasm"]].map(async (more) => {
        const out = await temporaryFolder();
        expect((await convert(out, "-t", "Q4_K_M", ...more)).exitCode).toBe(0);
        return Promise.all(["html", "json"].map((type) => readFile(join(out, `report.${type}`), "utf8")));
      }),
    );
    for (const [page, json] of texts) {
      expect(json === texts[0]![1]).toBe(true);
      expect(page === texts[0]![0]).toBe(true);
    }
  });

  it("writes figures alone to .json, and says so in --json", async () => {
    const out = await temporaryFolder();
    const path = join(out, "figures.json");
    const { exitCode, stdout } = await runCli({
      argv: ["quantize", model, join(out, "out.gguf"), "Q4_0", "--report", path, "--json"],
    });
    expect(exitCode).toBe(0);
    const result = JSON.parse(stdout.trim().split("\n").at(-1)!) as { reportFiles: string[] };
    expect(result.reportFiles).toEqual([path]);
    expect((await readJson(path)).conversion!.outputs[0]!.type).toBe("Q4_0");
    expect((await readdir(out)).sort()).toEqual(["figures.json", "out.gguf"]);
  });

  it("checks its places before weights are read", async () => {
    const out = await temporaryFolder();
    await writeFile(join(out, "report.json"), "mine");
    const refused = await convert(out);
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).toMatch(/report\.json: the file exists already/);
    expect(await readdir(out)).toEqual(["report.json"]);
    expect((await convert(out, "--dry-run")).exitCode).toBe(4);
    expect((await convert(out, "--force")).exitCode).toBe(0);
    expect((await readJson(join(out, "report.json"))).version).toBe(1);
    const named = await runCli({ argv: ["convert", model, "-o", `${out}/`, "-f", "--report", "report.txt"] });
    expect(named.exitCode).toBe(2);
    expect(named.stderr).toMatch(/ends in \.html .* or in \.json/);
  });

  it("writes nothing in a dry run, and no report unless asked", async () => {
    const out = await temporaryFolder();
    expect((await convert(out, "--dry-run")).exitCode).toBe(0);
    expect(await readdir(out)).toEqual([]);
    const plain = await runCli({ argv: ["convert", model, "-o", join(out, "out.gguf"), "--json"] });
    expect(plain.stdout).not.toContain("squaredErrors");
    expect(await readdir(out)).toEqual(["out.gguf"]);
  });
});

/** All weights of a GGUF file, by tensor. */
async function weightsOf(path: string): Promise<Map<string, Float32Array>> {
  const kernels = await loadKernels();
  const { tensors, shards } = await openGgufModel(path);
  const bytes = await readFile(shards[0]!.path);
  return new Map(
    [...tensors.values()].map(({ name, ggmlType: type, ne, offset, size }) => {
      const columns = ne[0]!;
      const rows = ne.slice(1).reduce((product, length) => product * length, 1);
      const target = new Float32Array(rows * columns);
      const source = new Uint8Array(bytes.subarray(offset, offset + size));
      kernels.dequantize({ type, source, target, rows, columns });
      return [name, target];
    }),
  );
}

describe("convert --report with a statistics file", () => {
  it("measures what becomes of the outputs of layers", async () => {
    const out = await temporaryFolder();
    const path = join(out, "statistics.safetensors");
    const calibration = await runCli({ argv: ["calibrate", model, "--tokens", "2048", "-o", path] });
    expect(calibration.exitCode).toBe(0);
    const argv = ["-t", "F32,Q4_0", "--flavour", "quantizer", "--imatrix", path, "--force"];
    expect((await convert(out, ...argv)).exitCode).toBe(0);
    const { conversion } = await readJson(join(out, "report.json"));
    const [, four] = conversion!.outputs;
    const files = conversion!.outputs.map(({ files: [file] }) => weightsOf(join(out, file!.name)));
    const [exact, rounded] = await Promise.all(files);
    const statistics = await openStatistics(path);
    for (const module of ["blk.0.attn_q", "blk.1.ffn_down_exps"]) {
      const { columns, matrices } = statistics.input(module);
      const [before, after] = [exact!.get(`${module}.weight`)!, rounded!.get(`${module}.weight`)!];
      const rows = before.length / matrices / columns;
      let [squaredErrors, squaredWeights] = [0, 0];
      for (let matrix = 0; matrix < matrices; matrix++) {
        const hessian = await statistics.readHessian({ module, matrix });
        for (let row = 0; row < rows; row++) {
          const start = (matrix * rows + row) * columns;
          const w = before.subarray(start, start + columns);
          const d = after.subarray(start, start + columns).map((value, i) => value - w[i]!);
          for (let i = 0; i < columns; i++) {
            for (let j = 0; j < columns; j++) {
              squaredErrors += d[i]! * hessian[i * columns + j]! * d[j]!;
              squaredWeights += w[i]! * hessian[i * columns + j]! * w[j]!;
            }
          }
        }
      }
      const tensor = four!.tensors.find(({ name }) => name === `${module}.weight`)!;
      const found = tensor.errors!.hessian!;
      expect(squaredErrors).toBeGreaterThan(0);
      expect(Math.abs(found.squaredErrors / squaredErrors - 1)).toBeLessThan(1e-4);
      expect(Math.abs(found.squaredWeights / squaredWeights - 1)).toBeLessThan(1e-4);
      expect(Math.abs(found.relativeSquaredError / (squaredErrors / squaredWeights) - 1)).toBeLessThan(1e-4);
    }
    await statistics.close();
    const embedding = four!.tensors.find(({ name }) => name === "token_embd.weight")!;
    expect(embedding.errors).toMatchObject({ relativeError: expect.any(Number) as number });
    expect(embedding.errors!.hessian).toBeUndefined();
    expect(four!.errors!.hessian!.relativeError).toBeGreaterThan(0);
    const page = await readFile(join(out, "report.html"), "utf8");
    expect(page).toContain("Output error (full H)");
    for (const more of [
      ["-j", "0"],
      ["-j", "2", "-m", "100kB"],
      ["-j", "1", "-m", "30kB"],
    ]) {
      expect((await convert(out, ...argv, ...more)).exitCode).toBe(0);
      expect(await readJson(join(out, "report.json"))).toEqual({
        format: "quern-report",
        version: 1,
        conversion,
      });
      expect((await readFile(join(out, "report.html"), "utf8")) === page).toBe(true);
    }
  });

  it("does without Hessians where the file has none", async () => {
    const out = await temporaryFolder();
    const path = join(out, "statistics.safetensors");
    await runCli({ argv: ["calibrate", model, "--tokens", "2048", "--no-hessians", "-o", path] });
    expect((await convert(out, "-t", "Q4_0", "--flavour", "quantizer", "--imatrix", path)).exitCode).toBe(0);
    const { conversion } = await readJson(join(out, "report.json"));
    expect(conversion!.outputs[0]!.errors!.hessian).toBeUndefined();
    expect(await readFile(join(out, "report.html"), "utf8")).not.toContain("full H");
  });
});

describe("report", () => {
  it("makes one page of figures again, and says what it cannot", async () => {
    const out = await temporaryFolder();
    expect((await convert(out, "-t", "Q4_K_M")).exitCode).toBe(0);
    const json = join(out, "report.json");
    const run = (...argv: string[]): ReturnType<typeof runCli> => runCli({ argv: ["report", ...argv] });
    expect(await run(json, "-o", join(out, "again.html"))).toMatchObject({
      exitCode: 0,
      stdout: `${join(out, "again.html")}\n`,
    });
    const [first, again] = await Promise.all(
      ["report.html", "again.html"].map((name) => readFile(join(out, name), "utf8")),
    );
    expect(again === first).toBe(true);

    const wrong = async (name: string, text: string): Promise<string> => {
      await writeFile(join(out, name), text);
      return join(out, name);
    };
    for (const [files, exitCode, message] of [
      [[json, json], 2, /second conversion/],
      [[join(out, "missing.json")], 3, /cannot be read/],
      [[await wrong("text.json", "<html>")], 3, /is no JSON/],
      [[await wrong("other.json", '{"format":"quern-report","version":7}')], 3, /version: expected 1/],
      [[await wrong("empty.json", '{"format":"quern-report","version":1}')], 3, /neither a conversion nor/],
    ] as const) {
      const { exitCode: code, stderr } = await run(...files, "-o", join(out, "wrong.html"));
      expect(code).toBe(exitCode);
      expect(stderr).toMatch(message);
    }
    await expect(access(join(out, "wrong.html"))).rejects.toThrow("ENOENT");
    expect((await run(json, "-o", join(out, "again.html"))).exitCode).toBe(4);
    expect((await run(json, "-o", json, "-f")).exitCode).toBe(4);
  });
});
