import { z } from "zod";
import type { SharedPlan } from "./shared-plan.ts";

/** What a job refers to: parts of the plan that every machine makes by itself. */
export interface JobData<Part = unknown> {
  /** At least one; each once. */
  readonly work: readonly Part[];
}

/** What a job has done. */
export interface JobResult<Outcome = unknown> {
  /** Of the worker: "native avx512". */
  readonly kernels: string;
  readonly outcomes: readonly Outcome[];
}

/** @returns undefined for what no coordinator of this plan posts */
export function parseJob<Part>(plan: SharedPlan<Part>, data: unknown): JobData<Part> | undefined {
  const { data: job } = z.strictObject({ work: z.array(plan.partSchema).min(1) }).safeParse(data);
  return job?.work.every((part) => plan.describe(part) !== undefined) === true ? job : undefined;
}

/** @returns undefined for what is no result of a job: all that it was for, and nothing else */
export function parseResult<Part, Outcome>(
  plan: SharedPlan<Part, Outcome>,
  { work }: JobData<Part>,
  value: unknown,
): JobResult<Outcome> | undefined {
  const schema = z.object({ kernels: z.string(), outcomes: z.array(plan.outcomeSchema) });
  const { data: result } = schema.safeParse(value);
  const isWhole =
    result?.outcomes.length === work.length &&
    work.every((part, index) => plan.answers(part, result.outcomes[index]!));
  return isWhole ? result : undefined;
}

/** Weights from which on parts are always enough for a job: a worker should not spend its time asking for work. */
const JOB_WEIGHTS = 16 * 2 ** 20;

/** Smaller models are divided among about as many jobs, that all workers have something to do. */
const FEWEST_JOBS = 32;

/** Parts of one job at most. */
const JOB_PARTS = 256;

/**
 * Divides parts among jobs: neighbours together until they are worth the way, and large jobs first, so that workers come to an end at
 * about the same time.
 */
export function divideWork<Part>(
  plan: Pick<SharedPlan<Part>, "describe">,
  work: readonly Part[],
): JobData<Part>[] {
  const described = work.map((part) => plan.describe(part)!);
  const enough = Math.min(JOB_WEIGHTS, sumOf(described.map(({ weights }) => weights)) / FEWEST_JOBS);
  const jobs: { work: Part[]; weights: number }[] = [];
  let open: (typeof jobs)[number] | undefined;
  for (const [index, part] of work.entries()) {
    const { weights, together } = described[index]!;
    if (open === undefined) {
      open = { work: [], weights: 0 };
      jobs.push(open);
    }
    open.work.push(part);
    open.weights += weights;
    if (together !== undefined && together === described[index + 1]?.together) continue;
    if (open.weights >= enough || open.work.length >= JOB_PARTS) open = undefined;
  }
  return jobs.sort((one, other) => other.weights - one.weights).map(({ work }) => ({ work }));
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
