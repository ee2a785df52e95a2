import {
  collectWindows,
  type CorpusSummary,
  type TextSource,
  type TextTokenizer,
  type TokenWindow,
  type WindowRule,
} from "@quern/corpus";
import type { ModelWindow, RunnableModel } from "@quern/inference";
import { QuernError } from "@quern/tensor";

/** Windows of one part, and where they come from. */
export interface WindowPart {
  readonly windows: readonly ModelWindow[];
  readonly summary: CorpusSummary;
}

/** What a model is run on. */
export interface CalibrationWindows {
  readonly rule: WindowRule;
  readonly calibration: WindowPart;
  /** Windows that are kept apart: what is collected of them is for checks. */
  readonly holdOut?: WindowPart;
  /** Every which window of a source is kept apart; 0 for none. */
  readonly holdOutEvery: number;
  /** What was asked for and is not there. */
  readonly warnings: readonly QuernError[];
}

/**
 * Cuts texts into windows for a model, and keeps some apart. Nothing of the weights is needed.
 *
 * @param params.tokens Tokens to take, those of the hold-out included; a window is not divided. Default: all.
 * @param params.holdOut Keeps every so many-th window of each source apart; 0: none. Where there are too few windows for that, a
 * warning says so.
 * @throws QuernError `CALIBRATION_WINDOW` for windows that are longer than the model has positions; `CORPUS_*`, `TOKENIZER_*`
 */
export async function collectCalibrationWindows(params: {
  readonly model: Pick<RunnableModel, "graph" | "vocabularySize">;
  readonly sources: readonly TextSource[];
  readonly tokenizer: TextTokenizer;
  readonly rule: WindowRule;
  readonly tokens?: number;
  readonly holdOut?: number;
}): Promise<CalibrationWindows> {
  const { model, sources, tokenizer, rule, tokens, holdOut: every = 0 } = params;
  checkLength(model, rule);
  const { vocabularySize } = model;
  const common = { sources, tokenizer, rule, vocabularySize };
  const all = tokens === undefined ? undefined : Math.max(1, Math.ceil(tokens / rule.length));
  const part = async (name: "calibration" | "hold-out", limit: number | undefined): Promise<WindowPart> => {
    const { windows, summary } = await collectWindows({
      ...common,
      ...(every === 0 ? {} : { holdOut: { every, part: name } }),
      ...(limit === undefined ? {} : { limit }),
    });
    return { windows: windows.map((window) => modelWindow(window, rule)), summary };
  };
  const kept = every === 0 || all === undefined ? undefined : Math.floor(all / every);
  const holdOut = every === 0 || kept === 0 ? undefined : await part("hold-out", kept).catch(unlessTooShort);
  const left = all === undefined ? undefined : all - (holdOut?.windows.length ?? 0);
  const calibration = await part("calibration", left);
  if (calibration.windows.every((window) => window.tokens.length < rule.length)) {
    throw tooShort(calibration.summary, rule);
  }
  const warnings = every > 0 && holdOut === undefined ? [noHoldOut(every)] : [];
  return { rule, calibration, ...(holdOut && { holdOut }), holdOutEvery: every, warnings };
}

/** llama.cpp's tools see a window as one sequence, whatever texts are in it. */
function modelWindow({ tokens, sequences }: TokenWindow, rule: WindowRule): ModelWindow {
  const starts = rule.kind === "stream" ? [0] : sequences.map(({ start }) => start);
  return { tokens, starts };
}

function checkLength({ graph }: Pick<RunnableModel, "graph">, { length }: WindowRule): void {
  const { positions } = graph.embedding;
  if (positions === undefined || length <= positions.count) return;
  throw new QuernError(
    "CALIBRATION_WINDOW",
    `windows of ${length} tokens: the model has positions for ${positions.count}`,
    { subject: { key: "window" } },
  );
}

/** Texts that are too short altogether fail again, and for good, when the other part is read. */
function unlessTooShort(error: unknown): undefined {
  if (error instanceof QuernError && error.code === "CORPUS_TOO_SHORT") return undefined;
  throw error;
}

function tooShort({ sources }: CorpusSummary, { length }: WindowRule): QuernError {
  const made = sources.map(({ name, tokensRead }) => `${name} has ${tokensRead} tokens`).join(", ");
  return new QuernError("CORPUS_TOO_SHORT", `Too little text: ${made}; a window takes ${length}.`, {
    subject: sources.length === 1 ? { file: sources[0]!.name } : {},
  });
}

function noHoldOut(every: number): QuernError {
  return new QuernError(
    "CALIBRATION_NO_HOLD_OUT",
    `no window is kept apart: there are fewer than ${every} of each text, so nothing can be checked on tokens that were not calibrated on`,
  );
}
