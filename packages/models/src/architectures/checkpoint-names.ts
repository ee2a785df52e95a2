import { QuernError, type TensorInfo } from "@quern/tensor";
import type { Architecture, BlockContext, TensorRecipe } from "./architecture.ts";

/**
 * Buffers that old checkpoints hold beside the weights: causal masks, what they are filled with, rotary frequencies
 * (conversion/base.py, `prepare_tensors`).
 */
const BUFFERS = [/\.attention\.(masked_)?bias$/, /\.rotary_emb\.inv_freq$/];

/** Names that are mentioned when there are many. */
const MENTIONED = 3;

/** Tensors of a recipe, by the names that the checkpoint has for them. */
export interface FoundSources {
  readonly names: readonly string[];
  /** First name that the checkpoint lacks; `names` ends before it. */
  readonly missing?: string;
}

/** The names of a checkpoint's tensors, and which of them have found a use. */
export class CheckpointNames {
  readonly #architecture: Architecture;
  /** Name after the renames -> name in the checkpoint. */
  readonly #names = new Map<string, string>();
  readonly #unused = new Set<string>();

  /** @throws QuernError `MODEL_TENSOR_DUPLICATE` when two names are spellings of one */
  constructor(params: {
    architecture: Architecture;
    blocks: number;
    tensors: ReadonlyMap<string, TensorInfo>;
  }) {
    const { architecture, blocks, tensors } = params;
    const { renames = [], extraBlocks } = architecture;
    const ignored = [...BUFFERS, ...(architecture.ignored ?? [])];
    this.#architecture = architecture;
    for (const original of tensors.keys()) {
      const name = renames.reduce(
        (text, [pattern, replacement]) => text.replace(pattern, replacement),
        original,
      );
      if (ignored.some((pattern) => pattern.test(name))) continue;
      if (Number(extraBlocks?.exec(name)?.[1] ?? 0) >= blocks) continue;
      const other = this.#names.get(name);
      if (other !== undefined) {
        throw new QuernError(
          "MODEL_TENSOR_DUPLICATE",
          `The checkpoint has "${other}" and "${original}", which are names of the same tensor`,
          { subject: { tensor: original } },
        );
      }
      this.#names.set(name, original);
      this.#unused.add(original);
    }
  }

  /** The tensors that a recipe is made from. */
  find(recipe: TensorRecipe, context: BlockContext): FoundSources {
    const names: string[] = [];
    for (const name of expand(recipe, context)) {
      const original = this.#names.get(name);
      if (original === undefined) return { names, missing: name };
      names.push(original);
    }
    return { names };
  }

  use(names: readonly string[]): void {
    for (const name of names) this.#unused.delete(name);
  }

  /** An error about a tensor that the architecture needs. */
  missing(recipes: readonly TensorRecipe[], context: BlockContext, output: string): QuernError {
    const tensor = this.find(recipes[0]!, context).missing!;
    return new QuernError(
      "MODEL_TENSOR_MISSING",
      `The checkpoint has no tensor "${tensor}", from which "${output}" of the architecture ${this.#architecture.name} is made`,
      { subject: { tensor } },
    );
  }

  /** @throws QuernError `MODEL_TENSOR_UNKNOWN` when a tensor has found no use */
  checkAllUsed(): void {
    const [tensor, ...others] = this.#unused;
    if (tensor === undefined) return;
    const named = [tensor, ...others.slice(0, MENTIONED - 1)].map((name) => `"${name}"`).join(", ");
    const more = others.length < MENTIONED ? "" : ` and ${others.length - MENTIONED + 1} more`;
    throw new QuernError(
      "MODEL_TENSOR_UNKNOWN",
      `The architecture ${this.#architecture.name} has no use for ${named}${more}; with the given config.json it has no such tensors`,
      { subject: { tensor } },
    );
  }
}

function* expand({ from, count }: TensorRecipe, { config, layer }: BlockContext): Generator<string> {
  const numbers = count?.(config) ?? 0;
  for (const template of from) {
    const name = template.replace("{layer}", String(layer));
    if (!name.includes("{index}")) yield name;
    else for (let index = 0; index < numbers; index++) yield name.replace("{index}", String(index));
  }
}
