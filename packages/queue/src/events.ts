/** Another machine works for the run. */
export interface WorkerJoinedEvent {
  readonly type: "worker:joined";
  /** "host-1234": machine and process. */
  readonly worker: string;
  /** "native avx512" */
  readonly kernels: string;
}

/** Another machine cannot work for the run. */
export interface WorkerRefusedEvent {
  readonly type: "worker:refused";
  readonly worker: string;
  readonly code: string;
  readonly message: string;
}

/** A job is done once more: what a worker has written was not in the file. */
export interface JobRepeatedEvent {
  readonly type: "job:repeated";
  /** GGUF name. */
  readonly tensor: string;
}

/** Redis has lost its data: what is not done is put up again, as another run. */
export interface RunRenewedEvent {
  readonly type: "run:renewed";
  /** Tensors that are not done. */
  readonly tensors: number;
}

/** News for the coordinator of a run. */
export type QueueEvent = WorkerJoinedEvent | WorkerRefusedEvent | JobRepeatedEvent | RunRenewedEvent;

/** A worker begins to work for a run. */
export interface RunJoinedEvent {
  readonly type: "run:joined";
  readonly run: string;
  /** Name of the model. */
  readonly model: string;
  readonly tensors: number;
}

/** A worker cannot work for a run. */
export interface RunRefusedEvent {
  readonly type: "run:refused";
  readonly run: string;
  readonly error: unknown;
}

/** A worker has converted tensors. */
export interface JobDoneEvent {
  readonly type: "job:done";
  readonly run: string;
  /** GGUF names. */
  readonly tensors: readonly string[];
  readonly seconds: number;
}

/** A job has failed; it is tried again, by whichever worker, unless that is hopeless. */
export interface JobFailedEvent {
  readonly type: "job:failed";
  readonly run: string;
  readonly tensors: readonly string[];
  readonly error: unknown;
}

/** A run is over, or is without a coordinator. */
export interface RunLeftEvent {
  readonly type: "run:left";
  readonly run: string;
  /** Jobs that this worker has done for it. */
  readonly jobs: number;
}

/** News of a worker. */
export type WorkerEvent = RunJoinedEvent | RunRefusedEvent | JobDoneEvent | JobFailedEvent | RunLeftEvent;
