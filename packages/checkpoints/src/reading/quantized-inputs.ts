import { isJsonObject, type JsonObject, type ModuleTensors } from "./quantization-reader.ts";

/** How a runtime quantizes what a layer reads. */
export interface QuantizedInputs {
  /** What the codes are. */
  readonly type: "I8" | "F8_E4M3";
  /** Inputs of a token with a scale in common. @default all of them */
  readonly groupSize?: number;
  /** The tensor with the scale, where that is stored: one number for all tokens. @default each token has its own */
  readonly scale?: string;
}

/**
 * What `input_activations` of a compressed-tensors configuration says about a layer: symmetric codes of 8 bits, with a stored scale or one
 * for each token. Four-bit inputs and zero points are passed over: such layers are run with the inputs as they are.
 */
export function configuredInputs(module: ModuleTensors, config: JsonObject): QuantizedInputs | undefined {
  const inputs = groupOf(module.module, config)?.["input_activations"];
  if (!isJsonObject(inputs) || inputs["num_bits"] !== 8 || inputs["symmetric"] === false) return undefined;
  const type = inputs["type"] === "float" ? "F8_E4M3" : "I8";
  if (inputs["dynamic"] === false) {
    return module.has(".input_scale") ? { type, scale: `${module.module}.input_scale` } : undefined;
  }
  const size = inputs["strategy"] === "group" ? inputs["group_size"] : undefined;
  return typeof size === "number" && Number.isInteger(size) && size > 0
    ? { type, groupSize: size }
    : { type };
}

/** The group that a layer belongs to: by its name, by an expression for names, or as a linear layer, in this order (compressed-tensors, utils/match.py). */
function groupOf(module: string, config: JsonObject): JsonObject | undefined {
  const { config_groups: given } = config;
  const groups = isJsonObject(given) ? Object.values(given).filter(isJsonObject) : [];
  const targets = (group: JsonObject): readonly unknown[] =>
    Array.isArray(group["targets"]) ? group["targets"] : [];
  return (
    groups.find((group) => targets(group).includes(module)) ??
    groups.find((group) => targets(group).some((target) => matches(target, module))) ??
    groups.find((group) => targets(group).includes("Linear"))
  );
}

const EXPRESSION = "re:";

function matches(target: unknown, module: string): boolean {
  if (typeof target !== "string" || !target.startsWith(EXPRESSION)) return false;
  try {
    return new RegExp(`^(?:${target.slice(EXPRESSION.length)})`, "u").test(module);
  } catch {
    return false;
  }
}
