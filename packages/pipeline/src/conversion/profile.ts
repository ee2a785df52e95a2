/** Milliseconds that one slab took, by what was done. */
export interface SlabTimes {
  /** From asking for bytes to having them; other slabs use the thread meanwhile. */
  readonly read: number;
  /** Rearranging what was read. */
  readonly convert: number;
  /** In the kernels: conversion of the element type, the search for NaN, quantization. */
  readonly quantize: number;
  /** In the kernels that measure errors. */
  readonly measure: number;
  /** From handing over bytes to knowing that they are written, as far as nothing else was done meanwhile for this slab. */
  readonly write: number;
}

/**
 * Where the time of a conversion went, in seconds. `quantize`, `measure`, `convert`, `idle` and `other` add up to the time of all threads
 * between start and finish; `read` and `write` run beside them.
 */
export interface ConversionProfile {
  /** Threads that worked on slabs. */
  readonly threads: number;
  /** Until every worker was ready. */
  readonly start: number;
  /** All threads in the kernels that quantize. */
  readonly quantize: number;
  /** All threads in the kernels that measure errors. */
  readonly measure: number;
  /** All threads rearranging weights. */
  readonly convert: number;
  /** All threads with nothing to do but to wait for reads, writes or the next slab. */
  readonly idle: number;
  /** All threads at anything else: messages, scheduling, the collection of garbage. */
  readonly other: number;
  /** Reads in flight, all slabs added up; hidden as long as threads are not idle. */
  readonly read: number;
  /** Writes in flight, likewise. */
  readonly write: number;
  /** Rounding by inputs, after the last slab. */
  readonly rounding: number;
  /** From the last weight to the last file under its final name: mostly waiting for the disk. */
  readonly finish: number;
}

/** Adds up the times of slabs. */
export class Profiler {
  readonly #now: () => number;
  readonly #created: number;
  #times: SlabTimes = { read: 0, convert: 0, quantize: 0, measure: 0, write: 0 };
  #ready = 0;
  #slabsDone = 0;
  #rounded: number | undefined;
  #idle = 0;
  #threads = 1;

  /** @param now A clock, in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#created = now();
  }

  /** Every worker is ready. */
  ready(): void {
    this.#ready = this.#now();
  }

  add(times: SlabTimes): void {
    const { read, convert, quantize, measure, write } = this.#times;
    this.#times = {
      read: read + times.read,
      convert: convert + times.convert,
      quantize: quantize + times.quantize,
      measure: measure + times.measure,
      write: write + times.write,
    };
  }

  /** @param params.idle Milliseconds that each thread has been idle since it was ready. */
  slabsDone({ idle }: { idle: readonly number[] }): void {
    this.#slabsDone = this.#now();
    this.#threads = idle.length;
    this.#idle = idle.reduce((sum, time) => sum + time, 0);
  }

  /** All tensors that are rounded by inputs are written. */
  rounded(): void {
    this.#rounded = this.#now();
  }

  /** Every file bears its final name. */
  finished(): ConversionProfile {
    const seconds = (milliseconds: number): number => Math.max(0, milliseconds) / 1000;
    const { read, convert, quantize, measure, write } = this.#times;
    const working = (this.#slabsDone - this.#ready) * this.#threads;
    return {
      threads: this.#threads,
      start: seconds(this.#ready - this.#created),
      quantize: seconds(quantize),
      measure: seconds(measure),
      convert: seconds(convert),
      idle: seconds(this.#idle),
      other: seconds(working - quantize - measure - convert - this.#idle),
      read: seconds(read),
      write: seconds(write),
      rounding: seconds((this.#rounded ?? this.#slabsDone) - this.#slabsDone),
      finish: seconds(this.#now() - (this.#rounded ?? this.#slabsDone)),
    };
  }
}
