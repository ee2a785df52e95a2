import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGgufSet } from "@quern/gguf/node";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { demoCheckpoint, runCli, temporaryFolder } from "../testing/run-cli.ts";

const models = await mkdtemp(join(tmpdir(), "quern-edit-"));
await runCli({ argv: ["convert", demoCheckpoint, "-t", "Q8_0", "-o", "m.gguf", "-q"], cwd: models });
afterAll(() => rm(models, { recursive: true }));

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  await copyFile(join(models, "m.gguf"), join(folder, "m.gguf"));
});

/** Runs `quern edit` with success. */
async function edit(...argv: string[]) {
  const result = await runCli({ argv: ["edit", ...argv], cwd: folder });
  expect(result.stderr).not.toContain("error");
  expect(result.exitCode).toBe(0);
  return result;
}

async function metadataOf(name: string) {
  const set = await openGgufSet({ path: join(folder, name) });
  await set.close();
  return set.metadata;
}

describe("quern edit", () => {
  it("changes values, and shows what they were", async () => {
    const setting = ["--set", "llama.context_length=uint32:128", "--remove", "general.size_label"];
    const { stdout } = await edit("m.gguf", "-o", "n.gguf", "--name", "Mine", "--license", "mit", ...setting);
    expect(stdout).toMatch(/^general\.name +string +Quern Demo +Mine$/m);
    expect(stdout).toMatch(/^llama\.context_length +uint32 +\d+ +128$/m);
    expect(stdout).toMatch(/^general\.size_label +string +2\.9M +\(removed\)$/m);
    expect(stdout).toMatch(/^ +38 +3\.\d\d MB +.*n\.gguf$/m);
    const metadata = await metadataOf("n.gguf");
    expect(metadata.get("general.name")).toEqual({ type: "string", value: "Mine" });
    expect(metadata.get("general.license")).toEqual({ type: "string", value: "mit" });
    expect(metadata.has("general.size_label")).toBe(false);
  });

  it("takes a chat template from a file or from the command line", async () => {
    await writeFile(join(folder, "t.jinja"), "{{ from a file }}");
    await edit("m.gguf", "--in-place", "--chat-template", "t.jinja");
    await edit("m.gguf", "--in-place", "--chat-template", "{% if x %}", "--chat-template-name", "tools");
    const metadata = await metadataOf("m.gguf");
    expect(metadata.get("tokenizer.chat_template")).toMatchObject({ value: "{{ from a file }}" });
    expect(metadata.get("tokenizer.chat_template.tools")).toMatchObject({ value: "{% if x %}" });
    const names = metadata.get("tokenizer.chat_templates");
    expect(names?.type === "array" ? [...names] : names).toEqual(["tools"]);
  });

  it("edits in place without a copy where the header fits, and says when it does not", async () => {
    const { ino, size } = await stat(join(folder, "m.gguf"));
    const fits = await edit("m.gguf", "--in-place", "--name", "M");
    expect(fits.stdout).toMatch(/the header of [\d.]+ kB is overwritten in place\.$/m);
    expect(await stat(join(folder, "m.gguf"))).toMatchObject({ ino, size });
    const long = await edit("m.gguf", "--in-place", "--description", "d".repeat(500), "--reserve", "4KiB");
    expect(long.stderr).toContain("does not fit");
    const room = await edit("m.gguf", "--in-place", "--url", "u".repeat(2000));
    expect(room.stdout).toContain("overwritten in place");
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });

  it("says that nothing changes", async () => {
    expect((await edit("m.gguf", "--in-place", "--name", "Quern Demo")).stdout).toBe("Nothing changes.\n");
  });

  it("shows an edit without making it, also as JSON", async () => {
    const before = await readFile(join(folder, "m.gguf"));
    const { stdout } = await edit("m.gguf", "--in-place", "--name", "M", "-n");
    expect(stdout).toMatch(/^general\.name +string +Quern Demo +M$/m);
    const { host } = await edit("m.gguf", "--in-place", "--name", "M", "-n", "--json");
    expect(host.records).toEqual([
      {
        type: "plan",
        method: "patch",
        path: join(folder, "m.gguf"),
        changes: [
          {
            key: "general.name",
            before: { type: "string", value: "Quern Demo" },
            after: { type: "string", value: "M" },
          },
        ],
      },
    ]);
    expect(Buffer.compare(await readFile(join(folder, "m.gguf")), before)).toBe(0);
  });

  it("never writes control characters that a file brought", async () => {
    const { stdout } = await edit("m.gguf", "--in-place", "--name", "a\u001b[2Jb");
    expect(stdout).toContain("a\\u{1b}[2Jb");
  });

  it("takes an interrupted edit back", async () => {
    const path = join(folder, "m.gguf");
    const before = await readFile(path);
    await writeFile(`${path}.undo`, Buffer.concat([before.subarray(0, 64), Buffer.alloc(64)]));
    await writeFile(path, Buffer.concat([before.subarray(0, 32), Buffer.alloc(32), before.subarray(64)]));
    const refused = await runCli({ argv: ["edit", "m.gguf", "--in-place", "--name", "M"], cwd: folder });
    expect(refused.stderr).toContain("GGUF_UNDO_PENDING");
    expect(refused.stderr).toContain("--restore");
    expect(refused.exitCode).toBe(3);
    expect((await edit("m.gguf", "--restore")).stdout).toContain("taken back");
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
  });

  it.each([
    [["m.gguf", "--name", "x"], 2, "USAGE_OUTPUT"],
    [["m.gguf", "--name", "x", "-o", "n.gguf", "--in-place"], 2, "USAGE_OUTPUT"],
    [["m.gguf", "--in-place"], 2, "USAGE_EDIT"],
    [["m.gguf", "--in-place", "--chat-template", "no-such-file.jinja"], 2, "USAGE_EDIT"],
    [["m.gguf", "--in-place", "--chat-template-name", "tools"], 2, "USAGE_EDIT"],
    [["m.gguf", "--in-place", "--set", "general.name=text:x"], 2, "There is no type"],
    [["m.gguf", "--in-place", "--remove", "general.nmae"], 2, "GGUF_EDIT_KEY_MISSING"],
    [["m.gguf", "--in-place", "--set", "general.architecture=string:gpt2"], 2, "GGUF_EDIT_REFUSED"],
    [["m.gguf", "--name", "x", "-o", "m.gguf", "--force"], 4, "OUTPUT_IS_SOURCE"],
    [["none.gguf", "--in-place", "--name", "x"], 3, "SOURCE_NOT_FOUND"],
    [["m.gguf", "--restore"], 3, "GGUF_UNDO_MISSING"],
  ])("refuses %j", async (argv, expected, message) => {
    const before = await readFile(join(folder, "m.gguf"));
    const { exitCode, stderr } = await runCli({ argv: ["edit", ...argv], cwd: folder });
    expect(stderr).toContain(message);
    expect(exitCode).toBe(expected);
    expect(await readdir(folder)).toEqual(["m.gguf"]);
    expect(Buffer.compare(await readFile(join(folder, "m.gguf")), before)).toBe(0);
  });

  it("makes changes that break a model when forced", async () => {
    await edit("m.gguf", "-o", "n.gguf", "--set", "general.architecture=string:gpt2", "--force");
    expect((await metadataOf("n.gguf")).get("general.architecture")).toMatchObject({ value: "gpt2" });
  });
});
