import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FORWARD, forwardCase, loadCase, runCase } from "../../testing/forward-case.ts";
import type { LinearInput } from "../evaluate/evaluation.ts";
import { type LinearInputs, linearInputs, outputInputs } from "./linear-inputs.ts";
import { planForward } from "./plan-forward.ts";

const names = readdirSync(FORWARD).flatMap((file) => (file.endsWith(".json") ? [file.slice(0, -5)] : []));

/** Groups as they show when a model runs: by array, stacked layers by their matrix too. */
function groupsOf(observed: readonly LinearInput[], tokens: number): LinearInputs[] {
  const modulesOf = new Map<Float32Array, Set<string>>();
  const rows = new Map<string, number>();
  const columns = new Map<string, number>();
  for (const input of observed) {
    const modules = modulesOf.get(input.input) ?? new Set();
    modulesOf.set(input.input, modules.add(input.module));
    rows.set(input.module, (rows.get(input.module) ?? 0) + input.rows);
    columns.set(input.module, input.columns);
  }
  const groups = new Map<string, LinearInputs>();
  for (const modules of modulesOf.values()) {
    const [name] = modules as unknown as [string];
    groups.set(name, {
      name,
      modules: [...modules],
      columns: columns.get(name)!,
      matrices: 0,
      rowsPerToken: rows.get(name)! / tokens,
    });
  }
  return [...groups.values()];
}

describe("linearInputs", () => {
  it("covers the cases of the forward pass", () => expect(names.length).toBeGreaterThan(50));

  it.each(names)("tells of %s what shows when it runs", async (name) => {
    const given = forwardCase(name);
    const loaded = await loadCase(given);
    const observed: LinearInput[] = [];
    const observe = (input: LinearInput): void => void observed.push({ ...input });
    await runCase({ loaded, tokens: given.tokens, observe });
    const { blocks, output } = planForward(loaded.model);
    const planned = [
      ...blocks.flatMap((block) => linearInputs(block)),
      ...(outputInputs(output) === undefined ? [] : [outputInputs(output)!]),
    ];
    const comparable = (groups: readonly LinearInputs[]): unknown =>
      groups
        .map(({ name, modules, columns, rowsPerToken }) => {
          return { name, modules: [...modules].sort(), columns, rowsPerToken };
        })
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    expect(comparable(planned)).toEqual(comparable(groupsOf(observed, given.tokens.length)));
    for (const { module, matrix } of observed) {
      const { matrices } = planned.find(({ modules }) => modules.includes(module))!;
      expect(matrix ?? 0).toBeLessThan(matrices);
      expect(matrix !== undefined || matrices === 1).toBe(true);
    }
  });
});
