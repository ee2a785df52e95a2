import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

async function codesThrown(): Promise<Set<string>> {
  const folder = new URL("./", import.meta.url);
  const names = await readdir(folder, { recursive: true });
  const sources = names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const texts = await Promise.all(sources.map((name) => readFile(new URL(name, folder), "utf8")));
  return new Set(texts.flatMap((text) => text.match(/(?<=")(?:CORPUS|TOKENIZER)_[A-Z0-9_]+(?=")/g) ?? []));
}

describe("README.md", () => {
  it("lists every error code that is thrown, and no other", async () => {
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const rows = readme.slice(readme.indexOf("## Errors")).match(/^\| `.*?` \|/gm) ?? [];
    const listed = rows.flatMap((row) => row.match(/(?<=`)[A-Z0-9_]+(?=`)/g) ?? []);
    expect(new Set(listed)).toEqual(await codesThrown());
  });
});
