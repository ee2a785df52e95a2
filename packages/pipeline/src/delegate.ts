/** Somebody else who does the work of a plan, into its partial files, which are there and have their headers: other machines. */
export interface Delegate<Plan, Part, Outcome> {
  /**
   * @param params.work What is to be done: parts that do not depend on each other.
   * @param params.signal Ends the work with its reason.
   * @param params.onStart A part is being worked on.
   * @param params.onDone A part is complete in the files, and stays.
   * @returns the kernels that ran: "native avx512"
   */
  run(params: {
    readonly plan: Plan;
    readonly work: readonly Part[];
    readonly signal: AbortSignal;
    readonly onStart: (part: Part) => void;
    readonly onDone: (outcome: Outcome) => Promise<void>;
  }): Promise<{ readonly kernels: string }>;
}

/** Does single parts of a plan's work, into partial files that are there already. */
export interface PartConverter<Part, Outcome> {
  /** For reports: "native avx512". */
  readonly kernels: string;
  /**
   * Several calls may be under way at once.
   *
   * @param params.work Parts, each once.
   * @param params.signal Ends the work with its reason.
   * @returns in the order of `work`
   */
  convert(params: { readonly work: readonly Part[]; readonly signal: AbortSignal }): Promise<Outcome[]>;
  /** Ends the threads. */
  close(): Promise<void>;
}
