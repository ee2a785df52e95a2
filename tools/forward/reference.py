"""What transformers computes with the checkpoints of fixtures/golden, in float32: the reference of fixtures/forward.

    python tools/forward/reference.py            # all cases
    python tools/forward/reference.py gemma2 ... # some

Needs transformers 4.57.6, torch, and nothing else; see fixtures/forward/README.md.
"""

import json
import math
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "fixtures" / "golden"
CONVERTER = ROOT / "fixtures" / "converter"
TARGET = ROOT / "fixtures" / "forward"

TOKENS = 24
POSITIONS = [0, 1, 5, 11, 17, 23]
ELEMENTS = 12

# Name of the case -> checkpoint and edits of its configuration, which make windows, scaled positions and caps matter within a
# few tokens.
CASES = {
    "llama2-spm": ("llama2-spm", {}),
    "llama2-spm-linear": ("llama2-spm", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
    "llama2-spm-yarn": (
        "llama2-spm",
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}},
    ),
    "llama31-bpe": (
        "llama31-bpe",
        {
            "rope_scaling": {
                "factor": 32.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 64,
                "rope_type": "llama3",
            }
        },
    ),
    "mistral-hf": ("mistral-hf", {"sliding_window": 7}),
    "mixtral": ("mixtral", {}),
    "qwen2": ("qwen2", {}),
    "qwen2-window": ("qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
    "qwen2moe": ("qwen2moe", {}),
    "qwen2moe-normalized": ("qwen2moe", {"norm_topk_prob": True}),
    "qwen3": ("qwen3", {}),
    # transformers 4 does not read rope_parameters.
    "qwen3moe": ("qwen3moe", {"rope_theta": 1000000.0}),
    "phi3-short": ("phi3", {"sliding_window": 10}),
    "phi3-long": ("phi3", {"original_max_position_embeddings": 16}),
    "gemma2": (
        "gemma2",
        {"sliding_window": 6, "attn_logit_softcapping": 0.5, "final_logit_softcapping": 1.5},
    ),
    "gemma3": ("gemma3", {"sliding_window": 6, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
    "gpt2": ("gpt2", {}),
    "gptneox": ("gptneox", {}),
    "gptneox-base": ("gptneox", {"rotary_emb_base": 300}),
    "gptneox-sequential": ("gptneox", {"use_parallel_residual": False}),
    "falcon-7b": ("falcon-7b", {}),
    "falcon-7b-base": ("falcon-7b", {"rope_theta": 200.0}),
    "starcoder2": ("starcoder2", {"sliding_window": 8}),
    "stablelm": ("stablelm", {}),
    "cohere2": ("cohere2", {"sliding_window": 6}),
    "granite": ("granite", {}),
    "olmo2": ("olmo2", {}),
    "glm4": ("glm4", {}),
    "smollm3": ("smollm3", {}),
    "smollm3-layers": ("smollm3", {"no_rope_layers": [0, 1, 1, 0]}),
    "deepseek2-lite": (
        "deepseek2-lite",
        {
            "rope_scaling": {
                "beta_fast": 32,
                "beta_slow": 1,
                "factor": 40,
                "mscale": 0.707,
                "mscale_all_dim": 0.707,
                "original_max_position_embeddings": 16,
                "type": "yarn",
            }
        },
    ),
    "deepseek2-lite-groups": (
        "deepseek2-lite",
        {"topk_method": "group_limited_greedy", "n_group": 3, "topk_group": 2, "routed_scaling_factor": 1.5},
    ),
    "gpt-oss": (
        "gpt-oss",
        {
            "sliding_window": 8,
            "rope_scaling": {
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "factor": 32.0,
                "original_max_position_embeddings": 16,
                "rope_type": "yarn",
                "truncate": False,
            },
        },
    ),
    "bert": ("bert", {}),
    "xlm-roberta": ("xlm-roberta", {}),
    "xlm-roberta-json": ("xlm-roberta-json", {}),
}

# The same for the checkpoints of fixtures/converter.
MADE_UP_CASES = {
    "bert-mlm": {},
    "cohere2-min": {"sliding_window": 6},
    "deepseek2-plain": {},
    "deepseek3-mtp": {},
    "falcon40b": {"tie_word_embeddings": False},
    "glm4-nobias": {"pad_token_id": 0},
    "gptoss-bf16": {"sliding_window": 8, "num_experts_per_tok": 2},
    "granite-min": {},
    "llama-bias-invfreq": {},
    "mixtral-min": {"sliding_window": 9},
    "neox-min": {},
    "olmo2-gqa": {},
    "olmo3": {
        "sliding_window": 6,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 8.0,
            "original_max_position_embeddings": 16,
            "attention_factor": 1.2,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
        },
    },
    "phi3-su": {"pad_token_id": 0, "original_max_position_embeddings": 16},
    "phi4-mini": {"pad_token_id": 0, "original_max_position_embeddings": 16},
    "qwen2-yarn": {
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
    },
    "qwen3-no-headdim": {},
    "stablelm-seq": {},
    "starcoder2-min": {},
}

ENCODERS = {"bert", "xlm-roberta", "xlm-roberta-json", "bert-mlm"}


def token_ids(count, length):
    """Pseudo-random ids that need no library: a linear congruential generator (Numerical Recipes)."""
    state, ids = 12345, []
    for _ in range(length):
        state = (1664525 * state + 1013904223) % 2**32
        ids.append(2 + (state >> 8) % (count - 2))
    return ids


def load_model(checkpoint, edits):
    folder = GOLDEN / checkpoint / "checkpoint"
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    values = {**json.loads((folder / "config.json").read_text()), **edits}
    kwargs = {k: v for k, v in values.items() if k not in ("auto_map", "quantization_config", "transformers_version")}
    if "layer_types" not in edits and ("max_window_layers" in edits or checkpoint == "gemma3"):
        kwargs.pop("layer_types", None)
    config = type(config)(**kwargs)
    config._attn_implementation = "eager"
    maker = AutoModel if checkpoint in ENCODERS else AutoModelForCausalLM
    if checkpoint == "gpt-oss":
        model = maker.from_config(config, dtype=torch.float32)
        model.load_state_dict(gpt_oss_weights(folder), strict=True)
    else:
        model = maker.from_pretrained(folder, config=config, dtype=torch.float32, attn_implementation="eager")
    if checkpoint == "deepseek2-lite":
        scale_scores(model, config)
    return model.eval()


def gpt_oss_weights(folder):
    """The checkpoint with its MXFP4 experts as numbers, [experts, inputs, outputs]."""
    values = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
    state = load_file(folder / "model.safetensors")
    weights = {k: v.float() for k, v in state.items() if not k.endswith(("_blocks", "_scales"))}
    for name in [k for k in state if k.endswith("_blocks")]:
        blocks, scales = state[name], state[name.replace("_blocks", "_scales")]
        pairs = torch.stack([values[(blocks & 15).long()], values[(blocks >> 4).long()]], dim=-1)
        numbers = pairs.flatten(-2) * torch.exp2(scales.float() - 127)[..., None]
        weights[name.removesuffix("_blocks")] = numbers.flatten(-2).transpose(1, 2).contiguous()
    return weights


def scale_scores(model, config):
    """The scale of attention scores of DeepSeek's own code (`softmax_scale *= mscale * mscale`), which
    `DeepseekV2Attention` of transformers 4.57.6 lacks (its `DeepseekV3Attention` has it)."""
    rope = config.rope_scaling
    scale = 0.1 * rope["mscale_all_dim"] * math.log(rope["factor"]) + 1
    for layer in model.model.layers:
        layer.self_attn.scaling *= scale * scale


def load_made_up_model(name, edits):
    """A checkpoint of fixtures/converter, its made-up weights scaled as fixtures/forward/README.md says."""
    case = json.loads((CONVERTER / f"{name}.json").read_text())
    values = {**case["config"], **edits}
    config = AutoConfig.for_model(**values)
    weights = {key: made_up(key, shape) for key, (_, shape) in case["tensors"].items()}
    maker = AutoModel if name in ENCODERS else AutoModelForCausalLM
    # The class itself, because AutoModel wants a name.
    model, info = maker._model_mapping[type(config)].from_pretrained(
        None,
        config=config,
        state_dict=weights,
        dtype=torch.float32,
        attn_implementation="eager",
        output_loading_info=True,
    )
    missing = [key for key in info["missing_keys"] if not key.startswith("pooler.")]
    assert not missing and not info["mismatched_keys"], info
    return model.eval()


def made_up(name, shape):
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    count = math.prod(shape)
    numbers = [((index * 2654435761 + seed) % 2**32 >> 24) / 16 - 8 for index in range(count)]
    tensor = torch.tensor(numbers, dtype=torch.float32).reshape(shape)
    return 1 + tensor / 16 if len(shape) == 1 else tensor / 16


def run(name):
    if name in MADE_UP_CASES:
        checkpoint, edits = name, MADE_UP_CASES[name]
        model = load_made_up_model(name, edits)
    else:
        checkpoint, edits = CASES[name]
        model = load_model(checkpoint, edits)
    context = getattr(model.config, "n_positions", None) or model.config.max_position_embeddings
    ids = token_ids(model.get_input_embeddings().weight.shape[0], min(TOKENS, context))
    positions = [position for position in POSITIONS if position < len(ids)]
    with torch.no_grad():
        outputs = model(torch.tensor([ids]), output_hidden_states=True)
    result = outputs.last_hidden_state[0] if checkpoint in ENCODERS else outputs.logits[0]
    result = result.double()
    width = result.shape[1]
    columns = [(7919 * index + 3) % width for index in range(ELEMENTS)]
    return {
        "set": "converter" if name in MADE_UP_CASES else "golden",
        "checkpoint": checkpoint,
        "edits": edits,
        "output": "hidden" if checkpoint in ENCODERS else "logits",
        "tokens": ids,
        "width": width,
        "positions": positions,
        "columns": columns,
        "values": [[float(f"{float(result[p, c]):.9g}") for c in columns] for p in positions],
        # One number for every position: the root of the sum of squares over the whole width.
        "norms": [float(f"{float(row.norm()):.9g}") for row in result],
        # The same of the hidden states: the embeddings, and after each block (the last of a decoder with the final norm).
        "hidden_norms": [float(f"{float(state.double().norm()):.9g}") for state in outputs.hidden_states],
    }


def main():
    assert transformers.__version__ == "4.57.6", transformers.__version__
    TARGET.mkdir(exist_ok=True)
    for name in sys.argv[1:] or [*CASES, *MADE_UP_CASES]:
        text = json.dumps(run(name))
        (TARGET / f"{name}.json").write_text(text + "\n")
        print(name, flush=True)


if __name__ == "__main__":
    main()
