import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createStatisticsWriter, openStatistics, percentile, planStatistics } from "./index.ts";
import { SAMPLE_INPUTS } from "./testing/statistics.ts";
import { entriesOf, tensorOf } from "./statistics-file/entries.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

async function codesThrown(): Promise<Set<string>> {
  const folder = new URL("./", import.meta.url);
  const names = await readdir(folder, { recursive: true });
  const sources = names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const texts = await Promise.all(sources.map((name) => readFile(new URL(name, folder), "utf8")));
  return new Set(
    texts.flatMap((text) => text.match(/(?<=")(?:STATISTICS|IMPORTANCE)_[A-Z0-9_]+(?=")/g) ?? []),
  );
}

describe("README.md", () => {
  it("lists every error code that is thrown, and no other", async () => {
    const listed = readme.slice(readme.indexOf("## Errors")).match(/(?<=^\| `)[A-Z0-9_]+(?=` \|)/gm) ?? [];
    expect(new Set(listed)).toEqual(await codesThrown());
  });

  it("lists the tensors of an input, and their types", () => {
    const [input] = SAMPLE_INPUTS;
    const listed = [...readme.matchAll(/^\| `((?:holdout\.)?NAME\.[a-z_]+)` \| (\w+) \|/gm)];
    expect(listed.map(([, name, type]) => [name, type])).toEqual(
      entriesOf(input!).map((entry) => {
        const { name, type } = tensorOf(input!, entry);
        return [name.replace(input!.name, "NAME"), type];
      }),
    );
  });

  it("shows how a file is written", async () => {
    const folder = await mkdtemp(join(tmpdir(), "statistics-"));
    const path = join(folder, "tiny.stats.safetensors");
    const [, block] = readme.split("## Write one")[1]!.match(/```ts\n([\s\S]*?)```/)!;
    const code = block!.replace(/^import .*$/m, "").replaceAll(" as const", "");
    const names = ["createStatisticsWriter", "planStatistics", "console"];
    // The example is a program of its own; what it imports is given to it.
    // oxlint-disable-next-line typescript/no-implied-eval -- text of this repository
    const run = new Function(
      ...names,
      `return (async () => {${code.replace("tiny.stats.safetensors", path)}})()`,
    );
    await run(createStatisticsWriter, planStatistics, { log: () => undefined });
    const statistics = await openStatistics(path);
    expect([...(await statistics.readHessian({ module: "output" }))]).toEqual([1024, 1024, 1024, 1024]);
    const histogram = await statistics.readHistogram("output");
    expect(percentile({ histogram, share: 0.5, most: 1 })).toBe(1);
    await statistics.close();
    await rm(folder, { recursive: true });
  });
});
