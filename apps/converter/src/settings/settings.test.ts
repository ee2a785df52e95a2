import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { type CliRun, demoCheckpoint, runCli, temporaryFolder } from "../testing/run-cli.ts";
import { readSettings } from "./read-settings.ts";

interface Places {
  readonly cwd: string;
  readonly env: Record<string, string>;
}

/** Folders with the files of a project and of a user. */
async function places(files: { project?: unknown; user?: unknown }): Promise<Places> {
  const cwd = await temporaryFolder();
  const home = await temporaryFolder();
  const text = (content: unknown): string =>
    typeof content === "string" ? content : JSON.stringify(content);
  if (files.project !== undefined) await writeFile(join(cwd, "quern.config.json"), text(files.project));
  if (files.user !== undefined) {
    await mkdir(join(home, "quern"));
    await writeFile(join(home, "quern", "config.json"), text(files.user));
  }
  return { cwd, env: { XDG_CONFIG_HOME: home } };
}

/** A plan of a conversion, with the threads and the memory that it would take. */
async function plan(where: Places, ...more: readonly string[]): Promise<CliRun> {
  return runCli({ argv: ["plan", demoCheckpoint, "-t", "Q8_0", "--json", ...more], ...where });
}

function threadsOf(plan: Record<string, unknown> | undefined): unknown {
  return (plan?.["resources"] as { threads?: unknown } | undefined)?.threads;
}

describe("settings", () => {
  it("come from the command line, the environment, the project, the user, in this order", async () => {
    const where = await places({ project: { threads: 2 }, user: { threads: 3, memory: "100MB" } });
    const threads = async (env: Record<string, string>, ...argv: readonly string[]): Promise<unknown> => {
      const { host, exitCode } = await plan({ ...where, env: { ...where.env, ...env } }, ...argv);
      expect(exitCode).toBe(0);
      return threadsOf(host.records[0]);
    };
    expect(await threads({ QUERN_THREADS: "4" }, "--threads", "1")).toBe(1);
    expect(await threads({ QUERN_THREADS: "4" })).toBe(4);
    expect(await threads({})).toBe(2);
    expect(threadsOf((await plan(await places({ user: { threads: 3 } }))).host.records[0])).toBe(3);
  });

  it("are shown with where they come from", async () => {
    const where = await places({ project: { threads: 2 }, user: { threads: 3, memory: 1_000_000 } });
    const env = { ...where.env, QUERN_KERNELS: "wasm" };
    const { host, exitCode } = await runCli({ argv: ["config", "--json"], ...where, env });
    expect(exitCode).toBe(0);
    const project = join(where.cwd, "quern.config.json");
    const user = join(where.env["XDG_CONFIG_HOME"]!, "quern", "config.json");
    expect(host.records).toEqual([
      {
        settings: [
          { key: "threads", value: "2", source: { kind: "project", name: project } },
          { key: "memory", value: "1000000", source: { kind: "user", name: user } },
          { key: "kernels", value: "wasm", source: { kind: "environment", name: "QUERN_KERNELS" } },
          { key: "cache", value: null, source: { kind: "default" } },
          { key: "offline", value: null, source: { kind: "default" } },
          { key: "progress", value: null, source: { kind: "default" } },
        ],
        files: [project, user],
      },
    ]);
    const { stdout } = await runCli({ argv: ["config"], ...where, env });
    expect(stdout).toMatch(/^threads +2 +\S+quern\.config\.json/m);
    expect(stdout).toMatch(/^progress +yes +default/m);
  });

  it("say nothing about options that a command has not, and switch progress off", async () => {
    const where = await places({ project: { progress: false, threads: 1 } });
    expect((await runCli({ argv: ["types"], ...where })).exitCode).toBe(0);
    const { stderr } = await runCli({ argv: ["convert", demoCheckpoint, "-t", "Q8_0"], ...where });
    expect(stderr).toContain("kernels");
    expect(stderr).not.toContain("converting");
  });

  it("are told of with --verbose", async () => {
    const { stderr } = await plan(await places({ project: { threads: 1 } }), "--verbose");
    expect(stderr).toMatch(/^threads: 1 \(.*quern\.config\.json\)$/m);
  });

  it("of a newer version are left alone, with a warning", async () => {
    const where = await places({ project: { $schema: "./quern.schema.json", threads: 1, colours: "many" } });
    const { exitCode, stderr, host } = await plan(where);
    expect([exitCode, threadsOf(host.records[0])]).toEqual([0, 1]);
    expect(stderr).toContain('there is no setting "colours"');
    expect((await plan(where, "--quiet")).stderr).toBe("");
    const config = await runCli({ argv: ["config"], ...where });
    expect(config.stderr).toContain('there is no setting "colours"');
    expect((await runCli({ argv: ["config", "--quiet"], ...where })).stderr).toBe("");
  });

  it.each([
    ["not JSON", "{", "SETTINGS_INVALID"],
    ["no object", "[1]", "SETTINGS_INVALID"],
    ["a value of another kind", { threads: "many" }, "SETTINGS_INVALID"],
    ["a fraction", { threads: 1.5 }, "SETTINGS_INVALID"],
    ["a size that is none", { memory: "much" }, "SETTINGS_INVALID"],
    ["kernels that are none", { kernels: "fast" }, "SETTINGS_INVALID"],
    ["more than settings have", `{ "a": "${"x".repeat(2 ** 20)}" }`, "SETTINGS_UNREADABLE"],
    ["a token", { hfToken: "hf_secret" }, "SETTINGS_TOKEN"],
  ])("refuse %s", async (_, project, code) => {
    const { exitCode, host, stderr } = await plan(await places({ project }));
    expect(exitCode).toBe(exitCodes.usage);
    expect(host.records).toEqual([expect.objectContaining({ type: "error", code })]);
    expect(`${stderr}${host.stdout.text}`).not.toContain("hf_secret");
  });

  it("have a schema that lists them", async () => {
    const { stdout } = await runCli({ argv: ["config", "--schema"] });
    const { properties } = JSON.parse(stdout) as { properties: Record<string, unknown> };
    const { effective } = await readSettings(await places({}));
    expect(Object.keys(properties)).toEqual(["$schema", ...effective.map(({ setting }) => setting.key)]);
  });
});
