import { cp, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { answerStatus, everyNth, HubServer, isWeights } from "@quern/hub/testing";
import type { Manifest } from "@quern/manifest";
import { afterEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { type CliRun, demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const servers: HubServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

const imatrix = repositoryPath("fixtures/golden/llama2-spm/imatrix.gguf");
const llama = repositoryPath("fixtures/golden/llama2-spm/checkpoint");

/** Runs commands in a folder, which must do well. */
async function inFolder(folder: string, ...commands: readonly string[][]): Promise<void> {
  for (const argv of commands) {
    const { exitCode, stderr } = await runCli({ argv: [...argv, "-q"], cwd: folder });
    expect(exitCode, stderr).toBe(0);
  }
}

function verify(cwd: string, ...argv: string[]): Promise<CliRun> {
  return runCli({ argv: ["verify", ...argv], cwd });
}

/** Changes the byte at a share of a file. */
async function damage(path: string, share: number): Promise<number> {
  const bytes = await readFile(path);
  const offset = Math.floor(bytes.length * share);
  bytes[offset]! ^= 1;
  await writeFile(path, bytes);
  return offset;
}

describe("quern verify", () => {
  it("finds a file as it was, and names what is not", async () => {
    const folder = await temporaryFolder();
    await inFolder(folder, ["convert", demoCheckpoint, "-t", "Q4_K_M", "-o", "model.gguf", "--manifest"]);
    expect((await readdir(folder)).sort()).toEqual(["model.gguf", "model.gguf.manifest.json"]);
    const good = await verify(folder, "model.gguf", "--source", demoCheckpoint, "--all");
    expect(good.exitCode).toBe(0);
    expect(good.stdout).toMatch(/^files +1, 1\.91 MB: all as it should be$/m);
    expect(good.stdout).toMatch(/^made again +38 tensors, 1\.85 MB: all as it should be$/m);
    const offset = await damage(join(folder, "model.gguf"), 0.9);
    const bad = await verify(folder, "model.gguf", "--source", demoCheckpoint, "--all", "--json");
    expect(bad.exitCode).toBe(exitCodes.mismatch);
    expect(bad.stderr).toContain("VERIFICATION_FAILED");
    const results = bad.stdout.split("\n").filter((line) => line.includes('"type":"result"'));
    const result = JSON.parse(results[0]!) as { findings: object[]; equal: boolean };
    expect(result.equal).toBe(false);
    expect(result.findings).toEqual([
      expect.objectContaining({ kind: "tensor", file: "model.gguf" }),
      expect.objectContaining({ kind: "tensor", file: "model.gguf", offset }),
    ]);
    const said = await verify(folder, "model.gguf");
    expect(said.exitCode).toBe(exitCodes.mismatch);
    expect(said.stdout).toMatch(/^model\.gguf, [\w.]+ at \d+: bytes \d+ to \d+ have another hash/m);
  });

  it("finds a split set by any of its files, and with the importance matrix all that it is made of", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "calibration"));
    await cp(imatrix, join(folder, "calibration", "imatrix.gguf"));
    const options = ["--imatrix", "calibration/imatrix.gguf", "--exclude-weights", "attn_q"];
    const words = [llama, "model.gguf", "IQ3_S", "--split-max-tensors", "9", ...options, "--manifest"];
    await inFolder(folder, ["quantize", ...words]);
    const text = await readFile(join(folder, "model-00001-of-00003.gguf.manifest.json"), "utf8");
    expect(text).not.toContain(folder);
    expect(text).not.toContain("calibration/");
    const header = (await readFile(join(folder, "model-00001-of-00003.gguf"))).toString("latin1");
    expect(header).toContain("quern.calibration.sha256");
    expect(header).not.toContain("calibration/imatrix");
    const without = await verify(folder, "model-00002-of-00003.gguf", "--source", llama, "--all");
    expect(without.exitCode).toBe(0);
    expect(without.stdout).toMatch(
      /tensors cannot be made again: without the importance matrix imatrix\.gguf$/m,
    );
    const moved = join(folder, "moved.gguf");
    await rename(join(folder, "calibration", "imatrix.gguf"), moved);
    const all = await verify(
      folder,
      "model-00003-of-00003.gguf",
      "--source",
      llama,
      "--all",
      "--imatrix",
      moved,
    );
    expect(all.exitCode).toBe(0);
    expect(all.stdout).not.toContain("cannot be made again");
    await damage(moved, 0.99);
    const other = await verify(folder, "model-00001-of-00003.gguf", "--source", llama, "--imatrix", moved);
    expect(other.exitCode).toBe(exitCodes.input);
    expect(other.stderr).toContain("VERIFICATION_OTHER_CALIBRATION");
  });

  it("reads the file that it is told to, though it was renamed with its manifest", async () => {
    const folder = await temporaryFolder();
    await inFolder(folder, ["convert", demoCheckpoint, "-t", "Q8_0", "-o", "model.gguf", "--manifest"]);
    for (const ending of ["", ".manifest.json"]) {
      await cp(join(folder, `model.gguf${ending}`), join(folder, `other.gguf${ending}`));
    }
    expect((await verify(folder, "other.gguf", "--source", demoCheckpoint)).exitCode).toBe(0);
    await damage(join(folder, "other.gguf"), 0.5);
    const bad = await verify(folder, "other.gguf", "--source", demoCheckpoint, "--all");
    expect(bad.exitCode).toBe(exitCodes.mismatch);
    expect(bad.stdout).toMatch(/^other\.gguf, .+ is not what the source becomes$/m);
    expect((await verify(folder, "model.gguf")).exitCode).toBe(0);
  });

  it("makes what came from the Hub again from there", async () => {
    const folder = await temporaryFolder();
    const server = await HubServer.start({ id: `org/${basename(demoCheckpoint)}`, folder: demoCheckpoint });
    servers.push(server);
    const { id, head } = server.repository;
    server.tokens.add("hf_secret");
    server.faults.push(everyNth(7, isWeights, answerStatus(503)));
    const env = { HF_ENDPOINT: server.endpoint, HF_TOKEN: "hf_secret", HF_HOME: folder };
    const run = (...argv: string[]): Promise<CliRun> => runCli({ argv, cwd: folder, env });
    expect(
      (await run("convert", `hf:${id}`, "-t", "Q5_K_M,Q8_0", "-o", "files/", "--manifest")).exitCode,
    ).toBe(0);
    const names = (await readdir(join(folder, "files"))).filter((name) => name.endsWith(".gguf"));
    expect(names).toHaveLength(2);
    for (const name of names) {
      const path = join(folder, "files", name);
      const manifest = await readFile(`${path}.manifest.json`, "utf8");
      const { source, tensors } = JSON.parse(manifest) as Manifest;
      expect(source).toMatchObject({ name: `hf:${id}@${head.id}`, repository: id, commit: head.id });
      // All that is read is named with the hash that the repository lists.
      const hashes = source.files.map((file) => [file.name, file.sha256 ?? file.gitHash] as const);
      expect(new Map(hashes)).toEqual(new Map([...head.files].map(([path, { etag }]) => [path, etag])));
      const wrong = tensors.filter(({ type, error }) =>
        type === "F32" ? error !== undefined : !(error! > 0 && error! < 0.1),
      );
      expect(wrong).toEqual([]);
      for (const text of [manifest, (await readFile(path)).toString("latin1")]) {
        expect(text).not.toContain("hf_secret");
        expect(text).not.toContain(server.endpoint);
      }
      const { exitCode, stdout } = await run("verify", path, "--source");
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^made again +8 tensors, .*: all as it should be$/m);
    }
    // From the folder it is the same but for its name: files of the Hub are known by hashes of all of them.
    const local = await run("verify", join(folder, "files", names[0]!), "--source", demoCheckpoint);
    expect(local.exitCode).toBe(0);
  });

  it("finds folders of checkpoints as they were, and names what is not", async () => {
    const folder = await temporaryFolder();
    await inFolder(folder, ["convert", demoCheckpoint, "--to", "mlx", "-o", "mlx"]);
    const good = await verify(folder, "mlx", "--source", demoCheckpoint, "--sample", "5");
    expect(good.exitCode).toBe(0);
    expect(good.stdout).toMatch(/^made again +5 tensors/m);
    await damage(join(folder, "mlx", "tokenizer_config.json"), 0.5);
    const bad = await verify(folder, "mlx");
    expect(bad.exitCode).toBe(exitCodes.mismatch);
    expect(bad.stdout).toContain("tokenizer_config.json: has the hash");
  });

  it("says the same of the same run, and changes no file that nothing was asked of", async () => {
    const [one, other] = [await temporaryFolder(), await temporaryFolder()];
    const argv = ["convert", demoCheckpoint, "-t", "Q8_0,BF16", "--manifest"];
    await inFolder(one, [...argv, "-o", "files/", "-j", "0"]);
    await inFolder(other, [...argv, "-o", "files/", "-j", "2", "-m", "20MB"]);
    const names = (await readdir(join(one, "files"))).sort();
    expect(names).toHaveLength(4);
    for (const name of names) {
      const [first, second] = await Promise.all([one, other].map((at) => readFile(join(at, "files", name))));
      expect(first!.equals(second!)).toBe(true);
    }
    await inFolder(one, ["convert", demoCheckpoint, "-t", "Q8_0", "-o", "plain.gguf"]);
    expect((await readFile(join(one, "plain.gguf"))).includes("quern.")).toBe(false);
  });

  it("needs places for manifests before anything is written", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "model.gguf.manifest.json"), "{}");
    const argv = ["convert", demoCheckpoint, "-t", "Q8_0", "-o", "model.gguf", "--manifest"];
    const refused = await runCli({ argv, cwd: folder });
    expect(refused.exitCode).toBe(exitCodes.output);
    expect(refused.stderr).toContain("model.gguf.manifest.json");
    expect(await readdir(folder)).toEqual(["model.gguf.manifest.json"]);
    await inFolder(folder, [...argv, "--force"]);
    expect((await verify(folder, "model.gguf.manifest.json")).exitCode).toBe(0);
    await writeFile(join(folder, "model.gguf.manifest.json"), '{"format": "quern-manifest"}');
    const invalid = await verify(folder, "model.gguf");
    expect(invalid.exitCode).toBe(exitCodes.input);
    expect(invalid.stderr).toContain("MANIFEST_INVALID");
  });

  it("finds the manifest by a folder, and by a file of a checkpoint", async () => {
    const folder = await temporaryFolder();
    await inFolder(folder, ["convert", demoCheckpoint, "-t", "Q8_0", "-o", "model.gguf", "--manifest"]);
    expect((await verify(folder, ".")).exitCode).toBe(0);
    await cp(join(folder, "model.gguf.manifest.json"), join(folder, "other.gguf.manifest.json"));
    const several = await verify(folder, ".");
    expect(several.exitCode).toBe(exitCodes.usage);
    expect(several.stderr).toContain("one of model.gguf.manifest.json, other.gguf.manifest.json");
    expect((await verify(folder, ".", "--manifest", "model.gguf.manifest.json")).exitCode).toBe(0);
    await inFolder(folder, ["convert", demoCheckpoint, "--to", "mlx", "-o", "mlx"]);
    expect((await verify(folder, "mlx/model.safetensors")).exitCode).toBe(0);
    await damage(join(folder, "mlx", "tokenizer.json"), 0.5);
    expect((await verify(folder, "mlx/config.json")).exitCode).toBe(exitCodes.mismatch);
  });

  it.each([
    [["missing.gguf"], "MANIFEST_NOT_FOUND", exitCodes.input],
    [["hf:org/model"], "expected one that is downloaded", exitCodes.usage],
    [["model.gguf", "--all"], "expected --source", exitCodes.usage],
    [
      ["model.gguf", "--source", demoCheckpoint, "--all", "--sample", "3"],
      "expected one of them",
      exitCodes.usage,
    ],
    [["model.gguf", "--source"], "not where it is", exitCodes.usage],
    [["model.gguf", "--source", demoCheckpoint, "--imatrix", imatrix], "USAGE_VERIFY", exitCodes.usage],
  ])("refuses %j", async (argv, text, exitCode) => {
    const folder = await temporaryFolder();
    await inFolder(folder, ["convert", demoCheckpoint, "-t", "Q8_0", "-o", "model.gguf", "--manifest"]);
    const run = await verify(folder, ...argv);
    expect(run.stderr).toContain(text);
    expect(run.exitCode).toBe(exitCode);
  });
});
