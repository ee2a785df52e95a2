"""What bitsandbytes makes of some weights on a CPU: the reference of fixtures/bitsandbytes.

    python tools/bitsandbytes/reference.py

Needs torch and bitsandbytes, without its native library: its operations are then those of backends/default/ops.py.
"""

import json
from pathlib import Path

import bitsandbytes
import torch
from bitsandbytes import functional

TARGET = Path(__file__).resolve().parents[2] / "fixtures" / "bitsandbytes" / "results.json"


def hexadecimal(tensor):
    return tensor.contiguous().numpy().tobytes().hex()


def four_bit(weights, kind, nested):
    codes, state = functional.quantize_4bit(weights, quant_type=kind, compress_statistics=nested)
    result = {
        "kind": kind,
        "rows": weights.shape[0],
        "columns": weights.shape[1],
        "weights": hexadecimal(weights),
        "packed": hexadecimal(codes),
        "absmax": hexadecimal(state.absmax),
        "values": hexadecimal(functional.dequantize_4bit(codes, state)),
    }
    if nested:
        result |= {"offset": hexadecimal(state.offset), "nestedAbsmax": hexadecimal(state.state2.absmax)}
    return result


def main():
    torch.manual_seed(20)
    plain = torch.randn(3, 128) * torch.tensor([0.02, 1.0, 300.0])[:, None]
    plain[1, 64:] = 0
    # Values at and next to the middles of the codes of both tables, in blocks whose largest weight is 1 or 2.
    ties = []
    for kind in ("nf4", "fp4"):
        code = functional.get_4bit_type(kind, device="cpu").sort().values
        middles = (code[1:] + code[:-1]) / 2
        for near in (middles, torch.nextafter(middles, torch.tensor(9.0)), torch.nextafter(middles, torch.tensor(-9.0))):
            ties.append(torch.cat([near, torch.ones(1), -near, torch.zeros(33 - len(near))])[:64])
    edges = torch.cat([torch.stack(ties), 2 * torch.stack(ties)])
    odd = torch.randn(3, 50)
    many = torch.randn(40, 512).to(torch.bfloat16).float() * torch.rand(40, 1)
    results = [four_bit(w, kind, False) for kind in ("nf4", "fp4") for w in (plain, edges, odd)]
    nested = [four_bit(many, kind, True) for kind in ("nf4", "fp4")]
    for case in nested:
        for key in ("weights", "packed", "values"):
            del case[key]
    _, state = functional.quantize_4bit(many, quant_type="nf4", compress_statistics=False)
    nested[0]["plainAbsmax"] = hexadecimal(state.absmax)
    weights = (torch.randn(4, 48) * 0.1).half()
    codes, scales, _ = functional.int8_vectorwise_quant(weights.clone())
    int8 = {
        "rows": 4,
        "columns": 48,
        "weights": hexadecimal(weights.float()),
        "codes": hexadecimal(codes),
        "scales": hexadecimal(scales),
    }
    version = bitsandbytes.__version__
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps({"bitsandbytes": version, "fourBit": results, "nested": nested[:1], "int8": int8}, indent=1) + "\n")


if __name__ == "__main__":
    main()
