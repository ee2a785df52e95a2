import type { GgufMetadata, GgufValue } from "@quern/gguf";
import type { TensorInfo } from "@quern/tensor";
import { type Architecture, FILE_TYPE, type Hyperparameter, type ModelFacts } from "./architecture.ts";
import { type DescribedTensors, describeTensors } from "./describe-tensors.ts";

/** A key of the metadata; FILE_TYPE in the place of the number that is chosen later. */
export type Pair = readonly [key: string, value: GgufValue | typeof FILE_TYPE];

/** What an architecture makes of a checkpoint. */
export interface DescribedArchitecture extends DescribedTensors {
  /** Keys right after `general.architecture`. */
  readonly leading: readonly Pair[];
  readonly hyperparameters: readonly Pair[];
  /** All of them, and those that only the forward pass reads. */
  computation(): GgufMetadata;
}

/**
 * Tensors and hyper-parameters of a checkpoint.
 *
 * @throws QuernError `MODEL_CONFIG_KEY_MISSING`, `MODEL_CONFIG_VALUE_INVALID` and the codes of `describeTensors`
 */
export function describeArchitecture(params: {
  architecture: Architecture;
  facts: ModelFacts;
  tensors: ReadonlyMap<string, TensorInfo>;
}): DescribedArchitecture {
  const { architecture, facts } = params;
  // First, because it bounds the numbers that lists of hyper-parameters are as long as.
  const described = describeTensors(params);
  const evaluate = (list: readonly Hyperparameter[]): Pair[] =>
    list.flatMap(({ key, value }): Pair[] => {
      if (key === FILE_TYPE) return [["general.file_type", FILE_TYPE]];
      const known = value(facts);
      return known === undefined ? [] : [[`${architecture.name}.${key}`, known]];
    });
  const leading = evaluate(architecture.leadingHyperparameters ?? []);
  const hyperparameters = evaluate(architecture.hyperparameters);
  return {
    leading,
    hyperparameters,
    computation: () =>
      new Map(
        [...leading, ...hyperparameters, ...evaluate(architecture.computation ?? [])].flatMap(
          ([key, value]) => (value === FILE_TYPE ? [] : [[key, value]]),
        ),
      ),
    ...described,
  };
}
