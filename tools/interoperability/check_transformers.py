"""Loads checkpoints of write-checkpoints.mjs with transformers and compares the weights that it makes of them. A development tool.

    python tools/interoperability/check_transformers.py FOLDER [CASE ...]

Needs torch, transformers 5, bitsandbytes 0.46 or later and compressed-tensors 0.15 or later; no GPU. Formats whose loader needs
another package or a GPU (GPTQ, AWQ, MLX) are passed over and named.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, CompressedTensorsConfig

METHODS = {"bitsandbytes", "compressed-tensors", "fp8"}


def dequantized(module):
    """The weight of a loaded linear layer, and the type that it has been rounded to."""
    import bitsandbytes as bnb

    weight = module.weight
    if isinstance(module, bnb.nn.Linear4bit):
        return bnb.functional.dequantize_4bit(weight.data, weight.quant_state)
    if isinstance(module, bnb.nn.Linear8bitLt):
        scales = weight.SCB if weight.SCB is not None else module.state.SCB
        return bnb.functional.int8_vectorwise_dequant(weight.data, scales)
    return weight.data


def check(folder, expected_file):
    config = json.loads((folder / "config.json").read_text())
    quantization = config["quantization_config"]
    method = quantization.get("quant_method", "mlx")
    if method not in METHODS:
        return f"passed over: {method} needs another loader"
    more = {}
    if method == "compressed-tensors":
        more["quantization_config"] = CompressedTensorsConfig(run_compressed=False)
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True, dtype=torch.bfloat16, device_map="cpu", **more
    )
    keys = {key: list(info[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[key]}
    if keys:
        return f"FAILED: {json.dumps(keys, default=str)[:300]}"
    modules = dict(model.named_modules())
    worst = 0.0
    for name, expected in load_file(expected_file).items():
        found = dequantized(modules[name.removesuffix(".weight")])
        if found.shape != expected.shape:
            return f"FAILED: {name} has the shape {tuple(found.shape)}"
        # In the precision of the model, and not more: that is all that it computes with.
        difference = (found.float() - expected.to(found.dtype).float()).abs() / expected.abs().clamp_min(1e-9)
        worst = max(worst, difference.max().item())
    tokens = AutoTokenizer.from_pretrained(folder)("one", return_tensors="pt")
    generated = model.generate(**tokens, max_new_tokens=3, do_sample=False)
    verdict = "equal" if worst == 0 else f"relative difference {worst:.3g}"
    return f"loads, weights {verdict}, generates {generated.shape[1] - tokens['input_ids'].shape[1]} tokens"


def main():
    root = Path(sys.argv[1])
    names = sys.argv[2:] or sorted(path.name for path in root.iterdir() if path.is_dir())
    failed = False
    for name in names:
        try:
            verdict = check(root / name, root / f"{name}.expected.safetensors")
        except Exception as error:  # noqa: BLE001 one case must not hide the others
            verdict = f"FAILED: {type(error).__name__}: {str(error)[:300]}"
        failed = failed or verdict.startswith("FAILED")
        print(f"{name}: {verdict}", flush=True)
    sys.exit(1 if failed else 0)


main()
