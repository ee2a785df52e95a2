import { type BlockGraph, evaluateBlock, type LinearInput, type ParameterSet } from "@quern/models";
import type { ModelWindow } from "../window.ts";
import { checkFinite } from "./finite.ts";
import type { TaskResources } from "./task-resources.ts";

/** Where the inputs of a group of linear layers go. */
export interface Capture {
  /** Name of the group (`LinearInputs.name`). */
  readonly module: string;
  /** Shared memory for tokens * rowsPerToken rows of the group's columns; it is filled from the beginning. */
  readonly target: Float32Array;
}

/** Hidden states of a window through a block. */
export interface BlockTask {
  readonly kind: "block";
  readonly graph: BlockGraph;
  readonly parameters: ParameterSet;
  readonly window: ModelWindow;
  /** Number of the window, for messages. */
  readonly index: number;
  /** Shared memory, tokens x width: the states before the block, replaced by those after it unless `keep` is set. */
  readonly hidden: Float32Array;
  readonly keep?: boolean;
  readonly capture?: readonly Capture[];
  /** Whether only what is captured is wanted: the block is computed until all targets are full, and `hidden` is left as it is. */
  readonly capturesOnly?: boolean;
}

/** Rows that were captured of a group, in the order in which they lie in its target. */
export interface CapturedRows {
  readonly module: string;
  /** For a plain layer one part, of the matrix 0; for stacked ones those that have rows. */
  readonly parts: readonly { readonly matrix: number; readonly rows: number }[];
}

export interface BlockResult {
  /** In the order of `capture`. */
  readonly captured: readonly CapturedRows[];
}

/** @throws QuernError `ACTIVATION_NOT_FINITE`, and the codes of `evaluateBlock` */
export function runBlock({ kernels, workspace }: TaskResources, task: BlockTask): BlockResult {
  const { graph, parameters, window, index, hidden, keep = false, capture = [], capturesOnly = false } = task;
  workspace.clear();
  const captures = new Map(capture.map(({ module, target }) => [module, new CapturedGroup(module, target)]));
  const captured = [...captures.values()];
  const observe = (input: LinearInput): void => {
    captures.get(input.module)?.add(input);
    if (capturesOnly && captured.every((group) => group.isFull)) throw new AllCaptured();
  };
  const result = unlessAllCaptured(() =>
    evaluateBlock({
      graph,
      evaluation: { kernels, parameters, workspace, ...(captures.size > 0 && { observe }) },
      hidden,
      tokens: window.tokens.length,
      starts: window.starts,
    }),
  );
  if (result !== undefined) {
    const width = hidden.length / window.tokens.length;
    checkFinite({ hidden: result, width, where: `blk.${graph.layer}`, window: index });
    if (!keep && !capturesOnly) hidden.set(result);
  }
  return { captured };
}

/** Thrown to leave a block in the midst of it. */
class AllCaptured extends Error {}

function unlessAllCaptured<Result>(evaluate: () => Result): Result | undefined {
  try {
    return evaluate();
  } catch (thrown) {
    if (thrown instanceof AllCaptured) return undefined;
    throw thrown;
  }
}

class CapturedGroup implements CapturedRows {
  readonly module: string;
  readonly parts: { matrix: number; rows: number }[] = [];
  readonly #target: Float32Array;
  #filled = 0;

  constructor(module: string, target: Float32Array) {
    this.module = module;
    this.#target = target;
  }

  get isFull(): boolean {
    return this.#filled === this.#target.length;
  }

  add({ input, rows, matrix = 0 }: LinearInput): void {
    this.#target.set(input, this.#filled);
    this.#filled += input.length;
    this.parts.push({ matrix, rows });
  }
}
