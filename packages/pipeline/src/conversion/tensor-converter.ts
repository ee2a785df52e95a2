import { journalPathOf } from "@quern/tensor/node";
import type { PartConverter } from "../delegate.ts";
import type { TensorError } from "../errors.ts";
import { readConversionJournal } from "../journal/conversion-journal.ts";
import type { ConversionPlan } from "../plan.ts";
import type { TensorPart } from "./tensor-places.ts";

/** A tensor that is complete in the files of outputs, which got the same bytes of it. Plain data. */
export interface FinishedPart extends TensorPart {
  /** CRC-32 of the bytes: eight hexadecimal digits in lower case. */
  readonly crc32: string;
}

/** What has become of a tensor of a plan. Plain data. */
export interface TensorOutcome {
  /** Position among the tensors of the plan. */
  readonly tensor: number;
  readonly parts: readonly FinishedPart[];
  /** What that did to its weights, where it was measured. */
  readonly errors: readonly TensorError[];
}

/** Converts single tensors of a plan; throws as `convert`. */
export type TensorConverter = PartConverter<TensorPart, TensorOutcome>;

/**
 * Converts tensors of a plan that are named one after another, with threads that are started when there is something for them.
 *
 * @param plan Its inputs do not follow what layers become.
 */
export function openTensorConverter(plan: ConversionPlan): TensorConverter {
  const { backend, isa } = plan.kernels;
  const rounded = plan.outputs.map(
    ({ tensors }) =>
      new Set(tensors.flatMap(({ source, rounding }) => (rounding === undefined ? [] : [source]))),
  );
  const select = (work: readonly TensorPart[], byInputs: boolean): TensorPart[] =>
    work.flatMap(({ tensor, outputs }) => {
      const { name } = plan.tensors[tensor]!;
      const own = outputs.filter((output) => rounded[output]!.has(name) === byInputs);
      return own.length === 0 ? [] : [{ tensor, outputs: own }];
    });
  /** By whether inputs count. */
  const converters = new Map<boolean, Promise<TensorConverter>>();
  const converterFor = (byInputs: boolean): Promise<TensorConverter> => {
    const known = converters.get(byInputs);
    if (known !== undefined) return known;
    const opened = byInputs ? openRounding(plan) : openSlabs(plan);
    converters.set(byInputs, opened);
    // Another job may have better luck.
    opened.catch(() => converters.delete(byInputs));
    return opened;
  };
  return {
    kernels: `${backend} ${isa}`,
    async convert({ work, signal }) {
      const outcomes = work.map(({ tensor }): TensorOutcome => ({ tensor, parts: [], errors: [] }));
      for (const byInputs of [false, true]) {
        const own = select(work, byInputs);
        if (own.length === 0) continue;
        const converter = await converterFor(byInputs);
        for (const { tensor, parts, errors } of await converter.convert({ work: own, signal })) {
          const index = work.findIndex((part) => part.tensor === tensor);
          const before = outcomes[index]!;
          outcomes[index] = {
            tensor,
            parts: [...before.parts, ...parts],
            errors: [...before.errors, ...errors],
          };
        }
      }
      return outcomes;
    },
    async close() {
      const opened = await Promise.allSettled(converters.values());
      for (const converter of opened) if (converter.status === "fulfilled") await converter.value.close();
    },
  };
}

async function openSlabs(plan: ConversionPlan): Promise<TensorConverter> {
  const { openSlabConverter } = await import("./slab-converter.ts");
  return openSlabConverter(await foldedAsNoted(plan));
}

async function openRounding(plan: ConversionPlan): Promise<TensorConverter> {
  const { openRoundingConverter } = await import("./rounding-converter.ts");
  const measuresOutputs = plan.hessians !== undefined;
  return openRoundingConverter({ plan: await foldedAsNoted(plan), measuresOutputs });
}

/** The plan with the factors of its transforms folded in, which the journal has; those that it lacks are chosen here once more. */
async function foldedAsNoted(plan: ConversionPlan): Promise<ConversionPlan> {
  if (plan.rounding === undefined || plan.rounding.foldings.length === 0) return plan;
  const [{ foldPlan }, { KnownFactors }] = await Promise.all([
    import("./fold-plan.ts"),
    import("../layers/running/known-factors.ts"),
  ]);
  const journal = await readConversionJournal(journalPathOf(plan.outputs[0]!.files[0]!.path));
  const known = new KnownFactors({ entries: journal?.factors ?? [] });
  return foldPlan(plan, { signal: new AbortController().signal, known });
}
