import type { LayerParameters } from "../formats/format.ts";
import { formatOf } from "../formats/registry.ts";
import { groupSizeOf, type PlannedLayer } from "../writing/quantized-model.ts";
import { type Loader, LOADER_RULES } from "./loader-rules.ts";

/** Linear layers of a block that runtimes load into one: they must be quantized alike. */
const FUSED = [
  ["q_proj", "k_proj", "v_proj"],
  ["gate_proj", "up_proj"],
];

/** Loaders that fuse layers. */
const FUSING: ReadonlySet<Loader> = new Set<Loader>(["vllm", "sglang"]);

/** Names of all loaders whose restrictions are known. */
export const LOADERS: readonly Loader[] = Object.keys(LOADER_RULES) as Loader[];

/**
 * Why a loader would refuse a layer; empty when nothing is known against it.
 *
 * @param params.shape Outputs and inputs; without them, rules about sizes are left out.
 * @param params.expert Whether it is one of the experts of a block. @default false
 */
export function compatibility(params: {
  format: string;
  parameters: LayerParameters;
  loader: Loader;
  shape?: { readonly rows: number; readonly columns: number };
  expert?: boolean;
}): string[] {
  const { parameters, loader, shape, expert = false } = params;
  const { name } = formatOf(params.format);
  const rule = LOADER_RULES[loader][name];
  if (rule === undefined) return [`${loader} does not load ${name}`];
  const reasons: string[] = [];
  const expect = (holds: boolean, reason: string): void => {
    if (!holds) reasons.push(`${loader} loads ${name} ${reason}`);
  };
  const { bits, asymmetricBits, groupSizes, outputsMultiple = 1, inputsMultiple = 1 } = rule;
  const groupSize = groupSizeOf(parameters);
  expect(bits?.includes(parameters.bits) ?? true, `of ${bits?.join(", ")} bits, not of ${parameters.bits}`);
  expect(
    groupSizes?.includes(groupSize) ?? true,
    `in groups of ${groupSizes?.map(nameOfGroup).join(", ")}, not of ${nameOfGroup(groupSize)}`,
  );
  expect(!rule.symmetric || parameters.symmetric, "only where it is symmetric");
  expect(
    parameters.symmetric || (asymmetricBits?.includes(parameters.bits) ?? true),
    `of ${parameters.bits} bits only where it is symmetric`,
  );
  expect(
    !rule.noShiftedZeros || parameters.symmetric,
    "only where it is symmetric: asymmetric zeros need version 2",
  );
  expect(rule.actOrder !== false || !parameters.actOrder, "only where groups are in order");
  expect(rule.experts !== false || !expert, "without experts, which are one parameter to it");
  if (shape !== undefined) {
    const whole = groupSize === -1 || shape.columns % groupSize === 0;
    expect(
      rule.tailGroups !== false || whole,
      `with a multiple of ${groupSize} inputs, the size of groups, not ${shape.columns}`,
    );
    expect(
      shape.rows % outputsMultiple === 0,
      `with a multiple of ${outputsMultiple} outputs, not ${shape.rows}`,
    );
    expect(
      shape.columns % inputsMultiple === 0,
      `with a multiple of ${inputsMultiple} inputs, not ${shape.columns}`,
    );
  }
  return reasons;
}

/**
 * Why a loader would refuse a model: what {@link compatibility} says of each layer, and layers that it fuses and that are not
 * quantized alike.
 *
 * @param params.linears All linear layers, by module.
 */
export function modelCompatibility(params: {
  layers: readonly (PlannedLayer & {
    readonly shape?: { readonly rows: number; readonly columns: number };
    readonly expert?: boolean;
  })[];
  linears: readonly string[];
  loader: Loader;
}): string[] {
  const { layers, linears, loader } = params;
  const reasons = layers.flatMap(({ module, ...layer }) =>
    compatibility({ ...layer, loader }).map((reason) => `"${module}": ${reason}`),
  );
  if (!FUSING.has(loader)) return reasons;
  const described = new Map(
    layers.map(({ module, format, parameters }) => [module, JSON.stringify([format, parameters])]),
  );
  for (const names of FUSED) {
    for (const module of linears.filter((name) => name.endsWith(`.${names[0]}`))) {
      const block = module.slice(0, -names[0]!.length);
      const present = names.map((name) => block + name).filter((name) => linears.includes(name));
      const other = present.find((name) => described.get(name) !== described.get(module));
      if (other !== undefined)
        reasons.push(`"${other}": ${loader} fuses it with "${module}", which is quantized otherwise`);
    }
  }
  return reasons;
}

function nameOfGroup(size: number): string {
  return size === -1 ? "whole rows" : String(size);
}
