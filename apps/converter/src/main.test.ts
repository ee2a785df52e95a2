import { loadKernels } from "@quern/kernels";
import { describe, expect, it } from "vitest";
import { EXIT_CODE_MEANINGS } from "./exit-codes.ts";
import { ENVIRONMENT } from "./help/environment.ts";
import { runCli } from "./testing/run-cli.ts";

describe("quern", () => {
  it("prints its version", async () => {
    const { exitCode, stdout } = await runCli({ argv: ["--version"] });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(exitCode).toBe(0);
  });

  it("explains itself", async () => {
    const { exitCode, stdout, stderr } = await runCli({ argv: ["--help"] });
    expect(stdout).toMatch(/Usage: quern .*\n/);
    const commands = [
      "convert",
      "eval",
      "quantize",
      "split",
      "merge",
      "edit",
      "inspect",
      "imatrix",
      "types",
      "models",
      "plan",
      "doctor",
      "config",
      "completions",
    ];
    for (const command of commands) {
      expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
    }
    expect(stdout).toMatch(/^ {2}help exit-codes +\S/m);
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
  });

  it.each([
    ["exit-codes", Object.keys(EXIT_CODE_MEANINGS)],
    ["environment", Object.keys(ENVIRONMENT)],
  ])("explains the topic %s, in lines that fit", async (topic, entries) => {
    for (const columns of [40, 80]) {
      const { exitCode, stdout, stderr } = await runCli({ argv: ["help", topic], columns });
      for (const entry of entries) expect(stdout).toMatch(new RegExp(`^  ${entry}\\b`, "m"));
      expect(stdout.split("\n").filter((line) => line.length > columns)).toEqual([]);
      expect([exitCode, stderr]).toEqual([0, ""]);
    }
  });

  it.each([
    [["help", "convert"]],
    [["convert", "--help"]],
    [["help", "imatrix"]],
    [["imatrix", "help", "show"]],
  ])("explains the commands of %j", async (argv) => {
    const { exitCode, stdout, stderr } = await runCli({ argv });
    const words = argv.filter((word) => !word.includes("help")).join(" ");
    expect(stdout).toContain(`Usage: quern ${words} [options]`);
    expect(stdout).toMatch(/^ {2}(-o, --output|show +Show|--json)/m);
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
  });

  it("explains itself on request", async () => {
    const { stdout } = await runCli({ argv: ["--help"] });
    expect(await runCli({ argv: ["help"] })).toMatchObject({ exitCode: 0, stdout });
  });

  it("needs a command", async () => {
    const { exitCode, stdout, stderr } = await runCli({ argv: [] });
    expect(stderr).toContain("Usage: quern");
    expect(stdout).toBe("");
    expect(exitCode).toBe(2);
  });

  it.each([
    [["conver"], "Did you mean convert?"],
    [["--verison"], "Did you mean --version?"],
    [["help", "convrt"], "Did you mean convert?"],
    [["help", "exitcodes"], "Did you mean exit-codes?"],
    [["imatrix", "help", "mrge"], "Did you mean merge?"],
    [["inspect"], "missing required argument 'path'"],
    [["inspect", "x", "--jsn"], "Did you mean --json?"],
  ])("refuses %j", async (argv, message) => {
    const { exitCode, stderr } = await runCli({ argv });
    expect(stderr).toContain(message);
    expect(stderr).toContain("Run with --help");
    expect(exitCode).toBe(2);
  });
});

describe("quern types", () => {
  it("lists what --type accepts", async () => {
    const { exitCode, stdout } = await runCli({ argv: ["types"] });
    expect(stdout).toMatch(/^Q4_K_M +4\.\d\d +quantizer +\S/m);
    expect(stdout).toMatch(/^F16 +16\.00 +converter, quantizer +\S/m);
    expect(exitCode).toBe(0);
  });

  it("lists nothing that the kernels cannot write", async () => {
    const { types } = await loadKernels();
    const { host } = await runCli({ argv: ["types", "--json"] });
    const recipes = host.records[0] as unknown as { name: string; type?: string }[];
    const unwritable = recipes.filter(({ type }) => type !== undefined && !types.includes(type));
    expect(recipes.length).toBeGreaterThan(35);
    expect(unwritable).toEqual([]);
  });

  it("lists it as JSON", async () => {
    const { host } = await runCli({ argv: ["types", "--json"] });
    expect(host.records[0]).toContainEqual(expect.objectContaining({ name: "Q3_K_M", type: "Q3_K" }));
  });
});

describe("quern models", () => {
  it("lists the classes that can be converted", async () => {
    const { exitCode, host } = await runCli({ argv: ["models"] });
    expect(host.stdout.lines).toContain("LlamaForCausalLM");
    expect(exitCode).toBe(0);
    const json = await runCli({ argv: ["models", "--json"] });
    expect(json.host.records).toEqual([host.stdout.lines]);
  });
});
