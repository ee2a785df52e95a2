import {
  checkUnused,
  createOutputSet,
  Journal,
  journalPathOf,
  type OutputSet,
  resumeOutputSet,
} from "@quern/tensor/node";
import { checkSameConversion } from "../journal/check-journal.ts";
import {
  CONVERSION_JOURNAL,
  type ConversionEntry,
  type ConversionState,
  readConversionJournal,
} from "../journal/conversion-journal.ts";
import { canKeepRounded, type RecordedTensor, recordedTensors } from "../journal/recorded-tensors.ts";
import type { ConversionPlan, PlannedOutput } from "../plan.ts";
import { discardOtherFiles } from "./discard-other-files.ts";

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
  const isKept = (output: number, file: number): boolean => sets[output]!.kept[file]!;
  const recorded = state === undefined ? [] : recordedTensors({ plan, state, isKept });
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
