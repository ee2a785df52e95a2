import { QuernError } from "@quern/tensor";
import { Queue } from "bullmq";
import type { QueueConnection } from "./connection.ts";
import { divideWork, type JobData, type JobResult, parseJob, parseResult } from "./job.ts";
import { parsePlainError } from "./plain-error.ts";
import { PREFIX, queueName } from "./run-record.ts";
import type { SharedPlan } from "./shared-plan.ts";

/** How often a job is tried. */
const ATTEMPTS = 3;

/** Milliseconds until it is tried again; twice as long the next time. */
const RETRY_DELAY = 1000;

/** What is looked at in one go. */
const PAGE = 100;

/** A job that has been done. */
interface DoneJob<Outcome> extends JobResult<Outcome> {
  /** Name of a tensor that is converted once more, with its neighbours. */
  readonly repeated?: string;
}

/** A job that is not done. */
interface OpenJob<Part> {
  readonly data: JobData<Part>;
  /** How often what was written was not in the files. */
  readonly round: number;
}

/** The jobs of a run, as its coordinator sees them. */
export class JobBoard<Part, Outcome> {
  readonly #queue: Queue;
  readonly #run: string;
  readonly #plan: SharedPlan<Part, Outcome>;
  /** Jobs that are not done, by their id. */
  readonly #open = new Map<string, OpenJob<Part>>();
  readonly #started = new Set<string>();
  #posted = false;

  constructor(params: {
    readonly connection: QueueConnection;
    readonly run: string;
    readonly plan: SharedPlan<Part, Outcome>;
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

  /** Puts up the jobs for some parts. */
  async post(work: readonly Part[]): Promise<void> {
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

  /** Parts of jobs that workers have in hand since it was asked last. */
  async started(): Promise<Part[]> {
    const active = await this.#queue.getActive(0, PAGE - 1);
    return active.flatMap(({ id, data }) => {
      if (id === undefined || this.#started.has(id)) return [];
      this.#started.add(id);
      return parseJob(this.#plan, data)?.work ?? [];
    });
  }

  /**
   * Jobs that have been done since it was asked last. What they have written has been read back.
   *
   * @throws QuernError of a job that has failed for good
   */
  async takeDone(): Promise<DoneJob<Outcome>[]> {
    for (const job of await this.#queue.getFailed(0, 0)) {
      throw this.#failure({ id: job.id, reason: job.failedReason, attempts: job.attemptsMade });
    }
    const done: DoneJob<Outcome>[] = [];
    for (const job of await this.#queue.getCompleted(0, PAGE - 1)) {
      const { id = "" } = job;
      const open = this.#open.get(id);
      if (open !== undefined) {
        const result = parseResult(this.#plan, open.data, job.returnvalue);
        done.push(await this.#checked(id, open, result));
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
    open: OpenJob<Part>,
    done: JobResult<Outcome> | undefined,
  ): Promise<DoneJob<Outcome>> {
    const { work } = open.data;
    if (done === undefined) return this.#again(id, open, work[0]!);
    for (const [index, outcome] of done.outcomes.entries()) {
      if (!(await this.#plan.isWritten(outcome))) return this.#again(id, open, work[index]!);
    }
    this.#open.delete(id);
    return done;
  }

  async #again(id: string, { data, round }: OpenJob<Part>, part: Part): Promise<DoneJob<Outcome>> {
    const name = this.#nameOf(part);
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

  #nameOf(part: Part): string {
    return this.#plan.describe(part)!.name;
  }

  async #add(jobs: readonly (OpenJob<Part> & { readonly id: string })[]): Promise<void> {
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
    const part = this.#open.get(id)?.data.work[0];
    const name = part === undefined ? `of run ${this.#run}` : this.#nameOf(part);
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
