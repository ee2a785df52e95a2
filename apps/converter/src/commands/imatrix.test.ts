import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const imatrices = repositoryPath("fixtures/imatrix");

interface MergedFile {
  readonly command: string;
  readonly files: readonly string[];
  readonly chunkSize: number;
  readonly format: string;
  readonly sha256: string;
}
const merged = JSON.parse(await readFile(join(imatrices, "merged.json"), "utf8")) as MergedFile[];

describe("quern imatrix show", () => {
  it("shows the figures of every tensor, and the gaps", async () => {
    const { exitCode, stdout, stderr } = await runCli({
      argv: ["imatrix", "show", "a.gguf"],
      cwd: imatrices,
    });
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^chunks +4 of 512 tokens$/m);
    expect(stdout).toMatch(/^texts +wiki\.txt$/m);
    expect(stdout).toMatch(/^ +10 +attn_q +55\.83 +0\.0037 +9\.2007 +0\.87 +1\.86 +100\.00% +64 +4\.0957/m);
    expect(stdout).toMatch(/ 1 +attn_q .* 3 columns always zero$/m);
    expect(stdout).toMatch(/ 1 +ffn_down_exps .* 3 of 8 never seen$/m);
    expect(stdout).toMatch(/ - +blk\.0\.ffn_up_exps\.weight( +-){11} +2 of 2 never seen$/m);
    expect(stdout).toMatch(/^Layers \(3\)/m);
  });

  it("gives it all as JSON", async () => {
    const { host } = await runCli({ argv: ["imatrix", "show", "c.dat", "--json"], cwd: imatrices });
    expect(host.records).toEqual([
      expect.objectContaining({ file: "c.dat", format: "dat", datasets: ["old.txt"], chunks: 4 }),
    ]);
    const { tensors, layers } = host.records[0] as { tensors: object[]; layers: object[] };
    expect(tensors).toHaveLength(3);
    expect(tensors[0]).toMatchObject({ name: "blk.2.attn_q.weight", columns: 64, unseen: 0, elements: 64 });
    expect(layers).toHaveLength(2);
  });

  it("shows what is damaged, too", async () => {
    const path = join(await temporaryFolder(), "bad.dat");
    const bytes = await readFile(join(imatrices, "c.dat"));
    bytes.writeFloatLE(
      Number.NaN,
      bytes.indexOf("blk.0.attn_q.weight") + "blk.0.attn_q.weight".length + 8 + 20,
    );
    await writeFile(path, bytes);
    const { exitCode, stdout } = await runCli({ argv: ["imatrix", "show", path] });
    expect(stdout).toMatch(/attn_q .* damaged: NaN in column 5$/m);
    expect(exitCode).toBe(0);
    const merge = await runCli({ argv: ["imatrix", "merge", path, "-o", `${path}.gguf`] });
    expect(merge.stderr).toMatch(/^ {2}code +IMPORTANCE_INVALID$/m);
    expect(merge.exitCode).toBe(3);
  });

  it("refuses other files", async () => {
    const { exitCode, stderr } = await runCli({ argv: ["imatrix", "show", "README.md"], cwd: imatrices });
    expect(stderr).toContain("README.md: not an importance matrix");
    expect(exitCode).toBe(3);
  });
});

describe("quern imatrix merge", () => {
  it.each(merged.slice(0, 6))("writes what $command writes", async ({ files, chunkSize, format, sha256 }) => {
    const path = join(await temporaryFolder(), "merged");
    const { exitCode, stdout } = await runCli({
      argv: ["imatrix", "merge", ...files, "-o", path, "--format", format, "--chunk-size", String(chunkSize)],
      cwd: imatrices,
    });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^tensors +\d/m);
    const hash = createHash("sha256").update(await readFile(path));
    expect(hash.digest("hex")).toBe(sha256);
  });

  it("takes the format from the name, and reports as JSON", async () => {
    const folder = await temporaryFolder();
    const run = (...argv: string[]) =>
      runCli({ argv: ["imatrix", "merge", ...argv, "--json"], cwd: imatrices });
    const dat = await run("a.gguf", "-o", join(folder, "a.dat"));
    expect(dat.host.records).toEqual([
      {
        type: "result",
        format: "dat",
        datasets: ["wiki.txt"],
        chunks: 4,
        path: join(folder, "a.dat"),
        bytes: 3669,
        entries: 8,
      },
    ]);
    const gguf = await run("c.dat", "-o", join(folder, "c.imatrix"));
    expect(gguf.host.records[0]).toMatchObject({ format: "gguf", entries: 3 });
  });

  it("replaces nothing unless forced", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "there.gguf");
    await writeFile(path, "precious");
    const argv = ["imatrix", "merge", "a.gguf", "b.gguf", "-o", path];
    const refused = await runCli({ argv, cwd: imatrices });
    expect(refused.exitCode).toBe(4);
    expect(await readFile(path, "utf8")).toBe("precious");
    expect(await readdir(folder)).toEqual(["there.gguf"]);
    expect((await runCli({ argv: [...argv, "--force"], cwd: imatrices })).exitCode).toBe(0);
  });

  it.each([
    [["imatrix", "merge", "a.gguf"], "required option '-o, --output <file>'"],
    [["imatrix", "merge", "-o", "x"], "missing required argument 'files'"],
    [["imatrix", "merge", "a.gguf", "-o", "x", "--chunk-size", "0"], "above 0"],
    [["imatrix", "merge", "a.gguf", "-o", "x", "--format", "json"], "Allowed choices are gguf, dat"],
    [["imatrix", "shwo", "a.gguf"], "Did you mean show?"],
  ])("refuses %j", async (argv, message) => {
    const { exitCode, stderr } = await runCli({ argv, cwd: imatrices });
    expect(stderr).toContain(message);
    expect(exitCode).toBe(2);
  });
});
