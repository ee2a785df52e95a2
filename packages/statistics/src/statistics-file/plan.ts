import { QuernError } from "@quern/tensor";
import { planSafetensors, type SafetensorsLayout } from "safetensors-js";
import { checkInputs } from "./check-inputs.ts";
import type { StatisticsDescription } from "./description.ts";
import { entriesOf, tensorOf } from "./entries.ts";
import { encodeDescription } from "./metadata.ts";

/** A statistics file before anything is collected. */
export interface StatisticsPlan {
  readonly description: StatisticsDescription;
  readonly layout: SafetensorsLayout;
  /** Bytes of the whole file. */
  readonly fileSize: number;
  /** Numbers of the blocks, in order. */
  readonly blocks: readonly number[];
}

/**
 * Lays out a statistics file: README.md says what is in it.
 *
 * @throws QuernError `STATISTICS_PLAN_INVALID` for inputs that no file can have; `SAFETENSORS_*` as `planSafetensors`
 */
export function planStatistics(description: StatisticsDescription): StatisticsPlan {
  const { inputs } = description;
  checkInputs(inputs, (problem, tensor) => {
    return new QuernError("STATISTICS_PLAN_INVALID", problem, { subject: { tensor } });
  });
  const layout = planSafetensors({
    tensors: inputs.flatMap((input) => entriesOf(input).map((entry) => tensorOf(input, entry))),
    metadata: encodeDescription(description),
  });
  const blocks = [...new Set(inputs.map(({ block }) => block))].sort((a, b) => a - b);
  return { description, layout, fileSize: layout.fileSize, blocks };
}
