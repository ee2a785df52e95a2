import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { CALIBRATORS, GRIDS, ROUNDINGS, TRANSFORMS } from "./registry.ts";

async function codesThrown(): Promise<Set<string>> {
  const folder = new URL("./", import.meta.url);
  const names = await readdir(folder, { recursive: true });
  const sources = names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const texts = await Promise.all(sources.map((name) => readFile(new URL(name, folder), "utf8")));
  return new Set(texts.flatMap((text) => text.match(/(?<=")QUANTIZE_[A-Z0-9_]+(?=")/g) ?? []));
}

describe("README.md", () => {
  it("lists every error code that is thrown, and no other", async () => {
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const listed = readme.match(/(?<=^\| `)QUANTIZE_[A-Z0-9_]+(?=` \|)/gm) ?? [];
    expect(new Set(listed)).toEqual(await codesThrown());
  });

  it("lists every member of every axis", async () => {
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const names = [GRIDS, ROUNDINGS, CALIBRATORS, TRANSFORMS].flatMap((members) => Object.keys(members));
    expect(names.filter((name) => !readme.includes(`| \`${name}\` |`))).toEqual([]);
  });
});
