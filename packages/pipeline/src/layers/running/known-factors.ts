import type { ChosenFolding } from "@quern/models";
import { decodeElements, encodeElements } from "@quern/tensor";
import type { PlannedFolding } from "../plan.ts";

/** What is noted of factors that have been chosen: by the name of the place, F32 in base64. */
export interface FactorsEntry {
  readonly factors: Readonly<Record<string, string>>;
}

/** Factors that have been chosen, those of an earlier run among them. */
export class KnownFactors {
  readonly #factors = new Map<string, Float32Array>();
  readonly #note: ((entry: FactorsEntry) => Promise<void>) | undefined;

  /**
   * @param params.entries Whatever an earlier run has noted. @default nothing
   * @param params.note Notes plain data for a later run. @default nothing is kept
   */
  constructor(
    params: {
      readonly entries?: readonly unknown[];
      readonly note?: ((entry: FactorsEntry) => Promise<void>) | undefined;
    } = {},
  ) {
    this.#note = params.note;
    for (const entry of params.entries ?? []) this.#add(entry);
  }

  /** @returns undefined unless those of all these places are known */
  of(foldings: readonly Pick<PlannedFolding, "folding">[]): ChosenFolding[] | undefined {
    const known = foldings.flatMap(({ folding }): ChosenFolding[] => {
      const factors = this.#factors.get(folding.name);
      return factors?.length === folding.columns ? [{ folding, factors }] : [];
    });
    return known.length === foldings.length ? known : undefined;
  }

  /** Factors of a block are chosen for good. */
  async add(chosen: readonly ChosenFolding[]): Promise<void> {
    const noted = chosen.map(({ folding, factors }) => {
      const bytes = encodeElements({ type: "F32", values: factors });
      return [folding.name, Buffer.from(bytes).toString("base64")] as const;
    });
    await this.#note?.({ factors: Object.fromEntries(noted) });
    for (const { folding, factors } of chosen) this.#factors.set(folding.name, factors);
  }

  /** Somebody else has chosen factors for good. */
  async entryDone(entry: FactorsEntry): Promise<void> {
    await this.#note?.(entry);
    this.#add(entry);
  }

  #add(entry: unknown): void {
    for (const [name, text] of factorsOf(entry)) {
      const bytes = Buffer.from(text, "base64");
      if (bytes.byteLength % 4 === 0) this.#factors.set(name, decodeElements({ type: "F32", bytes }));
    }
  }
}

function factorsOf(noted: unknown): [string, string][] {
  const { factors } = (noted ?? {}) as Partial<FactorsEntry>;
  if (typeof factors !== "object" || factors === null) return [];
  return Object.entries(factors).filter((entry): entry is [string, string] => typeof entry[1] === "string");
}
