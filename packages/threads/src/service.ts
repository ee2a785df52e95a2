/** What a thread has been started for. Tasks and results are plain data; memory that both sides see is in a `SharedArrayBuffer`. */
export interface Service<Task, Result> {
  /** For reports: the kernels that it uses, "native avx512". */
  readonly description: string;
  /**
   * Tasks may overlap where they wait.
   *
   * @param lane From 0; no two tasks that are in hand at once have the same: buffers can be kept by it.
   */
  run(task: Task, lane: number): Promise<Result> | Result;
  /** Frees everything; tasks in hand are finished first or given up. */
  close(): Promise<void>;
}

/** How a service is made. Its module exports a function like this as `createService`. */
export type CreateService<Options, Task, Result> = (options: Options) => Promise<Service<Task, Result>>;

/** A service on this thread or on another one. */
export interface Thread<Task, Result> {
  /** That of the service. */
  readonly description: string;
  /** @throws what the service throws; `WORKER_FAILED` once the thread is lost */
  run(task: Task, lane: number): Promise<Result>;
  /** Milliseconds that the thread has had nothing to do since it was started. */
  idleTime(): number;
  /** Ends it; tasks in hand are finished first or given up. */
  close(): Promise<void>;
}
