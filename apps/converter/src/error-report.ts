import { type ErrorSubject, QuernError } from "@quern/tensor";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import { formatInteger } from "./format/number.ts";
import { printable } from "./format/printable.ts";
import type { Style } from "./format/style.ts";
import { formatFacts } from "./format/table.ts";

/** What the user can do about an error, by its code. */
const hints: Readonly<Record<string, string>> = {
  CHECKPOINT_NO_SAFETENSORS:
    "Of repositories and folders only safetensors are read; many repositories have them on another branch.",
  CHECKPOINT_NOT_A_FOLDER: "Name the folder that holds the model, not a file in it.",
  EVALUATION_MEMORY: "Pass a larger --memory, or take fewer --threads or a shorter --context.",
  FORMAT_CANNOT_HOLD:
    'Try another --group-size, or a recipe file that says what becomes of such layers ("unfit: keep"), or leaves them by a rule ("keep: true").',
  GGUF_EDIT_REFUSED: "Pass --force if you know what you are doing.",
  GGUF_UNDO_PENDING: "Run quern edit with --restore and nothing else to take the interrupted edit back.",
  HUB_REQUEST_FAILED:
    "Look at the connection, at HF_ENDPOINT and at the proxies of the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY): quern doctor asks the Hub. What the cache has can be read with --offline.",
  IMPORTANCE_REQUIRED: "Pass --imatrix with a file made by llama-imatrix, or choose a larger type.",
  MANIFEST_NOT_FOUND:
    "quern convert --manifest writes one beside GGUF files; folders of quantized checkpoints have one. --manifest names another place.",
  MIXTURE_REQUANTIZES:
    "Start from the unquantized model; or pass --allow-requantize, and see in the report what error that adds.",
  OUTPUT_EXISTS: "Pass --force to replace it, or name another output.",
  RESUME_FILE_CHANGED: "Pass --restart to throw away what is unfinished, and --force to replace the file.",
  PUBLISH_REPOSITORY_TAKEN:
    "Name another repository, or pass --force to put this model in the place of that one.",
  RESUME_OTHER_RUN: "Run it with the options it was begun with, or pass --restart to throw it away.",
  OUTPUT_DISK_FULL: "Free some space, or name an output elsewhere; --dry-run says how much is needed.",
  OUTPUT_NO_SPACE: "Free some space, or name an output elsewhere; --dry-run says how much is needed.",
  OUTPUT_NOT_WRITABLE: "Name an output elsewhere.",
  PLAN_INCOMPATIBLE: '"quern recipes" lists what programs load.',
  RECIPE_OPTION:
    "quern quantize, and quern convert with --flavour quantizer, write the type as llama-quantize does: there the option counts.",
  STATISTICS_OTHER_RUN: "Run it with the options it was begun with, or pass --restart to throw it away.",
  WORKER_MISSING: "Build the packages first, or run with --threads 0.",
};

/** An error as the terminal shows it: message, code, what it is about, what to do; with `debug` where it came from, too. */
export function describeError(params: {
  readonly error: unknown;
  readonly style: Style;
  readonly debug: boolean;
}): string {
  const { error, style, debug } = params;
  const lines = [`${style.red(style.bold("error:"))} ${printable(messageOf(error))}\n`];
  const facts = factsOf(error);
  if (!(error instanceof QuernError) && !debug) {
    facts.push(["hint", "This should not happen. Run again with --debug to see where it comes from."]);
  }
  lines.push(formatFacts({ facts, style, indent: 2 }));
  if (debug) {
    lines.push(`${style.dim(stackOf(error))}\n`);
  }
  return lines.join("");
}

/** An error as `--json` reports it. */
export function errorRecord(error: unknown): Record<string, unknown> {
  return {
    type: "error",
    code: error instanceof QuernError ? error.code : "UNEXPECTED",
    message: messageOf(error),
    subject: error instanceof QuernError ? error.subject : {},
    exitCode: exitCodeOf(error),
  };
}

/** What the command line itself has wrong, as `--json` reports it. */
export function usageRecord(message: string): Record<string, unknown> {
  return {
    type: "error",
    code: "USAGE_COMMAND_LINE",
    message: message.replace(/^error: /, ""),
    subject: {},
    exitCode: exitCodes.usage,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function factsOf(error: unknown): Array<readonly [string, string]> {
  if (!(error instanceof QuernError)) {
    return [];
  }
  const facts: Array<readonly [string, string]> = [["code", error.code], ...subjectFacts(error.subject)];
  const cause = error.cause;
  if (cause instanceof Error && !error.message.includes(cause.message)) {
    facts.push(["cause", printable(cause.message)]);
  }
  const hint = hints[error.code];
  if (hint !== undefined) {
    facts.push(["hint", hint]);
  }
  return facts;
}

function subjectFacts(subject: ErrorSubject): Array<readonly [string, string]> {
  const facts: Array<readonly [string, string]> = [];
  for (const label of ["file", "tensor", "key"] as const) {
    const value = subject[label];
    if (value !== undefined) {
      facts.push([label, printable(value)]);
    }
  }
  if (subject.offset !== undefined) {
    facts.push(["offset", formatInteger(subject.offset)]);
  }
  return facts;
}

/** The stack of an error and of all that caused it. */
function stackOf(error: unknown): string {
  const stacks: string[] = [];
  let current = error;
  while (current instanceof Error && stacks.length < 10) {
    stacks.push(current.stack ?? current.message);
    current = current.cause;
  }
  return stacks.join("\ncaused by: ").split("\n").map(printable).join("\n");
}
