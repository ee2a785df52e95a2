import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { parseRecipe } from "./file/parse-recipe.ts";
import { RECIPE_FILE, recipeSchema } from "./file/schema.ts";
import type { LinearLayer } from "./resolved.ts";
import { resolveRecipe } from "./resolve-recipe.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
const files = [...readme.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);

const LINEARS = [0, 1, 31].flatMap((block): LinearLayer[] =>
  ["q", "down"].map((role) => ({
    module: `model.layers.${block}.${role === "q" ? "self_attn" : "mlp"}.${role}_proj`,
    rows: 4096,
    columns: 4096,
    role,
    type: "BF16",
  })),
);

describe("README.md", () => {
  it("has recipe files that do what it says", () => {
    const [smaller, careful, whole] = files.map((text) => {
      const recipe = parseRecipe({ text, file: "example.yaml" });
      return { recipe, ...resolveRecipe(recipe, LINEARS) };
    });
    expect(files).toHaveLength(3);
    expect(smaller!.decisions[0]).toMatchObject({
      format: "gptq",
      parameters: { bits: 4, tile: { columns: 32 } },
    });
    expect(careful!.warnings).toEqual([]);
    expect(careful!.decisions.map(({ keep }) => keep === true)).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
    ]);
    expect(careful!.decisions[3]).toMatchObject({
      parameters: { bits: 8 },
      treatment: { rounding: { name: "nearest" } },
    });
    expect(whole!.recipe.name).toBe("example");
    expect(whole!.transforms).toEqual([{ name: "awq", options: { steps: 40 } }]);
  });

  it("names every key of recipe files", () => {
    const { properties } = recipeSchema() as { properties: Record<string, { properties?: object }> };
    const parameters = Object.keys(properties["parameters"]!.properties!).map((key) => `parameters.${key}`);
    const keys = [
      ...Object.keys(properties).filter((key) => !["parameters", "rules"].includes(key)),
      ...parameters,
    ];
    expect(keys.filter((key) => !new RegExp(`^\\|.*\`${key}\``, "m").test(readme))).toEqual([]);
    expect(RECIPE_FILE.safeParse({ unheard: 1 }).success).toBe(false);
  });

  it("lists every error code that is thrown", async () => {
    const folder = new URL("./", import.meta.url);
    const names = (await readdir(folder, { recursive: true })).filter((name) =>
      /(?<!\.test)\.ts$/.test(name),
    );
    const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
    const thrown = texts.flatMap((text) => text.match(/(?<=")RECIPE_[A-Z_]+(?=")/g) ?? []);
    const listed = readme.match(/(?<=^\|.*`)RECIPE_[A-Z_]+(?=`.*\|)/gm) ?? [];
    expect(new Set(listed)).toEqual(new Set(thrown));
  });
});
