export declare const ROWS: readonly {
  readonly name: string;
  readonly recipe?: string;
  readonly arguments?: readonly string[];
  readonly inputs?: "none" | "importance" | "statistics" | "sequential";
}[];
