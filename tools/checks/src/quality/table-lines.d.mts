/** What a row cost models: by name of the row. */
export type Figures = Readonly<
  Record<
    string,
    {
      /** Where it was measured. */
      readonly commit: string;
      readonly models: Readonly<
        Record<string, { readonly bits: number; readonly divergence: number; readonly ratio: number }>
      >;
    }
  >
>;

export declare function tableLines(rows: readonly { readonly name: string }[], figures: Figures): string[];

export declare function putTable(page: string, lines: readonly string[]): string;
