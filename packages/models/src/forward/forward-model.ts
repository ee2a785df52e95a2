import type { ModelDescription } from "../model.ts";
import type { ForwardModel } from "./plan/plan-forward.ts";

/**
 * A described checkpoint or GGUF file as a model to be run.
 *
 * @throws QuernError `MODEL_CONFIG_VALUE_INVALID` for a configuration that asks for what the forward pass does not compute
 */
export function forwardModel(
  description: Pick<ModelDescription, "architecture" | "tensors" | "computation">,
): ForwardModel {
  return {
    architecture: description.architecture,
    metadata: description.computation(),
    tensors: new Map(description.tensors.map(({ name, shape }) => [name, shape])),
  };
}
