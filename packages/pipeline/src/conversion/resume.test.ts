import { execFileSync } from "node:child_process";
import { cpSync } from "node:fs";
import {
  appendFile,
  cp,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { QuernError } from "@quern/tensor";
import { readImportance, type Statistics } from "@quern/statistics";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ConversionEvent, ConversionReport } from "../events.ts";
import { goldenModel } from "../layers/testing/checkpoints.ts";
import { randomStatistics } from "../layers/testing/random-statistics.ts";
import type { ConversionPlan, PlanParams } from "../plan.ts";
import { planConversion } from "../planning/plan-conversion.ts";
import { goldenPath } from "../testing/golden.ts";
import { writeManifests } from "../provenance/write-manifests.ts";
import { convert } from "./convert.ts";

let root: string;
/** Where a conversion is interrupted, and gone on with. */
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "resume-"));
  folder = join(root, "out");
  await mkdir(folder);
});
afterEach(() => rm(root, { recursive: true }));

const MODEL = "mixtral";
/** Tensors in a file of the set: there are four files. */
const SPLIT = 6;

/** Two outputs, one of them a split set; all weights are measured. */
async function planIn(directory: string, more: Partial<PlanParams> = {}): Promise<ConversionPlan> {
  return planConversion({
    checkpoint: await openCheckpointDirectory(goldenPath(MODEL, "checkpoint")),
    importance: await readImportance(goldenPath(MODEL, "imatrix.gguf"), { name: "imatrix.gguf" }),
    outputs: [
      { type: "Q4_K_M", path: join(directory, "a.gguf") },
      { type: "Q8_0", path: join(directory, "b.gguf"), split: { maxTensors: SPLIT } },
    ],
    measureErrors: true,
    threads: 0,
    memory: 200_000,
    ...more,
  });
}

const JOURNAL = "a.gguf.partial.journal";

interface Outcome {
  readonly files: Readonly<Record<string, Buffer>>;
  readonly report: ConversionReport;
  readonly events: readonly ConversionEvent[];
}

async function outcomeOf(plan: ConversionPlan): Promise<Outcome> {
  const events: ConversionEvent[] = [];
  const report = await convert(plan, { onEvent: (event) => events.push(event) });
  const paths = plan.outputs.flatMap(({ files }) => files.map(({ path }) => path));
  const contents = await Promise.all(paths.map(async (path) => [basename(path), await readFile(path)]));
  return { files: Object.fromEntries(contents), report, events };
}

/** What does not depend on when and where a conversion ran. */
function facts({ outputs, ...report }: ConversionReport): unknown {
  const { seconds: _seconds, profile: _profile, ...rest } = report;
  return {
    ...rest,
    outputs: outputs.map(({ files, ...output }) => ({
      ...output,
      files: files.map(({ path, bytes }) => ({ name: basename(path), bytes })),
    })),
  };
}

async function uninterrupted(more: Partial<PlanParams> = {}): Promise<Outcome> {
  const directory = join(root, "whole");
  await mkdir(directory);
  return outcomeOf(await planIn(directory, more));
}

/** Goes on in the folder, and compares with a conversion that nobody interrupted. */
async function expectSame(more: Partial<PlanParams> = {}, expected?: Outcome): Promise<Outcome> {
  const whole = expected ?? (await uninterrupted(more));
  const resumed = await outcomeOf(await planIn(folder, more));
  expect(Object.keys(resumed.files)).toEqual(Object.keys(whole.files));
  for (const [name, bytes] of Object.entries(whole.files)) {
    expect(resumed.files[name]!.equals(bytes), name).toBe(true);
  }
  expect(facts(resumed.report)).toEqual(facts(whole.report));
  expect((await readdir(folder)).sort()).toEqual(Object.keys(whole.files).sort());
  return resumed;
}

function resumedIn({ events }: Outcome): Extract<ConversionEvent, { type: "resume" }> | undefined {
  return events.find((event) => event.type === "resume");
}

