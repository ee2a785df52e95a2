import { readdir, readFile } from "node:fs/promises";
import { expect, it } from "vitest";

it("README.md lists every error code of calibration", async () => {
  const folder = new URL("./", import.meta.url);
  const names = await readdir(folder, { recursive: true });
  const sources = names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const texts = await Promise.all(sources.map((name) => readFile(new URL(name, folder), "utf8")));
  const codes = new Set(texts.flatMap((text) => text.match(/(?<=")CALIBRATION_[A-Z_]+(?=")/g) ?? []));
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const listed = new Set(readme.match(/(?<=`)CALIBRATION_[A-Z_]+(?=`)/g));
  expect(codes.size).toBeGreaterThan(3);
  expect([...codes].filter((code) => !listed.has(code))).toEqual([]);
});
