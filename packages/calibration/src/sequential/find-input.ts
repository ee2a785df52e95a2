import type { LinearInputs } from "@quern/models";
import type { InputRequest } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { isComparable } from "../accumulation/cross.ts";
import type { SequentialPlan } from "./plan.ts";

/**
 * Finds what a module reads.
 *
 * @throws QuernError `STATISTICS_UNKNOWN_MODULE`, `STATISTICS_NOT_COLLECTED` for what the run was not planned for
 */
export function findInput(
  { stages, hessians, cross }: Pick<SequentialPlan, "stages" | "hessians" | "cross">,
  request: InputRequest,
): { block: number; input: LinearInputs } {
  const { module, matrix = 0 } = request;
  const fail = (code: string, problem: string): never => {
    throw new QuernError(code, `"${module}": ${problem}`, { subject: { tensor: module } });
  };
  for (const { stage } of stages) {
    const input = stage.inputs.find(({ modules }) => modules.includes(module));
    if (input === undefined) continue;
    if (!(Number.isInteger(matrix) && matrix >= 0 && matrix < input.matrices)) {
      return fail("STATISTICS_UNKNOWN_MODULE", `it has no matrix ${matrix}, but ${input.matrices} in all`);
    }
    if (request.hessian && !hessians) {
      return fail("STATISTICS_NOT_COLLECTED", "the run was planned without Hessian matrices");
    }
    if (request.cross && !cross) {
      return fail("STATISTICS_NOT_COLLECTED", "the run was planned without the model as it was");
    }
    if (request.cross && !isComparable(input)) {
      return fail("STATISTICS_NOT_COLLECTED", "its experts see other tokens than in the model as it was");
    }
    return { block: stage.block, input };
  }
  return fail("STATISTICS_UNKNOWN_MODULE", "no layer of this name is run");
}