/** The folder as it is when so many tensors are done: what a crash at this moment leaves. */
async function crashAt(finished: number, more: Partial<PlanParams> = {}): Promise<void> {
  const directory = join(root, "crashing");
  await mkdir(directory);
  let copied = false;
  await convert(await planIn(directory, more), {
    onEvent: (event) => {
      if (copied || event.type !== "tensor:done" || event.finished < finished) return;
      copied = true;
      cpSync(directory, folder, { recursive: true });
    },
  });
}

/** The folder with all tensors, and no final names. */
async function crashBeforeNames(): Promise<void> {
  const plan = await planIn(folder);
  const inTheWay = plan.outputs[0]!.files[0]!.path;
  await writeFile(inTheWay, "theirs");
  await expect(convert(plan)).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
  await rm(inTheWay);
}

/** Of a file that has its name. */
const place = (name: string): Promise<void> => rename(join(folder, `${name}.partial`), join(folder, name));

describe.each<Partial<PlanParams>>([
  { threads: 0 },
  { threads: 2 },
  { threads: 0, backend: "wasm" },
  { threads: 0, force: true },
])("a conversion that crashed, with %o", (more) => {
  it.each([3, 12])("goes on after %i tensors, and ends in the same bytes and report", async (finished) => {
    await crashAt(finished, more);
    const resumed = await expectSame(more);
    // That a tensor is done is known before it has been hashed and noted.
    const { tensors = 0, redone = 0 } = resumedIn(resumed) ?? {};
    expect(redone).toBe(0);
    expect(tensors).toBeGreaterThanOrEqual(finished > 3 ? 4 : 0);
  });
});

describe("what is found", () => {
  it("is not done again", async () => {
    await crashBeforeNames();
    const { events } = await expectSame();
    expect(events.filter(({ type }) => type === "progress" || type === "tensor:done")).toEqual([]);
    const tensors = (await planIn(join(root, "unused"))).tensors.length;
    expect(events[1]).toMatchObject({ type: "resume", tensors, redone: 0 });
  });

  it("is done again where bytes are others", async () => {
    await crashBeforeNames();
    const plan = await planIn(folder);
    const { path, layout } = plan.outputs[0]!.files[0]!;
    const handle = await open(`${path}.partial`, "r+");
    await handle.write(Uint8Array.of(0xff, 0x5a, 0xff), 0, 3, layout.tensors[3]!.offset);
    await handle.close();
    const resumed = await expectSame();
    expect(resumedIn(resumed)).toMatchObject({ redone: 1 });
    expect(resumed.events.filter(({ type }) => type === "tensor:done")).toMatchObject([
      { name: layout.tensors[3]!.name },
    ]);
  });

  it.each([
    ["has another size", (path: string) => truncate(path, 5000)],
    ["has another header", (path: string) => writeAt(path, "GGUX")],
    ["is gone", (path: string) => rm(path)],
  ])("is done again where a file %s", async (_what, damage) => {
    await crashBeforeNames();
    await damage(join(folder, "b-00002-of-00004.gguf.partial"));
    const resumed = await expectSame();
    const done = resumed.events.filter(({ type }) => type === "tensor:done");
    expect(done).toHaveLength(SPLIT);
  });

  it.each([
    ["torn in its last line", (path: string) => stat(path).then(({ size }) => truncate(path, size - 7))],
    [
      "torn in the midst",
      (path: string) => stat(path).then(({ size }) => truncate(path, Math.floor(size / 2))),
    ],
    ["torn in its first line", (path: string) => truncate(path, 100)],
    ["empty", (path: string) => truncate(path, 0)],
    ["gone", (path: string) => rm(path)],
    ["followed by something else", (path: string) => appendFile(path, '\0\0\0{"tensor":5}\n{}\n')],
  ])("is of no harm when the journal is %s", async (_what, damage) => {
    await crashAt(8);
    await damage(join(folder, JOURNAL));
    expect(resumedIn(await expectSame())?.redone ?? 0).toBe(0);
  });
});

async function writeAt(path: string, text: string): Promise<void> {
  const handle = await open(path, "r+");
  await handle.write(text, 0);
  await handle.close();
}

