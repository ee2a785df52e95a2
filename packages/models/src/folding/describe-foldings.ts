import { QuernError, type TensorInfo } from "@quern/tensor";
import { forwardModel } from "../forward/forward-model.ts";
import type { ForwardGraph } from "../forward/graph.ts";
import { planForward } from "../forward/plan/plan-forward.ts";
import { DescribedWeights, type FoldableModel } from "./described-weights.ts";
import { columnParts, rowParts } from "./folded-parts.ts";
import type { FoldedPart, Folding, Foldings, OmittedFolding } from "./folding.ts";
import { type FoldingPlace, foldingPlaces } from "./folding-places.ts";

type Place = Exclude<FoldingPlace, { readonly reason: string }>;

/**
 * The places where factors can be folded into the weights of a checkpoint. Both the forward pass and the record of the architecture have
 * to agree on what reads what, and no tensor may have a use besides; anywhere else nothing is folded, and the reason said.
 *
 * @param params.tensors Of the checkpoint; of quantized layers what is stored, or the weight.
 */
export function describeFoldings(params: {
  readonly description: FoldableModel;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}): Foldings {
  const { description } = params;
  if (description.modules.length === 0) {
    return nowhere(description, "a GGUF file does not say what reads what");
  }
  let graph: ForwardGraph;
  try {
    graph = planForward(forwardModel(description));
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    return nowhere(description, error.message);
  }
  const model = new DescribedWeights(params);
  const foldings: Folding[] = [];
  const omitted: OmittedFolding[] = [];
  let block: number | undefined;
  for (const place of foldingPlaces(graph)) {
    if (place.layer !== block) model.forget();
    block = place.layer;
    const folding = "reason" in place ? place.reason : foldingAt(place, model);
    if (typeof folding !== "string") foldings.push(folding);
    else {
      const { name, layer } = place;
      omitted.push({ name, ...(layer === undefined ? {} : { layer }), reason: folding });
    }
  }
  return { foldings, omitted };
}

function nowhere({ architecture }: FoldableModel, reason: string): Foldings {
  return { foldings: [], omitted: [{ name: architecture, reason }] };
}

/** @returns the reason where there can be none */
function foldingAt(place: Place, model: DescribedWeights): Folding | string {
  const { name, layer, maker, divides, columns, rows, matrix, statistics } = place;
  const readers = place.readers;
  const recorded = model.readersOf(maker);
  if (recorded.length !== readers.length || !recorded.every((reader) => readers.includes(reader))) {
    return `its record says that it feeds ${list(recorded)}, the computation that it feeds ${list(readers)}`;
  }
  const unlisted = layer === undefined ? model.unusedMatrix() : undefined;
  if (unlisted !== undefined) return `the checkpoint has "${unlisted}", which may read it too`;
  const multiplied = multipliedParts(place, model);
  if (typeof multiplied === "string") return multiplied;
  const divided = dividedParts(place, model);
  if (typeof divided === "string") return divided;
  const tied = rows === undefined ? undefined : tiesOf(rows);
  return {
    name,
    ...(layer === undefined ? {} : { layer }),
    columns,
    ...(tied === undefined ? {} : { tied }),
    statistics,
    readers: readers.map((module) => ({ module, ...(matrix && { matrix: matrix.index }) })),
    multiplied,
    divided,
    divides,
  };
}

function multipliedParts(
  { readers, columns, matrix }: Place,
  model: DescribedWeights,
): FoldedPart[] | string {
  const weights = readers.map((reader) => `${reader}.weight`);
  const parts = new Map<string, FoldedPart>();
  for (const weight of weights) {
    const { storage } = model.tensors.get(weight)!;
    if (typeof storage === "object")
      return `"${weight}" is in blocks of ${storage.packed}, which take no factors`;
    const origins = model.origins(weight);
    const found = origins.isWhole ? columnParts(origins, { columns, ...(matrix && { matrix }) }) : undefined;
    if (found === undefined) return `"${weight}" does not consist of rows of the checkpoint`;
    for (const part of found) {
      const other = model.usersOf(part.tensor).find((user) => !weights.includes(user));
      if (other !== undefined) return `"${part.tensor}" is used in "${other}" too`;
      if (part.offset !== 0) return `${part.offset} is added to "${part.tensor}"`;
      parts.set(part.tensor, part);
    }
  }
  return [...parts.values()];
}

function dividedParts(place: Place, model: DescribedWeights): FoldedPart[] | string {
  const { maker, divides, columns, rows, matrix } = place;
  const parts: FoldedPart[] = [];
  for (const name of [`${maker}.weight`, `${maker}.bias`]) {
    const tensor = model.tensors.get(name);
    if (tensor === undefined) continue;
    if (typeof tensor.storage === "object")
      return `"${name}" is in blocks of ${tensor.storage.packed}, which take no factors`;
    const elements = divides === "norm" || name.endsWith(".bias");
    const origins = model.origins(name, elements);
    const first = matrix === undefined ? 0 : (origins.rows.length / matrix.count) * matrix.index;
    const made = new Uint32Array(columns);
    for (let column = 0; column < columns; column++) made[column] = first + (rows?.[column] ?? column);
    const found = origins.isWhole ? rowParts(origins, { made, elements }) : undefined;
    if (found === undefined) return `"${name}" does not consist of rows of the checkpoint`;
    for (const part of found) {
      if (part.offset !== 0 && divides === "linear") return `${part.offset} is added to "${part.tensor}"`;
      const other = model.usersOf(part.tensor).find((user) => user !== name && shares(user, part, model));
      if (other !== undefined) return `rows of "${part.tensor}" are used in "${other}" too`;
    }
    parts.push(...found);
  }
  return parts;
}

/** Whether a tensor has rows of the checkpoint in it that a part divides. */
function shares(user: string, part: FoldedPart, model: DescribedWeights): boolean {
  if (part.axis === "columns") return true;
  const used = model.usedRows(user, part.tensor);
  for (let row = 0; row < part.rows; row++) {
    const column = part.columnOf?.[row] ?? row;
    if (column >= 0 && used[part.firstRow + row] !== 0) return true;
  }
  return false;
}

/** Columns that are made by the same row have the same number; undefined where there are none. */
function tiesOf(rows: Uint32Array): Uint32Array | undefined {
  const numbers = new Map<number, number>();
  const tied = rows.map((row) => {
    const number = numbers.get(row) ?? numbers.size;
    numbers.set(row, number);
    return number;
  });
  return numbers.size === rows.length ? undefined : tied;
}

function list(names: readonly string[]): string {
  return names.length === 0 ? "nothing" : names.join(", ");
}
