import type { ConversionPlan, TensorError, TensorOutcome, TensorPart } from "@quern/pipeline";
import { elementCount } from "@quern/tensor";
import { z } from "zod";

/** What a job refers to: tensors of the plan that every machine makes by itself. */
export interface JobData {
  /** At least one; each tensor once, for the outputs that want it. */
  readonly work: readonly TensorPart[];
}

const tensorPart = z.strictObject({
  tensor: z.int().nonnegative(),
  outputs: z.array(z.int().nonnegative()).min(1),
});

export const jobData: z.ZodType<JobData> = z.strictObject({ work: z.array(tensorPart).min(1) });

const sums = z.object({ squaredErrors: z.number(), squaredWeights: z.number() });

const tensorError: z.ZodType<TensorError> = z.object({
  output: z.int().nonnegative(),
  name: z.string(),
  from: z.string(),
  to: z.string(),
  requantized: z.boolean(),
  elements: z.number(),
  squaredErrors: z.number(),
  squaredWeights: z.number(),
  weighted: sums.exactOptional(),
  hessian: sums.exactOptional(),
  largestError: z.number(),
  clipped: z.number(),
  vanished: z.number(),
  groups: z.number(),
});

/** What a job has done. */
export interface JobResult {
  /** Of the worker: "native avx512". */
  readonly kernels: string;
  readonly outcomes: readonly TensorOutcome[];
}

export const jobResult: z.ZodType<JobResult> = z.object({
  kernels: z.string(),
  outcomes: z.array(
    z.object({
      tensor: z.int().nonnegative(),
      parts: z.array(tensorPart.extend({ crc32: z.string().regex(/^[0-9a-f]{8}$/) })),
      errors: z.array(tensorError),
    }),
  ),
});

/** Weights from which on tensors are always enough for a job: a worker should not spend its time asking for work. */
const JOB_WEIGHTS = 16 * 2 ** 20;

/** Smaller models are divided among about as many jobs, that all workers have something to do. */
const FEWEST_JOBS = 32;

/** Tensors of one job at most. */
const JOB_TENSORS = 256;

/**
 * Divides tensors among jobs: neighbours together until they are worth the way, and large jobs first, so that workers come to an end at
 * about the same time.
 */
export function divideWork(plan: Pick<ConversionPlan, "tensors">, work: readonly TensorPart[]): JobData[] {
  const weightsOf = ({ tensor }: TensorPart): number => elementCount(plan.tensors[tensor]!.shape);
  const enough = Math.min(JOB_WEIGHTS, sumOf(work.map(weightsOf)) / FEWEST_JOBS);
  const jobs: { work: TensorPart[]; weights: number }[] = [];
  let open: (typeof jobs)[number] | undefined;
  for (const part of work) {
    if (open === undefined) {
      open = { work: [], weights: 0 };
      jobs.push(open);
    }
    open.work.push(part);
    open.weights += weightsOf(part);
    if (open.weights >= enough || open.work.length >= JOB_TENSORS) open = undefined;
  }
  return jobs.sort((one, other) => other.weights - one.weights).map(({ work }) => ({ work }));
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
