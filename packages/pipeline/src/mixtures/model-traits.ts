import type { GgufMetadata } from "@quern/gguf";
import { QuernError } from "@quern/tensor";

/** What mixtures need to know about a model. */
export interface ModelTraits {
  /** GGUF architecture name: "llama". */
  readonly architecture: string;
  /** Blocks. */
  readonly layers: number;
  /** Query heads that share one key and value head, in the first block; 0 when unknown. */
  readonly headsPerGroup: number;
  /** Experts of a layer; 0 without. */
  readonly experts: number;
  /** Whether llama.cpp takes it for a 70B model. */
  readonly isLarge: boolean;
}

/** Blocks of the models that llama.cpp calls 70B (`LLM_TYPE_70B` in src/models/*.cpp). */
const LARGE_MODELS: ReadonlyMap<string, { readonly layers: number; readonly sharesHeads?: boolean }> =
  new Map([
    ["llama", { layers: 80, sharesHeads: true }],
    ["llama-embed", { layers: 80, sharesHeads: true }],
    ["deci", { layers: 80 }],
    ["jais2", { layers: 68 }],
    ["olmo", { layers: 80 }],
    ["qwen2", { layers: 80 }],
  ]);

/** llama.cpp quantizes these by their tensors alone: they have towers of blocks, and no `block_count` (`LLM_ARCH_CLIP`). */
const WITHOUT_BLOCKS: ReadonlySet<string> = new Set(["clip"]);

/**
 * Reads the traits from a model's metadata.
 *
 * @throws QuernError `MIXTURE_METADATA_MISSING` without an architecture or a number of blocks
 */
export function modelTraits(metadata: GgufMetadata): ModelTraits {
  const name = metadata.get("general.architecture");
  if (name?.type !== "string") throw missing("general.architecture", "a string");
  const architecture = String(name.value);
  const number = (key: string): number | undefined => firstNumber(metadata, `${architecture}.${key}`);

  const layers = WITHOUT_BLOCKS.has(architecture) ? 0 : number("block_count");
  if (layers === undefined) throw missing(`${architecture}.block_count`, "a number");
  const experts = number("expert_count") ?? 0;
  const heads = number("attention.head_count") ?? 0;
  const keyHeads = number("attention.head_count_kv") ?? heads;
  const large = LARGE_MODELS.get(architecture);
  return {
    architecture,
    layers,
    experts,
    headsPerGroup: keyHeads === 0 ? 0 : Math.floor(heads / keyHeads),
    isLarge:
      large?.layers === layers && (large.sharesHeads !== true || (heads !== keyHeads && experts !== 8)),
  };
}

/** Keys that may differ by block hold one number or an array. */
function firstNumber(metadata: GgufMetadata, key: string): number | undefined {
  const value = metadata.get(key);
  if (value?.type === "array") return value.length === 0 ? undefined : Number(value.at(0));
  return typeof value?.value === "number" ? value.value : undefined;
}

function missing(key: string, expected: string): QuernError {
  return new QuernError(
    "MIXTURE_METADATA_MISSING",
    `the model's metadata has no "${key}": expected ${expected}`,
    {
      subject: { key },
    },
  );
}
