import type { ConversionPlan, FinishedPart, TensorOutcome, TensorPart } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { Queue } from "bullmq";
import type { QueueConnection } from "./connection.ts";
import { divideWork, jobData, type JobData, jobResult } from "./job.ts";
import { parsePlainError } from "./plain-error.ts";
import { PREFIX, queueName } from "./run-record.ts";
import { checksumPart } from "./checksum-part.ts";

/** How often a job is tried. */
const ATTEMPTS = 3;

/** Milliseconds until it is tried again; twice as long the next time. */
const RETRY_DELAY = 1000;

/** What is looked at in one go. */
const PAGE = 100;

/** A job that has been done. */
interface DoneJob {
  readonly kernels: string;
  /** Of tensors that are complete. */
  readonly outcomes: readonly TensorOutcome[];
  /** GGUF name of a tensor that is converted once more, with its neighbours. */
  readonly repeated?: string;
}

/** The jobs of a run, as its coordinator sees them. */
export class JobBoard {
  readonly #queue: Queue;
  readonly #run: string;
  readonly #plan: ConversionPlan;
  /** Jobs that are not done, by their id. */
  readonly #open = new Map<string, { readonly data: JobData; readonly round: number }>();
  readonly #started = new Set<string>();
  #posted = false;

  constructor(params: {
    readonly connection: QueueConnection;
    readonly run: string;
    readonly plan: ConversionPlan;
  }) {
    const { connection, run, plan } = params;
    this.#queue = new Queue(queueName(run), {
      connection: connection.redis,
      prefix: PREFIX,
      // It is set without being waited for, and would outlast the run.
      skipMetasUpdate: true,
    });
    this.#queue.on("error", () => undefined);
    this.#run = run;
    this.#plan = plan;
  }

  /** Whether all that was posted has been done. */
  get isDone(): boolean {
    return this.#posted && this.#open.size === 0;
  }

  /** Puts up the jobs for some tensors. */
  async post(work: readonly TensorPart[]): Promise<void> {
    const jobs = divideWork(this.#plan, work);
    for (let first = 0; first < jobs.length; first += PAGE) {
      await this.#add(
        jobs
          .slice(first, first + PAGE)
          .map((data, index) => ({ id: `job-${first + index}`, data, round: 0 })),
      );
    }
    this.#posted = true;
  }

  /** Tensors of jobs that workers have in hand since it was asked last. */
  async started(): Promise<number[]> {
    const active = await this.#queue.getActive(0, PAGE - 1);
    return active.flatMap(({ id, data }) => {
      if (id === undefined || this.#started.has(id)) return [];
      this.#started.add(id);
      return jobData.safeParse(data).data?.work.map(({ tensor }) => tensor) ?? [];
    });
  }

  /**
   * Jobs that have been done since it was asked last. What they have written has been read back.
   *
   * @throws QuernError of a job that has failed for good
   */
  async takeDone(): Promise<DoneJob[]> {
    for (const job of await this.#queue.getFailed(0, 0)) {
      throw this.#failure({ id: job.id, reason: job.failedReason, attempts: job.attemptsMade });
    }
    const done: DoneJob[] = [];
    for (const job of await this.#queue.getCompleted(0, PAGE - 1)) {
      const { id = "" } = job;
      const open = this.#open.get(id);
      const result = jobResult.safeParse(job.returnvalue);
      if (open !== undefined) {
        done.push(
          result.success && isComplete(open.data, result.data.outcomes)
            ? await this.#checked(id, open, result.data)
            : await this.#again(id, open, open.data.work[0]!.tensor),
        );
      }
      await job.remove();
    }
    return done;
  }

  /** Takes everything back; jobs in hand are lost to their workers. */
  async clear(): Promise<void> {
    await this.#queue.obliterate({ force: true });
  }

  async #checked(
    id: string,
    open: { readonly data: JobData; readonly round: number },
    done: DoneJob,
  ): Promise<DoneJob> {
    for (const part of done.outcomes.flatMap(({ parts }) => parts)) {
      if (!(await this.#isInFile(part))) return this.#again(id, open, part.tensor);
    }
    this.#open.delete(id);
    return done;
  }

  /** Whether the bytes of a part are in the files of all its outputs, as this machine sees them. */
  async #isInFile({ tensor, outputs, crc32 }: FinishedPart): Promise<boolean> {
    for (const output of outputs) {
      if ((await checksumPart(this.#plan, { tensor, output })) !== crc32) return false;
    }
    return true;
  }

  async #again(
    id: string,
    { data, round }: { readonly data: JobData; readonly round: number },
    tensor: number,
  ): Promise<DoneJob> {
    const { name } = this.#plan.tensors[tensor]!;
    this.#open.delete(id);
    if (round + 1 < ATTEMPTS) {
      await this.#add([{ id: `${id.split(".")[0]}.${round + 1}`, data, round: round + 1 }]);
      return { kernels: "", outcomes: [], repeated: name };
    }
    throw new QuernError(
      "QUEUE_BYTES_DIFFER",
      `tensor "${name}": what a worker has written is not in the file, ${ATTEMPTS} times: expected storage that all machines share`,
      { subject: { tensor: name } },
    );
  }

  async #add(
    jobs: readonly { readonly id: string; readonly data: JobData; readonly round: number }[],
  ): Promise<void> {
    for (const { id, data, round } of jobs) this.#open.set(id, { data, round });
    await this.#queue.addBulk(
      jobs.map(({ id, data }) => ({
        name: "tensors",
        data,
        opts: {
          jobId: id,
          attempts: ATTEMPTS,
          backoff: { type: "exponential", delay: RETRY_DELAY },
          stackTraceLimit: 0,
        },
      })),
    );
  }

  #failure({
    id = "",
    reason,
    attempts,
  }: {
    readonly id: string | undefined;
    readonly reason: string;
    readonly attempts: number;
  }): QuernError {
    const tensor = this.#open.get(id)?.data.work[0]?.tensor;
    const name = tensor === undefined ? `of run ${this.#run}` : this.#plan.tensors[tensor]!.name;
    const plain = parsePlainError(reason);
    if (plain === undefined) {
      return new QuernError(
        "QUEUE_JOB_LOST",
        `tensor "${name}" and those of the same job: their workers went away again and again: ${reason}`,
        { subject: { tensor: name } },
      );
    }
    const { code, message, subject } = plain;
    const { file, key, offset } = subject;
    return new QuernError(code, attempts > 1 ? `${message} (tried ${attempts} times)` : message, {
      subject: {
        tensor: subject.tensor ?? name,
        ...(file === undefined ? {} : { file }),
        ...(key === undefined ? {} : { key }),
        ...(offset === undefined ? {} : { offset }),
      },
    });
  }
}

/** Whether a job has done all that it was for, and nothing else. */
function isComplete({ work }: JobData, outcomes: readonly TensorOutcome[]): boolean {
  return (
    outcomes.length === work.length &&
    outcomes.every(({ tensor, parts }, index) => {
      const wanted = work[index]!;
      const outputs = new Set(parts.flatMap((part) => part.outputs));
      return (
        tensor === wanted.tensor &&
        parts.every((part) => part.tensor === tensor) &&
        outputs.size === wanted.outputs.length &&
        wanted.outputs.every((output) => outputs.has(output))
      );
    })
  );
}
