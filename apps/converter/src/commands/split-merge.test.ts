import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openGgufSet } from "@quern/gguf/node";
import { beforeEach, describe, expect, it } from "vitest";
import { demoCheckpoint, runCli, temporaryFolder } from "../testing/run-cli.ts";

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
});

async function sha256(name: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(join(folder, name)))
    .digest("hex");
}

async function hashes(names: readonly string[]): Promise<string[]> {
  return Promise.all(names.map(sha256));
}

/** Runs a command that must succeed; arguments are separated by spaces. */
async function run(command: string, ...more: string[]) {
  const argv = [...command.split(" "), ...more];
  const result = await runCli({ argv, cwd: folder });
  expect(result.stderr).not.toContain("error");
  expect(result.exitCode).toBe(0);
  return result;
}

const parts = (count: number, prefix = "m"): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-0000${index + 1}-of-0000${count}.gguf`);

describe("quern convert with split files", () => {
  it("writes the files that quern split makes of the one file", async () => {
    await run("convert", demoCheckpoint, "-t", "Q8_0", "-o", "m.gguf", "--split-max-size", "1M", "-q");
    const names = (await readdir(folder)).sort();
    expect(names).toEqual(parts(4));
    const written = await hashes(names);
    await Promise.all(names.map((name) => rm(join(folder, name))));
    await run("convert", demoCheckpoint, "-t", "Q8_0", "-o", "m.gguf", "-q");
    await run("split", "m.gguf", "--max-size", "1M", "-q");
    expect(await hashes(parts(4))).toEqual(written);
  });

  it("tells of every file, and of all types at once", async () => {
    const { stdout, stderr } = await run(
      "convert -t F16,Q8_0 -o out/ --split-max-tensors 20 --no-tensor-first-split",
      demoCheckpoint,
    );
    expect(stderr).toMatch(/^wrote .*-F16-00001-of-00003\.gguf and 2 more \(\d\.\d\d MB\)$/m);
    expect(stdout).toMatch(/^F16 +\d\.\d\d MB +[\d.]+% +[\d.]+ +3 files$/m);
    expect(stdout).toMatch(/^ +\d\.\d\d MB +.*-Q8_0-00003-of-00003\.gguf$/m);
    expect(await readdir(join(folder, "out"))).toHaveLength(6);
  });

  it("plans all files, and warns of those of another division", async () => {
    await writeFile(join(folder, "m-00001-of-00009.gguf"), "");
    const { host, stderr } = await run(
      "convert -t Q8_0 -o m.gguf --split-max-size 1M --json -n",
      demoCheckpoint,
    );
    expect(stderr).toContain("warning: ");
    expect(stderr).toContain("m-00001-of-00009.gguf");
    expect(host.records).toMatchObject([
      {
        type: "plan",
        warnings: [{ code: "OUTPUT_STRAY_SPLITS" }],
        outputs: [
          { type: "Q8_0", files: parts(4).map((name) => ({ path: join(folder, name), replaces: false })) },
        ],
      },
    ]);
    expect(await readdir(folder)).toEqual(["m-00001-of-00009.gguf"]);
  });

  it.each([
    [["--split-max-size", "2 parsecs"], "Write a size"],
    [["--split-max-tensors", "-1"], "Write a whole number"],
    [["--split-max-size", "1G", "--split-max-tensors", "3"], "cannot be used with option"],
    [["--no-tensor-first-split"], "USAGE_SPLIT"],
  ])("refuses %j", async (argv, message) => {
    const { exitCode, stderr } = await runCli({ argv: ["convert", demoCheckpoint, ...argv], cwd: folder });
    expect(stderr).toContain(message);
    expect(exitCode).toBe(2);
  });
});

describe("quern split and merge", () => {
  beforeEach(async () => {
    await run("convert", demoCheckpoint, "-t", "Q8_0", "-o", "m.gguf", "-q");
  });

  it("divides a file and joins it again", async () => {
    const { stdout, stderr } = await run("split", "m.gguf", "--max-tensors", "16", "--no-tensor-first-split");
    expect(stdout).toMatch(/^ +0 +\d+(\.\d)? kB +.*m-00001-of-00004\.gguf$/m);
    expect(stdout).toMatch(/^ +16 +.* .B +.*m-00002-of-00004\.gguf$/m);
    expect(stdout).toMatch(/^3\.\d\d MB in /m);
    expect(stderr).toMatch(/^splitting 38 tensors$/m);
    expect((await readdir(folder)).sort()).toEqual([...parts(4), "m.gguf"]);

    await run("merge", parts(4)[2]!, "whole.gguf", "--no-split-keys");
    expect(await sha256("whole.gguf")).toBe(await sha256("m.gguf"));
    await run("merge", parts(4)[0]!, "merged.gguf");
    const set = await openGgufSet({ path: join(folder, "merged.gguf") });
    await set.close();
    expect(set.files[0]!.metadata.get("split.count")).toEqual({ type: "uint16", value: 0 });
  });

  it("names the files as asked, or puts them in a folder", async () => {
    await run("split", "m.gguf", "other.gguf", "--split-max-tensors", "20", "-q");
    await run("split", "m.gguf", "in/", "--split-max-tensors", "20", "-q");
    expect((await readdir(folder)).sort()).toEqual(["in", "m.gguf", ...parts(2, "other")]);
    expect((await readdir(join(folder, "in"))).sort()).toEqual(parts(2));
  });

  it("shows what it would write", async () => {
    const { stdout } = await run("split", "m.gguf", "--max-size", "1M", "-n");
    expect(stdout).toMatch(/m-00004-of-00004\.gguf\n$/);
    const { host } = await run("split", "m.gguf", "--max-size", "1M", "-n", "--json");
    expect(host.records).toMatchObject([
      { type: "plan", files: parts(4).map((name) => ({ path: join(folder, name), replaces: false })) },
    ]);
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });

  it("reports as lines of JSON", async () => {
    const { host, stderr } = await run("split", "m.gguf", "--max-tensors", "20", "--json");
    expect(stderr).toBe("");
    const types = host.records.map(({ type }) => type);
    expect([types[0], types[1], types.at(-2), types.at(-1)]).toEqual([
      "plan",
      "start",
      "output:done",
      "result",
    ]);
    expect(host.records.at(-1)).toMatchObject({
      files: parts(2).map((name) => ({ path: join(folder, name) })),
    });
  });

  it.each([
    [["split", "m.gguf"], 2, "USAGE_SPLIT"],
    [["split", "m.gguf", "--max-tensors", "0"], 3, "GGUF_SPLIT_INVALID"],
    [["split", "none.gguf", "--max-tensors", "1"], 3, "SOURCE_NOT_FOUND"],
    [["merge", "m.gguf", "x.gguf"], 3, "GGUF_SPLIT_INVALID"],
    [["merge", "m.gguf"], 2, "missing required argument"],
  ])("refuses %j", async (argv, expected, message) => {
    const { exitCode, stderr } = await runCli({ argv, cwd: folder });
    expect(stderr).toContain(message);
    expect(exitCode).toBe(expected);
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });

  it("refuses files that exist, and to write over what it reads", async () => {
    await run("split", "m.gguf", "--max-tensors", "20", "-q");
    const again = await runCli({ argv: ["split", "m.gguf", "--max-tensors", "20"], cwd: folder });
    expect(again.stderr).toContain("OUTPUT_EXISTS");
    expect(again.exitCode).toBe(4);
    await run("split", "m.gguf", "--max-tensors", "20", "--force", "-q");
    const onto = await runCli({ argv: ["merge", parts(2)[0]!, parts(2)[1]!, "--force"], cwd: folder });
    expect(onto.stderr).toContain("OUTPUT_IS_SOURCE");
    expect(onto.exitCode).toBe(4);
  });

  it("leaves nothing behind when interrupted", async () => {
    const { exitCode, stderr } = await runCli({
      argv: ["split", "m.gguf", "--max-tensors", "20"],
      cwd: folder,
      onStderr: (text, host) => {
        if (text.startsWith("splitting")) host.interrupt();
      },
    });
    expect(stderr).toContain("Interrupted");
    expect(exitCode).toBe(130);
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });
});
