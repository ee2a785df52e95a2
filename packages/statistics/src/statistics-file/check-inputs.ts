import type { KeptWindows, StatisticsInput } from "./description.ts";

/** Far more than any model has. */
const MOST_COLUMNS = 2 ** 22;
const MOST_MATRICES = 2 ** 16;

const LIMITS = [
  ["columns", 1, MOST_COLUMNS],
  ["matrices", 1, MOST_MATRICES],
  ["rowsPerToken", 1, MOST_MATRICES],
  ["block", 0, MOST_MATRICES],
  ["holdOutRows", 0, MOST_COLUMNS],
] as const;

/**
 * Checks what names and shapes of tensors are derived from.
 *
 * @param error Makes an error of a problem with an input.
 */
export function checkInputs(
  inputs: readonly StatisticsInput[],
  error: (problem: string, input: string) => Error,
): void {
  const owners = new Map<string, string>();
  for (const input of inputs) {
    const { name, modules } = input;
    for (const [key, least, most] of LIMITS) {
      const value = input[key];
      if (Number.isInteger(value) && value >= least && value <= most) continue;
      const problem = `${key} of the input "${name}" is ${value}: expected a whole number from ${least} to ${most}`;
      throw error(problem, name);
    }
    const problem = input.windows && problemOf(input, input.windows);
    if (problem !== undefined) throw error(problem, name);
    if (modules.length === 0) throw error(`no module reads the input "${name}": expected at least one`, name);
    for (const owned of new Set([name, ...modules])) {
      const other = owners.get(owned);
      if (other !== undefined) {
        throw error(`"${owned}" is of the inputs "${other}" and "${name}": expected one`, name);
      }
      owners.set(owned, name);
    }
    if (new Set(modules).size < modules.length) {
      throw error(`the input "${name}" names a module twice: expected each once`, name);
    }
  }
}

/** What is wrong with whole windows of an input. */
function problemOf(
  { name, matrices, holdOutRows }: StatisticsInput,
  { rows, starts }: KeptWindows,
): string | undefined {
  if (matrices !== 1 || holdOutRows === 0) {
    return `whole windows of the input "${name}" are stored: expected one matrix, and windows kept apart`;
  }
  if (!(Number.isInteger(rows) && rows >= 1 && rows <= MOST_COLUMNS)) {
    return `windows of the input "${name}" have ${rows} tokens: expected a whole number from 1 to ${MOST_COLUMNS}`;
  }
  const inOrder = starts.every(
    (start, index) => Number.isInteger(start) && start < rows && (index === 0 || start > starts[index - 1]!),
  );
  if (starts[0] === 0 && inOrder) return undefined;
  return `sequences of the input "${name}" do not begin at rows from 0 to ${rows - 1} in ascending order, the first at 0`;
}