describe("a crash while names are given", () => {
  const parts = [1, 2, 3, 4].map((part) => `b-0000${part}-of-00004.gguf`);
  const finishing = (index: number): Promise<void> =>
    appendFile(join(folder, JOURNAL), `${JSON.stringify({ finishing: index })}\n`);

  it.each<[string, () => Promise<void>, boolean]>([
    ["before the first one", async () => undefined, false],
    ["when a file has both names", () => link(join(folder, "a.gguf.partial"), join(folder, "a.gguf")), false],
    ["when an output has its name", () => place("a.gguf"), false],
    [
      "when some files of a set have theirs",
      async () => {
        await place("a.gguf");
        await finishing(1);
        await place(parts[1]!);
        await place(parts[2]!);
      },
      false,
    ],
    [
      "when all have theirs",
      async () => {
        await place("a.gguf");
        await finishing(1);
        for (const part of parts) await place(part);
      },
      false,
    ],
    [
      "when older files are replaced",
      async () => {
        await writeFile(join(folder, "a.gguf"), "older");
        await finishing(1);
        for (const part of parts.slice(1)) await writeFile(join(folder, part), "older");
        await place(parts[2]!);
      },
      true,
    ],
  ])("%s", async (_when, crash, force) => {
    await crashBeforeNames();
    await crash();
    const { events } = await expectSame({ force });
    expect(events.filter(({ type }) => type === "progress")).toEqual([]);
  });

  it("or before the manifests are there, or only some of them", async () => {
    const provenance = { tool: { name: "tests", version: "1" } };
    const contents = async (directory: string): Promise<Record<string, string>> => {
      const names = (await readdir(directory)).sort();
      const texts = names.map(async (name) => [name, await readFile(join(directory, name), "latin1")]);
      return Object.fromEntries(await Promise.all(texts)) as Record<string, string>;
    };
    const run = async (directory: string, fail: () => Promise<void>): Promise<ConversionEvent[]> => {
      const plan = await planIn(directory, { provenance });
      const events: ConversionEvent[] = [];
      await convert(plan, {
        onEvent: (event) => events.push(event),
        onWritten: async (report) => {
          await writeManifests({ plan, report });
          await fail();
        },
      });
      return events;
    };
    const whole = join(root, "whole");
    await mkdir(whole);
    await run(whole, async () => undefined);
    const expected = await contents(whole);
    expect(Object.keys(expected).filter((name) => name.endsWith(".manifest.json"))).toHaveLength(2);
    const manifest = (name: string): string => join(folder, `${name}.manifest.json`);
    for (const lost of [["a.gguf", "b-00001-of-00004.gguf"], ["b-00001-of-00004.gguf"], []]) {
      const crash = run(folder, async () => {
        for (const name of lost) await rm(manifest(name));
        throw new QuernError("OUTPUT_DISK_FULL", "the disk is full");
      });
      await expect(crash).rejects.toMatchObject({ code: "OUTPUT_DISK_FULL" });
      expect(await readdir(folder)).toContain(JOURNAL);
    }
    await writeFile(manifest("a.gguf"), "theirs");
    await expect(run(folder, async () => undefined)).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    expect(await readFile(manifest("a.gguf"), "utf8")).toBe("theirs");
    await rm(manifest("a.gguf"));
    const events = await run(folder, async () => undefined);
    expect(events.filter(({ type }) => type === "tensor:done")).toEqual([]);
    expect(await contents(folder)).toEqual(expected);
  });

  it("does not take another file for one that it has named", async () => {
    await crashBeforeNames();
    await place("a.gguf");
    const path = join(folder, "a.gguf");
    const bytes = await readFile(path);
    const { offset } = (await planIn(folder)).outputs[0]!.tensors[2]!;
    bytes[offset]! ^= 1;
    await writeFile(path, bytes);
    await expect(convert(await planIn(folder))).rejects.toMatchObject({
      code: "RESUME_FILE_CHANGED",
      subject: { file: path },
    });
    expect((await readFile(path)).equals(bytes)).toBe(true);
    await writeFile(path, "something else");
    await expect(planIn(folder)).rejects.toMatchObject({ code: "OUTPUT_EXISTS", subject: { file: path } });
    await expectSame({ force: true });
  });
});

