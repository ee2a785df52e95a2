import type { TileCodes } from "@quern/kernels";
import type { FittedGrid, Parameters } from "../grids/grid.ts";
import { spans, type Span } from "../hessian/spans.ts";
import { localForm, type LocalForm } from "./local-form.ts";
import type { RefinementState } from "./refine.ts";
import { searchOneByOne } from "./search-one-by-one.ts";
import { ROOM, StepsAround } from "./steps-around.ts";
import { addProduct, updateErrors } from "./update-errors.ts";

/** Tiles of more columns are left alone: within them, the search takes time that grows with their width. */
const WIDEST = 256;
/** Times that all directions are tried in turn, at most. */
const ROUNDS = 8;

/**
 * Searches the parameters of every tile once more, together with its codes, one tile after another with all others as they are: for
 * parameters nearby, codes are those that LDLQ gives within the tile, and what counts is the error in H. Of tiles within tiles, the small
 * ones are searched. The error never becomes larger.
 *
 * @param gradients rows x columns of the span: of `errors * H`, which they stay.
 */
export function searchParameters(state: RefinementState, span: Span, gradients: Float32Array): void {
  const { grid } = state.rounded;
  const parameters = grid.inner ?? grid;
  const { unit, step, parameterCount } = parameters;
  if (step === undefined || parameterCount === 0 || unit.rows > 1 || unit.columns > WIDEST) return;
  const tileCodes = kernelForm(grid, parameters);
  const attempts = ROUNDS * (parameterCount === 1 ? 2 : 8);
  for (const tile of spans(span.end, unit.columns, span.start)) {
    const form = localForm({ hessian: state.hessian, columns: state.matrix.columns, span: tile });
    const search = { state, parameters, form, span, tile, gradients, attempts };
    if (tileCodes) searchInKernels({ ...search, tileCodes });
    else searchOneByOne(search);
    const changes = new Float32Array(state.matrix.rows * (tile.end - tile.start));
    updateErrors(state, tile, changes);
    addProduct(state, { tile, span, changes, gradients });
  }
}

export interface TileSearchParams {
  readonly state: RefinementState;
  readonly parameters: Parameters;
  readonly form: LocalForm;
  readonly span: Span;
  readonly tile: Span;
  readonly gradients: Float32Array;
  readonly attempts: number;
}

/** Where the tiles that kernels know are those of the parameters. */
function kernelForm({ tileCodes }: FittedGrid, { unit }: Parameters): TileCodes | undefined {
  return tileCodes?.tile.rows === 1 && tileCodes.tile.columns === unit.columns ? tileCodes : undefined;
}

function searchInKernels(params: TileSearchParams & { readonly tileCodes: TileCodes }): void {
  const { state, parameters, form, span, tile, gradients, attempts, tileCodes } = params;
  const { rows, columns } = state.matrix;
  const { codes, values } = state.rounded;
  const choices = 2 * ROOM + 1;
  const scales = new Float32Array(rows * choices);
  const shifts = tileCodes.shifts && new Float32Array(rows * choices);
  const steps = new StepsAround(parameters, tile.start, rows);
  const across = Math.ceil(columns / tileCodes.tile.columns);
  const first = tile.start / tileCodes.tile.columns;
  for (let row = 0, at = 0; row < rows; row++) {
    const number = row * across + first;
    for (let place = 0; place < choices; place++, at++) {
      steps.write(row, place, place);
      scales[at] = tileCodes.scales[number]!;
      if (shifts) shifts[at] = tileCodes.shifts[number]!;
    }
  }
  const places = new Uint8Array(2 * rows);
  state.math.searchScales({
    rows,
    columns: tile.end - tile.start,
    rule: tileCodes.rule,
    gradients: gradients.subarray(tile.start - span.start),
    gradientStride: span.end - span.start,
    values: values.subarray(tile.start),
    valueStride: columns,
    codes: codes.subarray(tile.start),
    codeStride: columns,
    ...form,
    choices,
    scales,
    shifts,
    movesShifts: parameters.parameterCount > 1,
    attempts,
    places,
  });
  for (let row = 0; row < rows; row++) {
    steps.write(row, places[2 * row]!, places[2 * row + 1]!);
  }
}
