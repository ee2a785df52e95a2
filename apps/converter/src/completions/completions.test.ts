import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PRESETS } from "@quern/recipes";
import { describe, expect, it } from "vitest";
import { OUTPUT_TYPES } from "../commands/arguments.ts";
import { COMMANDS } from "../commands.ts";
import { runCli, temporaryFolder } from "../testing/run-cli.ts";

/** Asks a shell what it offers for the last of these words. */
type Ask = (words: readonly string[], cwd: string) => Promise<string[]>;

function isInstalled(shell: string): boolean {
  return spawnSync(shell, ["--version"]).status === 0;
}

async function script(shell: string): Promise<string> {
  const { stdout, exitCode } = await runCli({ argv: ["completions", shell] });
  expect(exitCode).toBe(0);
  return stdout;
}

const SHELLS: Record<string, Ask> = {
  bash: async (words, cwd) => {
    const asking = `cd "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _quern; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const program = `set -u\n${await script("bash")}\n${asking}`;
    return lines(execFileSync("bash", ["-c", program, "bash", cwd, ...words], { encoding: "utf8" }));
  },
  fish: async (words, cwd) => {
    const program = `${await script("fish")}\ncd $argv[1]; complete -C (string join ' ' -- $argv[2..])`;
    const text = execFileSync("fish", ["--no-config", "-c", program, cwd, ...words], { encoding: "utf8" });
    return lines(text).map((line) => line.split("\t")[0]!);
  },
};

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

async function folder(): Promise<string> {
  const path = await temporaryFolder();
  await mkdir(join(path, "some-model"));
  await writeFile(join(path, "some-imatrix.gguf"), "");
  return path;
}

describe.each(Object.entries(SHELLS).filter(([shell]) => isInstalled(shell)))("in %s", (_, ask) => {
  it("offers commands", async () => {
    const offered = await ask(["quern", ""], await folder());
    expect(offered).toEqual(expect.arrayContaining(COMMANDS.map(({ name }) => name)));
    expect(await ask(["quern", "cal"], await folder())).toEqual(["calibrate"]);
    expect(await ask(["quern", "imatrix", "sh"], await folder())).toContain("show");
    expect(await ask(["quern", "help", "inspe"], await folder())).toEqual(["inspect"]);
    expect(await ask(["quern", "help", "exit"], await folder())).toEqual(["exit-codes"]);
  });

  it("offers options of the command", async () => {
    const offered = await ask(["quern", "convert", "--"], await folder());
    expect(offered).toEqual(expect.arrayContaining(["--type", "--recipe", "--dry-run", "--quiet"]));
    expect(offered).not.toContain("--chunk-size");
    expect(await ask(["quern", "imatrix", "merge", "--chunk"], await folder())).toEqual(["--chunk-size"]);
    expect(await ask(["quern", "imatrix", "--process"], await folder())).toEqual(["--process-output"]);
  });

  it("offers types, recipes and containers", async () => {
    const cwd = await folder();
    expect(await ask(["quern", "convert", "x", "--type", ""], cwd)).toEqual(
      expect.arrayContaining([...OUTPUT_TYPES]),
    );
    expect(await ask(["quern", "convert", "x", "--to", "m"], cwd)).toEqual(["mlx"]);
    expect(await ask(["quern", "convert", "x", "--recipe", "gptq-w"], cwd)).toEqual(
      expect.arrayContaining(PRESETS.map(({ name }) => name).filter((name) => name.startsWith("gptq-w"))),
    );
    expect(await ask(["quern", "recipes", "bnb-nf4-d"], cwd)).toEqual(["bnb-nf4-dq"]);
    expect(await ask(["quern", "completions", "z"], cwd)).toEqual(["zsh"]);
  });

  it("offers files for what is a file", async () => {
    const cwd = await folder();
    expect(await ask(["quern", "convert", "x", "--imatrix", "some-i"], cwd)).toEqual(["some-imatrix.gguf"]);
    const models = await ask(["quern", "convert", "some-m"], cwd);
    expect(models.map((name) => name.replace(/\/$/, ""))).toEqual(["some-model"]);
  });
});

describe("in bash", () => {
  const ask = SHELLS["bash"]!;

  it("goes on with a list, in any case", async () => {
    const cwd = await folder();
    expect(await ask(["quern", "convert", "x", "-t", "Q8_0,q4_k_"], cwd)).toEqual([
      "Q8_0,Q4_K_S",
      "Q8_0,Q4_K_M",
    ]);
    expect(await ask(["quern", "convert", "x", "--to", "=", "gp"], cwd)).toEqual(["gptq"]);
    expect(await ask(["quern", "convert", "x", "--to", "="], cwd)).toContain("awq");
  });
});

const PROMPTS = {
  bash: { run: "bash --norc --noprofile -i", load: "source completions" },
  zsh: { run: "zsh -f -i", load: "autoload -U compinit; compinit -u -D; source ./completions" },
};

describe.each(Object.entries(PROMPTS).filter(([shell]) => isInstalled(shell)))(
  "at a prompt of %s",
  (shell, { run, load }) => {
    it.each([
      ["quern calib\t some-mo\t --memory 1G", "<calibrate><some-model/?><--memory><1G>"],
      ["quern convert x --to ml\t --recip\t rtn-w8\t", "<convert><x><--to><mlx><--recipe><rtn-w8-g128>"],
      ["quern imatrix sh\t some-im\t --js\t", "<imatrix><show><some-imatrix.gguf><--json>"],
    ])("completes %j", async (typed, expected) => {
      const cwd = await folder();
      await writeFile(join(cwd, "completions"), await script(shell));
      const { stdout } = spawnSync("script", ["-qec", run, "/dev/null"], {
        cwd,
        input: `PS1=\n${load}\nquern() { printf '<%s>' "$@"; }\n${typed}\nexit\n`,
        encoding: "utf8",
        env: { ...process.env, TERM: "dumb" },
        timeout: 20_000,
      });
      expect(stdout).toMatch(new RegExp(expected));
    });
  },
);
