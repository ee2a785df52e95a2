import { readdir, readFile } from "node:fs/promises";
import { expect, it } from "vitest";

it("lists every error code that is thrown, and no other", async () => {
  const folder = new URL("./", import.meta.url);
  const names = await readdir(folder, { recursive: true });
  const sources = names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const texts = await Promise.all(sources.map((name) => readFile(new URL(name, folder), "utf8")));
  const thrown = texts.flatMap((text) => text.match(/(?<=QuernError\(\s*")[A-Z_]+(?=")/g) ?? []);
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const errors = readme.slice(readme.indexOf("## Errors"));
  const listed = errors.match(/(?<=^(?:\| )?`)[A-Z_]+(?=`)/gm) ?? [];
  expect(new Set(listed)).toEqual(new Set(thrown));
});
