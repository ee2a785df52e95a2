import { QuernError } from "@quern/tensor";
import { checkMatrix } from "../../matrix.ts";
import type { MemberContext } from "../../treatment.ts";
import type { Grid } from "../grid.ts";
import { blockCodes } from "./block-codes.ts";
import { FittedBlocks, type BlockGrid } from "./fitted-blocks.ts";
import { BLOCK_LAYOUTS } from "./layouts.ts";
import { levelTable } from "./level-table.ts";

export interface GgmlGridOptions {
  /** A block type of ggml with a scale for each weight: "Q4_K", "IQ4_XS". */
  readonly type: string;
}

/**
 * The blocks of ggml. Scales are searched by the kernels, as llama-quantize searches them, with the importance that is given.
 *
 * @throws QuernError `QUANTIZE_UNKNOWN`
 */
export function ggml({ type }: GgmlGridOptions, { kernels }: MemberContext): Grid<BlockGrid> {
  if (!Object.hasOwn(BLOCK_LAYOUTS, type)) {
    throw new QuernError(
      "QUANTIZE_UNKNOWN",
      `roundings do not know blocks of ${type}; choose among ${Object.keys(BLOCK_LAYOUTS).join(", ")}`,
      { subject: { key: type } },
    );
  }
  const layout = BLOCK_LAYOUTS[type]!;
  const table = levelTable(layout.levels);
  const codes = blockCodes(layout, table);
  const unit = { rows: 1, columns: layout.unitColumns ?? layout.columns };
  const checkColumns = ({ columns }: { readonly columns: number }): void => {
    if (columns % layout.columns !== 0) {
      throw new QuernError(
        "QUANTIZE_SHAPE",
        `rows of ${columns} weights cannot be divided into blocks of ${layout.columns}, as ${type} has them`,
      );
    }
  };
  return {
    name: "ggml",
    bits: Math.ceil(Math.log2(table.levels.length)),
    movesOffsets: false,
    searchesScales: true,
    unitOf(shape) {
      checkColumns(shape);
      return unit;
    },
    open(matrix) {
      checkMatrix(matrix);
      checkColumns(matrix);
      return new FittedBlocks({ kernels, layout, table, blockCodes: codes, shape: matrix });
    },
  };
}
