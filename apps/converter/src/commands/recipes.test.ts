import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CONTAINERS, PRESETS } from "@quern/recipes";
import { describe, expect, it } from "vitest";
import { runCli, temporaryFolder } from "../testing/run-cli.ts";

describe("quern recipes", () => {
  it("lists all of them by container", async () => {
    const { exitCode, stdout } = await runCli({ argv: ["recipes"] });
    expect(exitCode).toBe(0);
    for (const { name } of PRESETS) expect(stdout).toMatch(new RegExp(`^${name}( \\*)? +\\d`, "m"));
    for (const { name } of CONTAINERS) expect(stdout).toContain(`--to ${name}  `);
    expect(stdout).toMatch(/^gptq-w4-g128 \* +4\.16 +statistics +vllm, .*llama\.cpp +GPTQ, 4 bits/m);
    expect(stdout).toMatch(/^bnb-nf4 \* +4\.50 +vllm, /m);
  });

  it("lists them as JSON", async () => {
    const { host } = await runCli({ argv: ["recipes", "--json"] });
    expect(host.records[0]).toHaveLength(PRESETS.length);
    expect(host.records[0]).toContainEqual(
      expect.objectContaining({
        name: "fp8-static",
        container: "fp8",
        format: "float-quantized",
        statistics: "channels",
      }),
    );
  });

  it("shows one as a file that holds the same recipe", async () => {
    const folder = await temporaryFolder();
    const { stdout } = await runCli({ argv: ["recipes", "awq-w4-g128"] });
    expect(stdout).toContain('needs statistics of "quern calibrate"\n');
    await writeFile(join(folder, "mine.yaml"), stdout);
    const { host } = await runCli({ argv: ["recipes", "mine.yaml", "--json"], cwd: folder });
    expect(host.records[0]).toMatchObject({
      container: "awq",
      recipe: { ...PRESETS.find(({ name }) => name === "awq-w4-g128") },
    });
  });

  it("prints the schema of files", async () => {
    const { stdout } = await runCli({ argv: ["recipes", "--schema"] });
    expect(JSON.parse(stdout)).toMatchObject({ type: "object", properties: { extends: {}, rules: {} } });
  });

  it.each([
    ["gptq-w4-g12", 2, "RECIPE_UNKNOWN", "did you mean gptq-w4-g128?"],
    ["nothing like it", 2, "RECIPE_UNKNOWN", '"quern recipes" lists them'],
    ["missing.yaml", 3, "RECIPE_FILE_UNREADABLE", "there is no such file"],
    ["folder", 3, "RECIPE_FILE_UNREADABLE", "it is no file"],
    ["large.yaml", 3, "RECIPE_FILE_UNREADABLE", "it has more than 1 MiB"],
    ["wrong.yaml", 3, "RECIPE_FILE_INVALID", "wrong.yaml: line 2, rounding: "],
    ["nonsense.yaml", 2, "RECIPE_INVALID", 'nonsense.yaml: recipe "nonsense": awq: bits 3'],
  ])("refuses %s", async (recipe, expectedExitCode, code, message) => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "folder"));
    await writeFile(join(folder, "large.yaml"), "#".repeat(2 ** 20 + 1));
    await writeFile(join(folder, "wrong.yaml"), "extends: w4a16\nrounding: best\n");
    await writeFile(join(folder, "nonsense.yaml"), "extends: awq-w4-g128\nparameters: { bits: 3 }\n");
    const { exitCode, stderr } = await runCli({ argv: ["recipes", recipe], cwd: folder });
    expect(stderr).toContain(message);
    expect(stderr).toContain(code);
    expect(exitCode).toBe(expectedExitCode);
  });
});
