import type { LayerParameters } from "../formats/format.ts";
import { groupSizeOf, groupsOf, type JsonObject, type QuantizationConfiguration } from "./quantized-model.ts";

function groupingOf(parameters: LayerParameters): JsonObject {
  return { group_size: groupSizeOf(parameters), bits: parameters.bits };
}

/** mlx-lm, utils.py: a module is quantized if it has scales; the object is there twice. */
export const mlxConfiguration: QuantizationConfiguration = {
  method: "mlx",
  framework: "mlx",
  embeddings: true,
  problems: () => [],
  config(model) {
    const [base, ...others] = groupsOf(model);
    const quantization = {
      ...groupingOf(base.parameters),
      mode: "affine",
      ...Object.fromEntries(
        others.flatMap(({ parameters, modules }) =>
          modules.map((module) => [module, groupingOf(parameters)]),
        ),
      ),
    };
    return { quantization, quantization_config: quantization };
  },
};
