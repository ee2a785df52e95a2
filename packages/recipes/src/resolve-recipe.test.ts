import { describe, expect, it } from "vitest";
import { withParameters } from "./check-recipe.ts";
import { checkContainer, containerNamed, containerOf, CONTAINERS } from "./containers.ts";
import { presetNamed } from "./presets/registry.ts";
import type { QuantizationRecipe } from "./recipe.ts";
import type { LinearLayer } from "./resolved.ts";
import { resolveRecipe } from "./resolve-recipe.ts";

function linear(module: string, role: string, type: LinearLayer["type"] = "BF16"): LinearLayer {
  return { module, rows: 64, columns: 128, role, type };
}

const LINEARS = [
  linear("model.layers.0.self_attn.q_proj", "q"),
  linear("model.layers.0.mlp.down_proj", "down"),
  linear("model.layers.1.self_attn.q_proj", "q"),
  linear("model.layers.1.mlp.down_proj", "down"),
  linear("lm_head", "output"),
];

function kept(recipe: QuantizationRecipe): string[] {
  return resolveRecipe(recipe, LINEARS).decisions.flatMap(({ keep, module }) => (keep ? [module] : []));
}

describe("resolveRecipe", () => {
  it("decides about all layers, in their order", () => {
    const resolved = resolveRecipe(presetNamed("gptq-w4-g128"), LINEARS);
    expect(resolved.decisions.map(({ module }) => module)).toEqual(LINEARS.map(({ module }) => module));
    expect(resolved.decisions[0]).toEqual({
      module: "model.layers.0.self_attn.q_proj",
      format: "gptq",
      parameters: {
        bits: 4,
        tile: { rows: 1, columns: 128 },
        symmetric: true,
        scaleType: "F16",
        weightType: "BF16",
      },
      treatment: {
        grid: {
          name: "uniform",
          options: { bits: 4, symmetric: true, tile: { columns: 128 }, scaleType: "F16" },
        },
        rounding: { name: "gptq", options: { order: "descending", passes: 2, refitScales: true } },
        calibrator: { name: "mean-squared-error", options: { steps: 40, mostShrink: 0.6, norm: 2 } },
      },
      guard: true,
      correctBias: false,
    });
    expect(resolved).toMatchObject({ transforms: [], statistics: "hessian", warnings: [] });
  });

  it("keeps the output layer unless a rule matches it", () => {
    const recipe = presetNamed("w4a16");
    expect(kept(recipe)).toEqual(["lm_head"]);
    expect(kept({ ...recipe, rules: [{ roles: ["output"], parameters: { bits: 8 } }] })).toEqual([]);
    expect(kept(presetNamed("mlx-q4"))).toEqual([]);
  });

  it("keeps routers unless a rule matches them", () => {
    const linears = [linear("mlp.gate", "router"), linear("mlp.shared_expert_gate", "shared-router")];
    const recipe = presetNamed("w4a16");
    expect(resolveRecipe(recipe, linears).decisions.every(({ keep }) => keep)).toBe(true);
    const changed = resolveRecipe({ ...recipe, rules: [{ roles: ["router"] }] }, linears);
    expect(changed.decisions.map(({ keep }) => keep === true)).toEqual([false, true]);
  });

  it("says what becomes of layers whose size does not fit", () => {
    const unfit = { ...LINEARS[1]!, columns: 100 };
    const recipe = presetNamed("w4a16");
    const refused = resolveRecipe(recipe, [unfit]);
    expect(refused).toMatchObject({ decisions: [{ parameters: { tile: { columns: 128 } } }], warnings: [] });
    const keep = resolveRecipe({ ...recipe, unfit: "keep" }, [LINEARS[0]!, unfit]);
    expect(keep.decisions.map((decision) => decision.keep === true)).toEqual([false, true]);
    expect(keep.warnings).toMatchObject([{ code: "RECIPE_LAYERS_UNFIT", subject: { tensor: unfit.module } }]);
    expect(keep.warnings![0]!.message).toContain("layers stay as they are");
    const channel = resolveRecipe({ ...recipe, unfit: "channel" }, [LINEARS[0]!, unfit]);
    expect(channel.decisions.map((decision) => !decision.keep && decision.parameters.tile.columns)).toEqual([
      128,
      "all",
    ]);
    expect(channel.warnings).toHaveLength(1);
    expect(resolveRecipe({ ...recipe, unfit: "keep" }, [unfit]).statistics).toBe("none");
  });

  it("takes the first rule that matches", () => {
    const recipe: QuantizationRecipe = {
      ...presetNamed("w4a16"),
      rules: [
        { modules: "layers\\.0\\.", roles: ["down"], keep: true },
        {
          modules: "down_proj$",
          parameters: { bits: 8, groupSize: "channel" },
          rounding: { name: "nearest" },
        },
        { modules: "nothing" },
      ],
    };
    const { decisions, warnings } = resolveRecipe(recipe, LINEARS);
    expect(decisions[1]).toEqual({ module: "model.layers.0.mlp.down_proj", keep: true });
    expect(decisions[3]).toMatchObject({
      parameters: { bits: 8, tile: { rows: 1, columns: "all" }, symmetric: true },
      treatment: { grid: { options: { bits: 8, tile: "channel" } }, rounding: { name: "nearest" } },
      guard: false,
    });
    expect(decisions[0]).toMatchObject({ parameters: { bits: 4 }, guard: true });
    expect(warnings!.map(({ code, subject }) => [code, subject.key])).toEqual([
      ["RECIPE_RULE_UNUSED", "rules[2]"],
    ]);
    expect(warnings![0]!.message).toContain('modules that match "nothing"');
  });

  it.each([
    ["BF16", "BF16"],
    ["F16", "F16"],
    ["F32", "BF16"],
  ] as const)("stores scales beside weights of %s as %s where formats leave it open", (type, scaleType) => {
    const { decisions } = resolveRecipe(presetNamed("mlx-q4"), [linear("q", "q", type)]);
    expect(decisions[0]).toMatchObject({
      parameters: { scaleType, weightType: type },
      treatment: { grid: { options: { scaleType } } },
    });
  });

  it.each([
    ["bnb-nf4", "none"],
    ["fp8-static", "channels"],
    ["awq-w4-g128", "hessian"],
    ["w8a8-smoothquant", "hessian"],
  ])("says that %s needs to know %s of inputs", (name, statistics) => {
    expect(resolveRecipe(presetNamed(name), LINEARS).statistics).toBe(statistics);
  });

  it("needs nothing for rules that no layer is left for", () => {
    const recipe: QuantizationRecipe = {
      ...presetNamed("rtn-w4-g128"),
      rules: [{ modules: "nothing", rounding: { name: "gptq" } }],
    };
    expect(resolveRecipe(recipe, LINEARS).statistics).toBe("none");
  });
});

