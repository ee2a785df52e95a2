import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { MANIFEST } from "./file/schema.ts";
import type { ManifestOrigin } from "./manifest.ts";
import { provenancePairs } from "./provenance.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

const ORIGIN: ManifestOrigin = {
  tool: { name: "quern", version: "1.2.3" },
  source: { kind: "checkpoint", name: "hf:org/name@abc", repository: "org/name", commit: "abc", files: [] },
  recipe: { container: "safetensors", recipe: { name: "mlx-q4" } },
  calibration: { kind: "statistics", sha256: "00" },
};

describe("README.md", () => {
  it("lists every pair of metadata", () => {
    const pairs = provenancePairs(ORIGIN, (text) => text);
    expect(Object.fromEntries(pairs)).toEqual({
      "quern.version": "1.2.3",
      "quern.source": "hf:org/name",
      "quern.source.commit": "abc",
      "quern.recipe": "mlx-q4",
      "quern.recipe.sha256": '{"container":"safetensors","recipe":{"name":"mlx-q4"}}',
      "quern.calibration.sha256": "00",
    });
    const listed = readme.match(/(?<=^\| `)quern\.[\w.]+/gm);
    expect(listed).toEqual([...pairs.keys()]);
  });

  it("names every key at the top of a manifest", () => {
    const { shape } = MANIFEST as unknown as { shape: object };
    const keys = Object.keys(shape);
    expect(keys.length).toBeGreaterThan(5);
    expect(keys.filter((key) => !new RegExp(`^\\|.*\`${key}\\b`, "m").test(readme))).toEqual([]);
  });

  it("lists every error code that is thrown", async () => {
    const folder = new URL("./", import.meta.url);
    const names = (await readdir(folder, { recursive: true })).filter((name) =>
      /(?<!\.test)\.ts$/.test(name),
    );
    const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
    const thrown = texts.flatMap((text) => text.match(/(?<=")MANIFEST_[A-Z_]+(?=")/g) ?? []);
    const listed = readme.match(/(?<=^\|.*`)MANIFEST_[A-Z_]+(?=`.*\|)/gm) ?? [];
    expect(new Set(listed)).toEqual(new Set(thrown));
  });
});
