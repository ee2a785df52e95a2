"""Runs checkpoints through the layers of their own loaders: weights, and logits of the whole model. A development tool.

    python tools/interoperability/check_peers.py [--gptqmodel SOURCES] [--autoawq SOURCES] FOLDER ...

SOURCES are the source trees of GPTQModel and AutoAWQ, whose layers in plain PyTorch run on a CPU. FOLDER is a quantized checkpoint with
FOLDER.expected.safetensors beside it (dequantize-checkpoints.mjs). Needs torch, transformers and accelerate; what else these
programs import, and what has no part in how layers are computed, is stood in for. The model around the layers is that of
transformers, in float32.
"""

import argparse
import importlib.machinery
import json
import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

TOKENS = 64


class StandIns:
    """Makes modules of some packages objects that do nothing."""

    def __init__(self, *packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if any(name == package or name.startswith(f"{package}.") for package in self.packages):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = MagicMock(name=spec.name)
        module.__name__, module.__path__, module.__spec__ = spec.name, [], spec
        return module

    def exec_module(self, module):
        pass


def gptqmodel(sources):
    # How it logs, finds devices and texts, and what it knows of architectures.
    aside = ("logbar", "device_smi", "pcre", "tokenicer", "datasets", "dill", "pyarrow", "defuser", "torchao")
    sys.meta_path.insert(0, StandIns(*aside, "gptqmodel.models.definitions"))
    sys.path.append(str(sources))
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module

    def layer(tensors, linear, config):
        bits = config["bits"]
        made = TorchLinear(
            bits=bits,
            group_size=config["group_size"],
            sym=config["sym"],
            desc_act=config["desc_act"],
            in_features=linear.in_features,
            out_features=linear.out_features,
        )
        made.load_state_dict(tensors, strict=True)
        if config.get("checkpoint_format", "gptq") == "gptq":
            convert_gptq_v1_to_v2_format_module(made, bits=bits, pack_dtype=torch.int32)
        made.optimized = True  # torch.compile would take minutes
        made.post_init()
        return made.eval()

    return layer, lambda layer: layer.dequantize_weight().T


def autoawq(sources):
    # Without the package's own start, which loads code for models that later transformers do not have.
    package = types.ModuleType("awq")
    package.__path__ = [str(sources / "awq")]
    package.__spec__ = importlib.machinery.ModuleSpec("awq", None, is_package=True)
    sys.modules["awq"] = package
    from awq.modules.linear.gemm import WQLinear_GEMM
    from awq.utils.packing_utils import dequantize_gemm

    def layer(tensors, linear, config):
        made = WQLinear_GEMM(
            config["bits"], config["group_size"], linear.in_features, linear.out_features, bias=False, dev="cpu"
        )
        made.load_state_dict(tensors, strict=True)
        return made.eval()

    def weight(layer):
        return dequantize_gemm(layer.qweight, layer.qzeros, layer.scales, layer.w_bit, layer.group_size).T

    return layer, weight


LOADERS = {"gptq": gptqmodel, "awq": autoawq}


def tensors_of(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors.update(load_file(file))
    return tensors


@torch.no_grad()
def check(folder, layer_of, weight_of):
    config = AutoConfig.from_pretrained(folder)
    quantization = config.quantization_config
    del config.quantization_config
    tensors = tensors_of(folder)
    expected = load_file(f"{folder}.expected.safetensors")
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    # Loaders dequantize to float16: our weights rounded to it are what has to come out.
    whole = {name: tensor.float() for name, tensor in tensors.items()}
    whole.update({name: weight.half().float() for name, weight in expected.items()})
    if config.tie_word_embeddings:
        whole["lm_head.weight"] = whole["model.embed_tokens.weight"]
    missing, _ = model.load_state_dict(whole, strict=False)
    if missing:
        return f"FAILED: no tensors for {missing[:3]}"
    tokens = torch.arange(1, TOKENS + 1).remainder(config.vocab_size).unsqueeze(0)
    wanted = model(tokens).logits

    different = 0
    for name, weight in expected.items():
        module = name.removesuffix(".weight")
        parent, _, child = module.rpartition(".")
        own = {key[len(module) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{module}.")}
        layer = layer_of(own, model.get_submodule(module), quantization)
        different += (weight_of(layer).half() != weight.half()).sum().item()
        setattr(model.get_submodule(parent), child, layer)
    if different:
        return f"FAILED: {different} weights are others"
    found = model(tokens).logits
    error = ((found - wanted).square().mean() / wanted.square().mean()).sqrt().item()
    same = (found.argmax(-1) == wanted.argmax(-1)).float().mean().item()
    kind = type(layer).__name__
    verdict = "FAILED: " if error > 2e-3 else ""
    return (
        f"{verdict}{len(expected)} layers of {kind}, weights equal; logits {error:.1e} of their root mean square apart, "
        f"{100 * same:.0f} % of first choices the same"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gptqmodel", type=Path)
    parser.add_argument("--autoawq", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args()
    sources = {"gptq": options.gptqmodel, "awq": options.autoawq}
    loaded = {}
    failed = False
    for folder in options.folders:
        method = json.loads((folder / "config.json").read_text())["quantization_config"]["quant_method"]
        if sources.get(method) is None:
            print(f"{folder.name}: passed over, the sources for {method} are not given", flush=True)
            continue
        if method not in loaded:
            loaded[method] = LOADERS[method](sources[method])
        verdict = check(folder, *loaded[method])
        failed = failed or verdict.startswith("FAILED")
        print(f"{folder.name}: {verdict}", flush=True)
    sys.exit(1 if failed else 0)


main()
