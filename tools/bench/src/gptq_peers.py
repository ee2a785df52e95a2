"""Runs GPTQ of others for gptq-peers.mjs: a line of JSON says what to round, a line of JSON says how long that took.

python gptq_peers.py GPTQ LLM_COMPRESSOR: checkouts of IST-DASLab/gptq and of vllm-project/llm-compressor, or "-" for none.
"""

import contextlib
import importlib.util
import io
import json
import sys
import time
from pathlib import Path

import numpy
import torch

BITS = 4
GROUP = 128


def module_at(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Original:
    """`GPTQ.fasterquant`, with groups that are fitted as they are entered."""

    def __init__(self, checkout):
        # The module looks for a processor that is not needed here when it is loaded, and waits for it when it is done.
        torch.cuda.synchronize = lambda: None
        sys.path.insert(0, str(checkout))
        with contextlib.redirect_stdout(io.StringIO()):
            self.gptq = module_at(checkout / "gptq.py")
            self.quant = module_at(checkout / "quant.py")

    def prepared(self, layer, hessian):
        task = self.gptq.GPTQ(layer)
        task.H = hessian
        task.quantizer = self.quant.Quantizer()
        task.quantizer.configure(BITS, perchannel=True, sym=True, mse=False)

        def run():
            with contextlib.redirect_stdout(io.StringIO()):
                task.fasterquant(percdamp=0.01, groupsize=GROUP)
            return layer.weight

        return run


class Observer:
    """Smallest and largest weight of each group: what llm-compressor asks its observer for."""

    def __init__(self, weight, arguments):
        from compressed_tensors.quantization.utils import calculate_qparams

        groups = weight.unflatten(1, (-1, GROUP))
        scale, zero = calculate_qparams(groups.amin(2), groups.amax(2), arguments)
        self.parameters = {"scale": scale, "zero_point": zero, "global_scale": None}

    def get_qparams(self):
        return self.parameters


class LlmCompressor:
    """`quantize_weight`, with groups that are fitted before."""

    def __init__(self, checkout):
        path = checkout / "src/llmcompressor/modifiers/gptq/gptq_quantize.py"
        self.quantize_weight = module_at(path).quantize_weight

    def prepared(self, layer, hessian):
        from compressed_tensors.quantization import QuantizationArgs

        arguments = QuantizationArgs(num_bits=BITS, type="int", symmetric=True, strategy="group", group_size=GROUP)

        def run():
            layer.weight_observer = Observer(layer.weight, arguments)
            _, parameters = self.quantize_weight(layer, arguments, hessian, percdamp=0.01)
            return parameters["weight"]

        return run


def main():
    checkouts = {"gptq": (Original, sys.argv[1]), "llm-compressor": (LlmCompressor, sys.argv[2])}
    peers = {name: make(Path(path).resolve()) for name, (make, path) in checkouts.items() if path != "-"}
    print(json.dumps({"peers": list(peers), "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        rows, columns = task["rows"], task["columns"]
        torch.set_num_threads(task["threads"])
        layer = torch.nn.Linear(columns, rows, bias=False)
        weights = numpy.fromfile(task["weights"], dtype=numpy.float32).reshape(rows, columns)
        hessian = numpy.fromfile(task["hessian"], dtype=numpy.float32).reshape(columns, columns)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights))
            run = peers[task["peer"]].prepared(layer, torch.from_numpy(hessian))
            clock, processor = time.perf_counter(), time.process_time()
            values = run()
            seconds = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
            values.detach().numpy().astype(numpy.float32).tofile(task["output"])
        print(json.dumps(seconds), flush=True)


main()
