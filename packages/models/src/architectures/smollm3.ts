import type { Architecture } from "./architecture.ts";
import { attentionHeads } from "./hyperparameters.ts";
import {
  llamaBlock,
  llamaVocabulary,
  LLAMA3_ROPE_FACTORS,
  LLAMA_FORWARD,
  LLAMA_HYPERPARAMETERS,
} from "./llama.ts";
import { decoderModel } from "./modules.ts";
import type { Config } from "./config.ts";
import { LLAMA_COMPUTATION, QWEN_WINDOW } from "./computation-keys.ts";
import { bools } from "./hyperparameters.ts";

/** Every fourth block has no positions, unless the configuration says otherwise (llama.cpp, smollm3.cpp). */
const BLOCKS_WITHOUT_POSITIONS = 4;

/** The blocks that have positions, 1 in the configuration. */
function rotatedBlocks(config: Config): readonly boolean[] | undefined {
  return config.optionalNumbers("no_rope_layers")?.map((flag) => flag !== 0);
}

/** SmolLM 3: Llama with blocks without positions, which llama.cpp knows by itself (conversion/llama.py, `SmolLM3Model`). */
export const smollm3: Architecture = {
  name: "smollm3",
  classes: ["SmolLM3ForCausalLM"],
  defaults: { rms_norm_eps: 1e-6, rope_theta: 2_000_000, tie_word_embeddings: true },
  derived: { num_key_value_heads: attentionHeads },
  hyperparameters: LLAMA_HYPERPARAMETERS,
  vocabulary: llamaVocabulary,
  generated: [LLAMA3_ROPE_FACTORS],
  model: decoderModel(),
  block: llamaBlock(),
  forward: {
    ...LLAMA_FORWARD,
    attention: {
      rope: {
        layout: "interleaved",
        rotates: ({ hyperparameters, layer }) =>
          hyperparameters.optionalBooleanOf("rope.rotated_blocks", layer) ??
          (layer + 1) % BLOCKS_WITHOUT_POSITIONS !== 0,
      },
    },
  },
  computation: [...LLAMA_COMPUTATION, ...QWEN_WINDOW, bools("rope.rotated_blocks", rotatedBlocks)],
};
