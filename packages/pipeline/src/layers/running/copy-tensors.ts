import { ELEMENT_TYPES } from "@quern/tensor";
import type { PlannedCopy } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";

/** Bytes that are copied at a time. */
const PIECE_BYTES = 4 * 2 ** 20;

/** Pieces that are under way at once: rounding is what threads are for. */
const PIECES_AT_ONCE = 2;

/** Copies tensors piece by piece. */
export async function copyTensors(params: {
  readonly copies: readonly PlannedCopy[];
  readonly run: RunLayerTask;
  /** Called for each piece. */
  readonly onPiece: (copy: PlannedCopy, rows: number, bytes: number) => void;
  /** Called when all pieces of a tensor are written. */
  readonly onDone: (copy: PlannedCopy) => Promise<void>;
}): Promise<void> {
  const { copies, run, onPiece, onDone } = params;
  const pieces = piecesOf(copies);
  const missing = new Map(copies.map((copy) => [copy, copy.weights.rows]));
  const copyNext = async (): Promise<void> => {
    for (const { copy, firstRow, rows, offset } of pieces) {
      const { weights, type, target } = copy;
      const place = { file: target.file, offset: target.offset + offset };
      const bytes = await run({ kind: "copy-rows", weights, type, firstRow, rows, target: place });
      onPiece(copy, rows, bytes);
      missing.set(copy, missing.get(copy)! - rows);
      if (missing.get(copy) === 0) await onDone(copy);
    }
  };
  await Promise.all(Array.from({ length: PIECES_AT_ONCE }, copyNext));
  for (const copy of copies) if (copy.weights.rows === 0) await onDone(copy);
}

interface Piece {
  readonly copy: PlannedCopy;
  readonly firstRow: number;
  readonly rows: number;
  /** In the tensor as it is written. */
  readonly offset: number;
}

function* piecesOf(copies: readonly PlannedCopy[]): Generator<Piece, void, undefined> {
  for (const copy of copies) {
    const { rows, columns } = copy.weights;
    const rowBytes = (columns * ELEMENT_TYPES[copy.type].bits) / 8;
    const size = copy.weights.whole === true ? rows : Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
    for (let firstRow = 0; firstRow < rows; firstRow += size) {
      yield { copy, firstRow, rows: Math.min(size, rows - firstRow), offset: firstRow * rowBytes };
    }
  }
}
