import {
  checkUnused,
  createOutputSet,
  Journal,
  journalPathOf,
  type OutputSet,
  resumeOutputSet,
} from "@quern/tensor/node";
import type { TensorError } from "../errors.ts";
import { checkSameConversion } from "../journal/check-journal.ts";
import {
  CONVERSION_JOURNAL,
  type ConversionEntry,
  type ConversionState,
  readConversionJournal,
} from "../journal/conversion-journal.ts";
import type { ConversionPlan, PlannedOutput } from "../plan.ts";
import { discardOtherFiles } from "./discard-other-files.ts";

/** A tensor that an earlier run has finished in an output, as far as its journal says. */
export interface RecordedTensor {
  readonly output: number;
  /** Its name in the model. */
  readonly tensor: string;
  readonly crc32: string;
  /** What became of it there, where that was measured. */
  readonly error?: TensorError;
}

/** Files of a conversion, begun or gone on with. */
export interface OpenedOutputs {
  readonly journal: Journal<ConversionEntry>;
  /** Of all outputs, in their order. */
  readonly sets: readonly OutputSet[];
  /** What may be there already. */
  readonly recorded: readonly RecordedTensor[];
  /** Notes of factors that have been chosen. */
  readonly factors: readonly object[];
}

/**
 * Opens the files of a plan as an interrupted run of it has left them, or creates them.
 *
 * @throws QuernError `OUTPUT_IN_USE`, `RESUME_OTHER_RUN`; `OUTPUT_*` as `createOutputSet`
 */
export async function openOutputs(plan: ConversionPlan): Promise<OpenedOutputs> {
  const path = journalPathOf(plan.outputs[0]!.files[0]!.path);
  const found = await readConversionJournal(path);
  if (found !== undefined) await checkUnused(found);
  if (found !== undefined && plan.restart) await discardOtherFiles(found, plan);
  const state = plan.restart ? undefined : found;
  if (state !== undefined) checkSameConversion(state, plan.identity);
  const journal: Journal<ConversionEntry> = await (state === undefined
    ? Journal.begin({ path, kind: CONVERSION_JOURNAL, identity: plan.identity })
    : Journal.resume(state));
  const sets: OutputSet[] = [];
  try {
    for (const [index, output] of plan.outputs.entries()) {
      sets.push(await openSet({ plan, output, index, state }));
    }
  } catch (error) {
    await Promise.all(sets.map((set) => (state === undefined ? set.abandon() : set.close())));
    await (state === undefined ? journal.remove() : journal.close());
    throw error;
  }
  const recorded = state === undefined ? [] : recordedIn({ plan, state, sets });
  return { journal, sets, recorded, factors: canKeepRounded(plan) ? (state?.factors ?? []) : [] };
}

function openSet(params: {
  readonly plan: ConversionPlan;
  readonly output: PlannedOutput;
  readonly index: number;
  readonly state: ConversionState | undefined;
}): Promise<OutputSet> {
  const { plan, output, index, state } = params;
  const files = output.files.map(({ path, fileSize, layout }) => {
    return { path, size: fileSize, header: layout.header };
  });
  if (state === undefined) return createOutputSet({ files, replace: plan.force });
  return resumeOutputSet({ files, replace: plan.force, mayBePlaced: state.finishing.has(index) });
}

/** Tensors in files that are as the earlier run has left them; what was noted last counts. */
function recordedIn(params: {
  readonly plan: ConversionPlan;
  readonly state: ConversionState;
  readonly sets: readonly OutputSet[];
}): RecordedTensor[] {
  const { plan, state, sets } = params;
  const planned = plan.outputs.map(
    ({ tensors }) => new Map(tensors.map((tensor) => [tensor.source, tensor])),
  );
  const recorded = new Map<string, RecordedTensor>();
  for (const { tensor, outputs, crc32, errors = [] } of state.tensors) {
    for (const output of outputs) {
      const place = planned[output]?.get(tensor);
      if (place === undefined || !sets[output]!.kept[place.file]!) continue;
      // Of outputs that were complete, all is known.
      const mayKeep = place.rounding === undefined || canKeepRounded(plan) || state.finishing.has(output);
      if (!mayKeep) continue;
      const error = errors.find((one) => one.output === output);
      recorded.set(`${output} ${tensor}`, { output, tensor, crc32, ...(error && { error }) });
    }
  }
  return [...recorded.values()];
}

/** Inputs that nothing is known of may be others. */
function canKeepRounded({ identity }: ConversionPlan): boolean {
  return identity.rounding?.inputs !== undefined;
}
