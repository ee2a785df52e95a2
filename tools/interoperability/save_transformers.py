"""Quantizes and saves a small model with bitsandbytes, and the weights that it dequantizes to. A development tool.

    python tools/interoperability/save_transformers.py FOLDER

FOLDER/saved-CASE is a checkpoint, FOLDER/saved-CASE.expected.safetensors its weights in float32. Needs what check_transformers.py needs.
"""

import sys
from pathlib import Path

import bitsandbytes as bnb
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

MODEL = Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "llama2-spm" / "checkpoint"

CASES = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "nf4-double": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
    "fp4-double": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": True},
    "int8": {"load_in_8bit": True},
}


def weight(module):
    if isinstance(module, bnb.nn.Linear4bit):
        state = module.weight.quant_state
        state.dtype = torch.float32
        return bnb.functional.dequantize_4bit(module.weight.data, state)
    return bnb.functional.int8_vectorwise_dequant(module.weight.data, module.weight.SCB)


def main():
    root = Path(sys.argv[1])
    for name, options in CASES.items():
        folder = root / f"saved-{name}"
        model = AutoModelForCausalLM.from_pretrained(
            MODEL, quantization_config=BitsAndBytesConfig(**options), dtype=torch.bfloat16, device_map="cpu"
        )
        model.save_pretrained(folder)
        for file in MODEL.glob("token*"):
            (folder / file.name).write_bytes(file.read_bytes())
        linears = (bnb.nn.Linear4bit, bnb.nn.Linear8bitLt)
        weights = {
            f"{key}.weight": weight(module).float().contiguous()
            for key, module in model.named_modules()
            if isinstance(module, linears)
        }
        save_file(weights, root / f"saved-{name}.expected.safetensors")
        print(name, len(weights), flush=True)


main()
