import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Figures, putTable, tableLines } from "./quality/table-lines.mjs";
import { ROWS } from "./quality/table-rows.mjs";

const figures = JSON.parse(
  readFileSync(new URL("../quality-figures.json", import.meta.url), "utf8"),
) as Figures;

describe("the table of quality", () => {
  it("is in README as its figures say", () => {
    const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
    expect(putTable(readme, tableLines(ROWS, figures))).toBe(readme);
  });

  it("has figures of rows that there are, each with its commit", () => {
    const names = new Set(ROWS.map(({ name }) => name));
    expect(names.size).toBe(ROWS.length);
    for (const [name, { commit }] of Object.entries(figures)) {
      expect(names).toContain(name);
      expect(commit).toMatch(/^[0-9a-f]{7,}$/);
    }
  });

  it("leaves out what was not measured, and keeps what is around it", () => {
    const cost = { bits: 4.25, divergence: 0.0012345, ratio: 0.998 };
    const rows = [{ name: "one" }, { name: "two" }, { name: "three" }];
    const lines = tableLines(rows, {
      three: { commit: "abcdef0", models: { small: cost, large: { ...cost, ratio: 1.01 } } },
      one: { commit: "abcdef0", models: { small: cost } },
    });
    expect(lines.slice(2)).toEqual([
      "| one | 4.25 | 0.00123 | -0.20 % |  |  |",
      "| three | 4.25 | 0.00123 | -0.20 % | 0.00123 | +1.00 % |",
    ]);
    const page = "a\n<!-- quality table -->\n\nold\n\n<!-- end of the quality table -->\nb\n";
    expect(putTable(page, ["new"])).toBe(page.replace("old", "new"));
    expect(() => putTable("a", [])).toThrow("has no");
  });
});