describe("withParameters", () => {
  it("changes bits and groups, and the name", () => {
    const changed = withParameters(presetNamed("w4a16"), { bits: 8, groupSize: "channel" });
    expect(changed).toMatchObject({
      name: "w4a16, bits=8, groupSize=channel",
      parameters: { bits: 8, groupSize: "channel" },
    });
    expect(withParameters(changed, {})).toBe(changed);
  });

  it("refuses what the format cannot hold", () => {
    expect(() => withParameters(presetNamed("awq-w4-g128"), { bits: 3 })).toThrow(
      expect.objectContaining({ code: "RECIPE_INVALID" }),
    );
  });
});

describe("containers", () => {
  it.each(CONTAINERS.map((container) => [container.name, container] as const))(
    "%s has a recipe that makes it",
    (_name, container) => {
      const recipe = presetNamed(container.recipe);
      expect(() => checkContainer(recipe, container)).not.toThrow();
    },
  );

  it("are found by name, and by recipe", () => {
    expect(containerOf(presetNamed("fp8")).name).toBe("fp8");
    expect(containerOf(presetNamed("fp8-block")).name).toBe("fp8");
    expect(() => checkContainer(presetNamed("fp8"), containerNamed("compressed-tensors"))).not.toThrow();
    expect(() => checkContainer(presetNamed("fp8"), containerNamed("mlx"))).toThrow(
      expect.objectContaining({ code: "RECIPE_CONTAINER" }),
    );
    expect(() => containerNamed("gguff")).toThrow(
      expect.objectContaining({ code: "RECIPE_CONTAINER_UNKNOWN" }),
    );
  });
});
