import { QuernError } from "@quern/tensor";
import type { ModelModule, ModelTensor } from "../model.ts";
import type { Config } from "./config.ts";
import type { ModuleRole } from "./module-role.ts";

/** Roles whose weight has a column for each element of the input. */
const READERS: ReadonlySet<ModuleRole> = new Set<ModuleRole>([
  "q",
  "k",
  "v",
  "qkv",
  "q-down",
  "kv-down",
  "gate",
  "up",
  "gate-up",
  "down",
  "router",
  "expert-gate",
  "expert-up",
  "expert-down",
  "shared-gate",
  "shared-up",
  "shared-down",
  "output",
]);

/** Roles whose weight has a row for each element of the residual stream. */
const RESIDUAL_WRITERS: ReadonlySet<ModuleRole> = new Set<ModuleRole>([
  "o",
  "down",
  "expert-down",
  "shared-down",
]);

/** Elements that a module puts out, as far as its weight alone tells. */
const OUTPUT_SIZES: ReadonlyMap<ModuleRole, (shape: readonly number[]) => number> = new Map([
  ["norm", (shape) => shape.at(-1)!],
  ["up", (shape) => shape.at(-2)!],
  ["expert-up", (shape) => shape.at(-2)!],
  ["shared-up", (shape) => shape.at(-2)!],
  ["gate-up", (shape) => shape.at(-2)! / 2],
]);

/**
 * Checks that what a module reads is as wide as what the module before it puts out, so that a file that llama.cpp would
 * refuse is not written in the first place.
 *
 * @throws QuernError `MODEL_TENSOR_INVALID`
 */
export function checkShapes(params: {
  modules: readonly ModelModule[];
  tensors: readonly ModelTensor[];
  config: Config;
}): void {
  const { modules, tensors, config } = params;
  const hidden = config.integer("hidden_size", "n_embd");
  const weights = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const weightOf = (name: string): readonly number[] | undefined => weights.get(`${name}.weight`);
  const byName = new Map(modules.map((module) => [module.name, module]));
  for (const { name, role, input } of modules) {
    const shape = weightOf(name);
    if (shape === undefined) continue;
    const expect = (axis: number, size: number | undefined, what: string): void => {
      if (size !== undefined && shape.at(axis) !== size) throw misfit({ name, shape, axis, size, what });
    };
    if (RESIDUAL_WRITERS.has(role)) expect(-2, hidden, "hidden units in config.json");
    const reads = READERS.has(role) || (role === "norm" && input === undefined);
    if (!reads) continue;
    const source = input === undefined ? undefined : byName.get(input);
    if (source === undefined) {
      expect(-1, hidden, "hidden units in config.json");
    } else {
      const sourceShape = weightOf(source.name);
      expect(
        -1,
        sourceShape && OUTPUT_SIZES.get(source.role)?.(sourceShape),
        `elements from "${source.name}"`,
      );
    }
  }
}

function misfit(params: {
  name: string;
  shape: readonly number[];
  axis: number;
  size: number;
  what: string;
}): QuernError {
  const { name, shape, axis, size, what } = params;
  const axisName = axis === -1 ? "columns" : "rows";
  return new QuernError(
    "MODEL_TENSOR_INVALID",
    `"${name}.weight" has the shape [${shape.join(", ")}]: expected ${size} ${axisName} for the ${size} ${what}`,
    { subject: { tensor: `${name}.weight` } },
  );
}