describe("another conversion", () => {
  it.each<[string, Partial<PlanParams>]>([
    ["tool", { tool: "quern 9.9.9" }],
    ["measured", { measureErrors: false }],
  ])("is refused, as it differs in the %s, unless it restarts", async (part, more) => {
    await crashAt(4);
    const error = { code: "RESUME_OTHER_RUN", subject: { file: join(folder, JOURNAL), key: part } };
    await expect(planIn(folder, more)).rejects.toMatchObject(error);
    const whole = await uninterrupted(more);
    const resumed = await outcomeOf(await planIn(folder, { ...more, restart: true }));
    expect(resumedIn(resumed)).toBeUndefined();
    expect(facts(resumed.report)).toEqual(facts(whole.report));
  });

  it("leaves nothing of the earlier one behind when it restarts with fewer files", async () => {
    await crashAt(4);
    await writeFile(join(folder, "theirs.gguf.partial"), "of nobody's journal");
    const outputs = [{ type: "Q5_K_M", path: join(folder, "a.gguf") }];
    await convert(await planIn(folder, { outputs, restart: true }));
    expect((await readdir(folder)).sort()).toEqual(["a.gguf", "theirs.gguf.partial"]);
  });

  it("is refused when its weights have been changed, or it makes something else", async () => {
    const copy = join(root, "copy");
    await cp(goldenPath(MODEL, "checkpoint"), copy, { recursive: true });
    const checkpoint = await openCheckpointDirectory(copy);
    await crashAt(4);
    await expect(planIn(folder, { checkpoint })).rejects.toMatchObject({ subject: { key: "source" } });
    const outputs = [{ type: "Q5_K_M", path: join(folder, "a.gguf") }];
    await expect(planIn(folder, { outputs })).rejects.toMatchObject({ subject: { key: "recipe" } });
  });

  it("is refused by the run, too, if it came since the plan", async () => {
    const planned = await planIn(folder, { tool: "quern 9.9.9" });
    await crashAt(4);
    await expect(convert(planned)).rejects.toMatchObject({ code: "RESUME_OTHER_RUN" });
    await expectSame();
  });

  it("cannot write the same files at the same time", async () => {
    const planned = await planIn(folder);
    let tried: Promise<unknown> = Promise.resolve();
    await convert(planned, {
      onEvent: (event) => {
        if (event.type !== "start") return;
        const attempts = [planIn(folder), planIn(folder, { restart: true }), convert(planned)];
        tried = Promise.allSettled(attempts);
      },
    });
    const refused = { status: "rejected", reason: expect.objectContaining({ code: "OUTPUT_IN_USE" }) };
    const attemptsRefused = [refused, refused, refused];
    expect(await tried).toEqual(attemptsRefused);
  });

  it("goes on with what a process has left that lives no more", async () => {
    await crashAt(4);
    const path = join(folder, JOURNAL);
    const journal = await readFile(path, "utf8");
    const { pid } = process;
    // The parent of this process is there, and was not started then.
    const other = journal.replace(
      new RegExp(`"pid":${pid},"started":"\\d+"`),
      `"pid":${process.ppid},"started":"1"`,
    );
    await writeFile(path, other);
    expect(resumedIn(await expectSame())).toMatchObject({ redone: 0 });
  });
});

