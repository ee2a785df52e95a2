import type {
  AttentionGraph,
  BlockGraph,
  FeedForwardGraph,
  ForwardGraph,
  NormGraph,
} from "../../forward/graph.ts";
import type { DescribedWeights } from "../described-weights.ts";
import type { Foldings } from "../folding.ts";
import type { OriginTensor } from "../row-origins.ts";
import type { FusedNorm, ResidualRotation, RotatedPart } from "./model-rotations.ts";

interface Known extends Foldings {
  readonly model: DescribedWeights;
}

/** The rotation of hidden states; or the reason why there is none. */
export function residualRotation(graph: ForwardGraph, known: Known): ResidualRotation | string {
  const { embedding, blocks, output } = graph;
  const size = embedding.width;
  const refusal = refusalOf(graph, known.model);
  if (refusal !== undefined) return refusal;
  const isTied = output.projection!.module === embedding.module;
  const last = output.norm!.module;
  const norms: FusedNorm[] = [];
  const parts: RotatedPart[] = [];
  for (const module of new Set([...blocks.flatMap(normsBefore).map((norm) => norm!.module), last])) {
    if (isTied && module === last) continue;
    const norm = fusedNorm(module, known);
    if (typeof norm === "string") return norm;
    norms.push(norm);
    parts.push(...norm.readers.map(({ tensor }) => ({ tensor, axis: "columns" }) as const));
  }
  for (const module of blocks.flatMap(writers)) {
    const written = writtenParts(module, size, known.model);
    if (typeof written === "string") return written;
    parts.push(...written);
  }
  const table = onlyTensor(`${embedding.module}.weight`, known.model);
  const weight = onlyTensor(`${last}.weight`, known.model);
  if (table === undefined || weight === undefined)
    return "the embedding or the last norm is no tensor of its own";
  parts.push({ tensor: table.name, axis: "columns" });
  const norm = { tensor: weight.name, columns: size, offset: weight.offset, readers: [] };
  return { size, norms, parts, ...(isTied && { tied: { embedding: table.name, norm } }) };
}

/** Why the computation lets no rotation through. */
function refusalOf({ embedding, blocks, output }: ForwardGraph, model: DescribedWeights): string | undefined {
  if (embedding.width % 2 !== 0) return `hidden states have ${embedding.width} elements, an odd number`;
  if (output.projection === undefined) return "hidden states are its result";
  if (embedding.positions !== undefined || embedding.tokenTypes !== undefined) {
    return "several embeddings make its hidden states";
  }
  const scaling = [embedding.norm, ...blocks.flatMap(normsOnTheWay)].find((norm) => norm !== undefined);
  if (scaling !== undefined) return `${scaling.module} scales elements of what is written to hidden states`;
  const norms = [...blocks.flatMap(normsBefore), output.norm];
  if (norms.includes(undefined)) return "layers read hidden states without a norm";
  const centering = norms.find((norm) => norm!.kind !== "rms");
  if (centering !== undefined) return `${centering.module} subtracts a mean, which rotations change`;
  const unlisted = model.unusedMatrix();
  return unlisted === undefined
    ? undefined
    : `the checkpoint has "${unlisted}", which may use hidden states too`;
}

function normsBefore({ attention, feedForward }: BlockGraph): (NormGraph | undefined)[] {
  return [attention.norms.before, feedForward.norms.before];
}

function normsOnTheWay({ attention, feedForward }: BlockGraph): (NormGraph | undefined)[] {
  return [attention, feedForward].flatMap(({ norms }) => [norms.after, norms.residual]);
}

/** Modules whose results are added to hidden states. */
function writers({
  attention,
  feedForward,
}: {
  attention: AttentionGraph;
  feedForward: FeedForwardGraph;
}): string[] {
  const networks =
    feedForward.kind === "dense"
      ? [feedForward.network]
      : [feedForward.network, ...(feedForward.shared === undefined ? [] : [feedForward.shared.network])];
  return [attention.output.module, ...networks.map(({ down }) => down.module)];
}

function fusedNorm(module: string, { foldings, omitted }: Known): FusedNorm | string {
  const folding = foldings.find(({ name }) => name === module);
  if (folding === undefined) {
    const reason = omitted.find(({ name }) => name === module)?.reason ?? "nothing can be folded there";
    return `${module} cannot become 1: ${reason}`;
  }
  const { columns, multiplied: readers, divided } = folding;
  const [weight, bias] = divided;
  const other = readers.find(({ axis }) => axis !== "columns");
  if (bias !== undefined) return `${module} adds "${bias.tensor}"`;
  if (other !== undefined) return `"${other.tensor}" is stored as inputs x outputs`;
  return { tensor: weight!.tensor, columns, offset: weight!.offset, readers };
}

/** The weight, and the bias if there is one, of a layer with a row for each element of a hidden state, or of several one after another. */
function writtenParts(module: string, size: number, model: DescribedWeights): RotatedPart[] | string {
  const parts: RotatedPart[] = [];
  for (const name of [`${module}.weight`, `${module}.bias`]) {
    const tensor = model.tensors.get(name);
    if (tensor === undefined) continue;
    const elements = name.endsWith(".bias");
    const { isWhole, tensors, rows } = model.origins(name, elements);
    const inOrder = rows.every((row, index) => row === rows[0]! + index);
    const packed = typeof tensor.storage === "object";
    const fit = tensors.every(({ name: source, shape, transposed, offset }) => {
      const outputs = elements ? shape.at(-1)! : shape.slice(0, -1).reduce((all, length) => all * length, 1);
      const isOwn = model.usersOf(source).length === 1;
      return isOwn && !transposed && offset === 0 && (elements ? outputs === size : outputs % size === 0);
    });
    if (packed || !isWhole || !inOrder || !fit)
      return `"${name}" is not made of rows of the checkpoint, in order`;
    parts.push(
      ...tensors.map((source) => ({ tensor: source.name, axis: elements ? "columns" : "rows" }) as const),
    );
  }
  return parts;
}

/** The tensor of the checkpoint that an output tensor is, if nothing else is made from it. */
function onlyTensor(name: string, model: DescribedWeights): OriginTensor | undefined {
  const { isWhole, tensors } = model.origins(name, model.tensors.get(name)!.shape.length === 1);
  const [tensor, other] = tensors;
  if (!isWhole || tensor === undefined || other !== undefined || tensor.transposed) return undefined;
  return model.usersOf(tensor.name).length === 1 ? tensor : undefined;
}
