import { QuernError } from "@quern/tensor";

/** What the process tells its caller; a contract with scripts: codes keep their meaning. */
export const exitCodes = {
  ok: 0,
  /** Something that should not happen. */
  failure: 1,
  /** The command line itself: unknown option, missing argument, impossible combination. */
  usage: 2,
  /** The checkpoint, model, repository, tokenizer, imatrix or inspected file; also that the Hub or the queue cannot be reached. */
  input: 3,
  /** The files to be written, or standard output: present already, not writable, disk full. */
  output: 4,
  /** What is verified is not what it should be. */
  mismatch: 5,
  /** SIGINT or SIGTERM; as a shell reports a process that SIGINT ended. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The codes as help and documentation explain them. */
export const EXIT_CODE_MEANINGS: Readonly<Record<ExitCode, string>> = {
  0: "done",
  1: "unexpected failure",
  2: "wrong usage: unknown option, missing argument, impossible combination",
  3: "bad input: checkpoint, model, repository, tokenizer, text, imatrix or GGUF file; or the Hub or the queue is not reached",
  4: "output problem: file exists (--force replaces it), folder not writable, disk full",
  5: "files do not match their manifest or their source",
  130: "interrupted (SIGINT, SIGTERM); the same command resumes the work",
};

/** First match decides. Left: a whole error code, or with "*" at its end the beginning of one. */
const exitCodesByError: ReadonlyArray<readonly [pattern: string, exitCode: ExitCode]> = [
  ["USAGE_*", exitCodes.usage],
  ["RECIPE_FILE_*", exitCodes.input],
  ["RECIPE_*", exitCodes.usage],
  ["PLAN_*", exitCodes.usage],
  ["ROUNDING_*", exitCodes.usage],
  ["ACTIVATION_*", exitCodes.input],
  ["CALIBRATION_KEEP_WINDOWS", exitCodes.usage],
  ["CALIBRATION_MEMORY", exitCodes.usage],
  ["CALIBRATION_WINDOW", exitCodes.usage],
  ["CALIBRATION_*", exitCodes.input],
  ["CHECKPOINT_*", exitCodes.input],
  ["CONFIG_*", exitCodes.input],
  ["DOCTOR_*", exitCodes.failure],
  ["CORPUS_OPTION_INVALID", exitCodes.usage],
  ["CORPUS_*", exitCodes.input],
  ["EVALUATION_MEMORY", exitCodes.usage],
  ["EVALUATION_OPTION_INVALID", exitCodes.usage],
  ["EVALUATION_*", exitCodes.input],
  ["FOLDING_*", exitCodes.failure],
  ["FORMAT_PARTS_INVALID", exitCodes.input],
  ["FORMAT_MATRIX_INVALID", exitCodes.failure],
  ["FORMAT_*", exitCodes.usage],
  ["FORWARD_*", exitCodes.input],
  ["GGML_*", exitCodes.input],
  ["GGUF_EDIT_*", exitCodes.usage],
  ["GGUF_*", exitCodes.input],
  ["HIDDEN_STATES_*", exitCodes.input],
  ["HUB_CACHE_UNWRITABLE", exitCodes.output],
  ["HUB_*", exitCodes.input],
  ["IMPORTANCE_REQUIRED", exitCodes.usage],
  ["IMPORTANCE_SELECTION", exitCodes.usage],
  ["IMPORTANCE_*", exitCodes.input],
  ["MIXTURE_NO_FALLBACK", exitCodes.usage],
  ["MIXTURE_PATTERN_INVALID", exitCodes.usage],
  ["MIXTURE_REQUANTIZES", exitCodes.usage],
  ["MIXTURE_*", exitCodes.input],
  ["MANIFEST_*", exitCodes.input],
  ["MODEL_*", exitCodes.input],
  ["PROTOBUF_*", exitCodes.input],
  ["PUBLISH_CARD_MALFORMED", exitCodes.input],
  ["PUBLISH_*", exitCodes.output],
  ["UPLOAD_*", exitCodes.output],
  ["QUEUE_ADDRESS_INVALID", exitCodes.usage],
  ["QUEUE_ROOT_MISSING", exitCodes.usage],
  ["QUEUE_PATH_OUTSIDE", exitCodes.usage],
  ["QUEUE_OTHER_RUN", exitCodes.input],
  ["QUEUE_NOT_SHARED", exitCodes.output],
  ["QUEUE_BYTES_DIFFER", exitCodes.output],
  ["QUEUE_UNREACHABLE", exitCodes.input],
  ["QUEUE_*", exitCodes.failure],
  ["REPORT_TWICE", exitCodes.usage],
  ["REPORT_*", exitCodes.input],
  ["QUANTIZE_OPTION", exitCodes.usage],
  ["QUANTIZE_COMBINATION", exitCodes.usage],
  ["QUANTIZE_UNKNOWN", exitCodes.usage],
  ["QUANTIZE_*", exitCodes.input],
  ["RESUME_OTHER_RUN", exitCodes.output],
  ["SETTINGS_*", exitCodes.usage],
  ["SAFETENSORS_*", exitCodes.input],
  ["SOURCE_*", exitCodes.input],
  ["STATISTICS_OTHER_RUN", exitCodes.output],
  ["STATISTICS_JOURNAL_INVALID", exitCodes.output],
  ["STATISTICS_INCOMPLETE", exitCodes.failure],
  ["STATISTICS_PLAN_INVALID", exitCodes.failure],
  ["STATISTICS_VALUE_INVALID", exitCodes.failure],
  ["STATISTICS_WRITE_INVALID", exitCodes.failure],
  ["STATISTICS_*", exitCodes.input],
  ["TENSOR_*", exitCodes.input],
  ["TOKENIZER_*", exitCodes.input],
  ["VERIFICATION_FAILED", exitCodes.mismatch],
  ["VERIFICATION_DIFFERENT", exitCodes.failure],
  ["VERIFICATION_*", exitCodes.input],
  ["WEIGHT_*", exitCodes.input],
  ["OUTPUT_*", exitCodes.output],
  ["RESUME_*", exitCodes.output],
  ["INTERRUPTED", exitCodes.interrupted],
  ["EXPRESSION_*", exitCodes.failure],
  ["STORAGE_*", exitCodes.failure],
  ["KERNEL_*", exitCodes.failure],
  ["WORKER_*", exitCodes.failure],
];

/** errno values that speak of the place where files are written, when nothing wraps them. */
const outputErrnos: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EROFS", "EFBIG"]);

/** The exit code for anything that was thrown. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof QuernError) {
    return ruleFor(error.code) ?? exitCodes.failure;
  }
  if (error instanceof Error && "code" in error && outputErrnos.has(error.code)) {
    return exitCodes.output;
  }
  return exitCodes.failure;
}

/** Whether the table knows a code of QuernError. */
export function isClassified(code: string): boolean {
  return ruleFor(code) !== undefined;
}

function ruleFor(code: string): ExitCode | undefined {
  return exitCodesByError.find(([pattern]) =>
    pattern.endsWith("*") ? code.startsWith(pattern.slice(0, -1)) : code === pattern,
  )?.[1];
}