describe("an error", () => {
  it("of weights leaves nothing", async () => {
    const copy = join(root, "copy");
    await cp(goldenPath(MODEL, "checkpoint"), copy, { recursive: true });
    const checkpoint = await openCheckpointDirectory(copy);
    const last = [...checkpoint.tensors.values()].at(-1)!;
    const handle = await open(join(copy, last.shard), "r+");
    await handle.write(Buffer.alloc(last.size, 0xff), 0, last.size, last.offset);
    await handle.close();
    await expect(convert(await planIn(folder, { checkpoint }))).rejects.toMatchObject({
      code: "WEIGHT_NOT_FINITE",
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it("of reading leaves what is complete", async () => {
    const copy = join(root, "copy");
    await cp(goldenPath(MODEL, "checkpoint"), copy, { recursive: true });
    const checkpoint = await openCheckpointDirectory(copy);
    const shard = join(copy, checkpoint.shards.at(-1)!.name);
    const planned = await planIn(folder, { checkpoint, threads: 0 });
    await rename(shard, `${shard}.away`);
    const failed = convert(planned);
    await expect(failed).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
    await rename(`${shard}.away`, shard);
    await expectSame({ checkpoint });
  });

  it.skipIf(!canMount())(
    "of a disk that is full leaves what is complete, which counts when there is room",
    async () => {
      const size = (await planIn(folder)).outputs.reduce((sum, { fileSize }) => sum + fileSize, 0);
      const planned = await planIn(folder);
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${Math.floor(size / 2)}`, "tmpfs", folder]);
      try {
        await expect(convert(planned)).rejects.toMatchObject({ code: "OUTPUT_DISK_FULL" });
        expect(await readdir(folder)).toContain(JOURNAL);
        await expect(planIn(folder)).rejects.toMatchObject({ code: "OUTPUT_NO_SPACE" });
        execFileSync("mount", ["-o", `remount,size=${size + 2 ** 19}`, folder]);
        const resumed = await expectSame();
        expect(resumedIn(resumed)!.tensors).toBeGreaterThan(0);
      } finally {
        execFileSync("umount", [folder]);
      }
    },
  );
});

/** Only the superuser may, and not in every container. */
function canMount(): boolean {
  try {
    const point = execFileSync("mktemp", ["-d"], { encoding: "utf8" }).trim();
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", point], { stdio: "ignore" });
    execFileSync("umount", [point]);
    return true;
  } catch {
    return false;
  }
}

const ROUNDED = "llama2-spm";

describe("layers that are rounded by inputs", () => {
  let statistics: Statistics;
  let request: Partial<PlanParams>;
  beforeEach(async () => {
    const model = await goldenModel(ROUNDED);
    const path = join(root, "statistics.safetensors");
    statistics = await randomStatistics({ model, path, tokens: 640 });
    request = {
      checkpoint: model.checkpoint,
      memory: 2 ** 23,
      importance: await readImportance(path, { name: "statistics.safetensors" }),
      outputs: ["Q4_K_M", "Q5_K_S"].map((type, index) => {
        return { type, path: join("", `${index === 0 ? "a" : "b"}.gguf`) };
      }),
      rounding: { method: { name: "gptq", options: { order: "descending", passes: 1 } }, statistics },
    };
  });
  afterEach(() => statistics.close());

  const within = (directory: string): Partial<PlanParams> => ({
    ...request,
    outputs: request.outputs!.map((output) => ({ ...output, path: join(directory, output.path!) })),
  });

  it.each([3, 15])("are kept, too, after %i tensors", async (finished) => {
    const [whole, crashing] = [join(root, "whole"), join(root, "crashing")];
    await Promise.all([mkdir(whole), mkdir(crashing)]);
    const expected = await outcomeOf(await planIn(whole, within(whole)));
    let copied = false;
    await convert(await planIn(crashing, within(crashing)), {
      onEvent: (event) => {
        if (copied || event.type !== "tensor:done" || event.finished < finished) return;
        copied = true;
        cpSync(crashing, folder, { recursive: true });
      },
    });
    const resumed = await expectSame(within(folder), expected);
    expect(resumedIn(resumed)).toMatchObject({ redone: 0 });
  });

  it("are refused with other statistics", async () => {
    await convert(await planIn(folder, within(folder)), {
      onEvent: (event) => {
        if (event.type === "done") return;
        if (event.type === "tensor:done" && event.finished === 3)
          cpSync(folder, join(root, "copy"), { recursive: true });
      },
    });
    const path = join(root, "other.safetensors");
    const other = await randomStatistics({ model: await goldenModel(ROUNDED), path, tokens: 320 });
    const copy = join(root, "copy");
    const { method } = request.rounding!;
    const planned = planIn(copy, { ...within(copy), rounding: { method, statistics: other } });
    await expect(planned).rejects.toMatchObject({ code: "RESUME_OTHER_RUN", subject: { key: "rounding" } });
    await other.close();
  });
});
