import { foldedScales, type WeightChanges } from "@quern/models";
import { chooseFoldings, type ChooseFoldingsParams } from "./choose-foldings.ts";

/** Folds factors into a model block by block, while its source of inputs follows what layers become. */
export interface FoldAlong {
  /**
   * Chooses the factors of a block by what its layers read now that the blocks before it are quantized, unless they are known, and has the
   * source of inputs go on with what becomes of it.
   *
   * @param block Undefined outside the blocks.
   * @throws QuernError `FOLDING_CHANGES_MODEL`, `STATISTICS_NOT_COLLECTED`
   */
  begin(block: number | undefined): Promise<WeightChanges>;
  /** Whether the factors of a block are known. */
  hasBegun(block: number | undefined): boolean;
}

export function foldAlong(params: ChooseFoldingsParams): FoldAlong {
  const { inputs, known } = params;
  const placesOf = (block: number | undefined): ChooseFoldingsParams["foldings"] =>
    params.foldings.filter(({ folding }) => folding.layer === block);
  return {
    async begin(block) {
      const changes = foldedScales(await chooseFoldings({ ...params, foldings: placesOf(block) }));
      if (changes.size > 0) await inputs!.change!(changes);
      return changes;
    },
    hasBegun: (block) => known.of(placesOf(block)) !== undefined,
  };
}
