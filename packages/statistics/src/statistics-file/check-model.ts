import { QuernError } from "@quern/tensor";
import type { StatisticsModel, StatisticsTensor } from "./description.ts";
import type { Statistics } from "./statistics.ts";

/**
 * Checks that statistics are of a model: of one with the same architecture, names and shapes of tensors.
 *
 * @param params.model Where no identity is given, tensors are compared one by one.
 * @throws QuernError `STATISTICS_OTHER_MODEL` with the first tensor that differs
 */
export function checkStatisticsModel(params: {
  statistics: Pick<Statistics, "file" | "model">;
  model: Omit<StatisticsModel, "identity"> & { readonly identity?: string };
}): void {
  const { statistics, model } = params;
  const { file, model: collected } = statistics;
  if (collected.identity === model.identity) return;
  const other = (problem: string, tensor?: string): QuernError => {
    return new QuernError(
      "STATISTICS_OTHER_MODEL",
      `${file}: the statistics are of another model, "${collected.name}", not of "${model.name}": ${problem}`,
      { subject: { file, ...(tensor === undefined ? {} : { tensor }) } },
    );
  };
  if (collected.architecture !== model.architecture) {
    throw other(`its architecture is ${collected.architecture}, not ${model.architecture}`);
  }
  const theirs = shapesOf(collected.tensors);
  const ours = shapesOf(model.tensors);
  for (const name of [...ours.keys(), ...theirs.keys()]) {
    const [their, our] = [theirs.get(name), ours.get(name)];
    if (their !== our)
      throw other(`there "${name}" is ${their ?? "missing"}, here ${our ?? "missing"}`, name);
  }
  if (model.identity !== undefined) throw other("the identities differ, though tensors do not");
}

function shapesOf(tensors: readonly StatisticsTensor[]): Map<string, string> {
  return new Map(tensors.map(({ name, shape }) => [name, `[${withoutOnes(shape).join(", ")}]`]));
}

/** GGUF has no slow dimensions of 1: with and without them, shapes are the same. */
function withoutOnes(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((size) => size !== 1);
  return first < 0 ? [1] : shape.slice(first);
}
