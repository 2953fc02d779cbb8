"""Ways to predict on a CPU: fer3d's own, PyTorch's graph frozen or compiled, and the exported file in other programs.

    pip install 'fer3d[onnx]' openvino
    python -m benchmarks.model.inference [--profiles laptop paper] [--threads 2] [--repeats 5] [--compile]

In each round each way is a process of its own, and no other is alive: beside four that waited, a prediction took up to
twice as long. It is started, loads one made-up network, predicts once ("start") and then three times, from stored bytes
to probabilities. Times are medians over the rounds. All compute in bf16 where the processor has it, ONNX Runtime in
fp32 only. A way whose package is missing is left out.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import LABELS, about, arguments, report
from fer3d import config, files
from fer3d.model import weights
from fer3d.model.network import Network
from fer3d.training.devices import best_precision
from fer3d.training.export import export_onnx

TORCH = """
import torch
from fer3d.training.inference import Predictor
from fer3d.training.run import load_model
torch.set_num_threads(threads)
predictor = Predictor(load_model("run"), "cpu")
def predict(frames, landmarks):
    return predictor(torch.from_numpy(frames), torch.from_numpy(landmarks))
"""
GRAPH = """
import torch
import dataclasses
from fer3d.model.layers import fuse_batchnorm
from fer3d.training.export import FromStore
from fer3d.training.run import load_model
torch.set_num_threads(threads)
model = load_model("run")
fused = fuse_batchnorm(model.network).to(memory_format=torch.channels_last_3d)
inputs = [torch.from_numpy(np.load(f"{name}.npy")) for name in ("frames", "landmarks")]
autocast = torch.autocast("cpu", torch.bfloat16, enabled=bf16, cache_enabled=False)
network = FromStore(dataclasses.replace(model, network=fused)).eval()
with torch.no_grad(), autocast:
    MAKE
def predict(frames, landmarks):
    with torch.no_grad(), autocast:
        return network(torch.from_numpy(frames), torch.from_numpy(landmarks)).float().numpy()
"""
WAYS = {
    "fer3d": TORCH,
    "PyTorch, frozen": GRAPH.replace(
        "MAKE", "network = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, inputs)))"
    ),
    "PyTorch, compiled and frozen": GRAPH.replace(
        "MAKE", "torch._inductor.config.freezing = True; network = torch.compile(network)"
    ).replace("import torch\n", "import torch, torch._inductor.config\n", 1),
    "onnxruntime": """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession("network.onnx", options, providers=["CPUExecutionProvider"])
def predict(frames, landmarks):
    return session.run(None, {"frames": frames, "landmarks": landmarks})[0]
""",
    "openvino": """
import openvino
settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
settings["INFERENCE_PRECISION_HINT"] = "bf16" if bf16 else "f32"
compiled = openvino.Core().compile_model("network.onnx", "CPU", settings)
def predict(frames, landmarks):
    return compiled({"frames": frames, "landmarks": landmarks})[0]
""",
}
PREDICT = """
import json, sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
threads, bf16 = int(sys.argv[1]), sys.argv[2] == "bf16"
WAY
clips = [np.load(f"{name}.npy") for name in ("frames", "landmarks")]
print(json.dumps(predict(*clips).tolist()), flush=True)
for _ in range(3):
    wall, used = time.perf_counter(), time.process_time()
    predict(*clips)
    print(json.dumps([time.perf_counter() - wall, time.process_time() - used]), flush=True)
"""


class Round:
    """One way in a process of its own."""

    def __init__(self, way: str, folder: Path, threads: int) -> None:
        words = [sys.executable, "-c", PREDICT.replace("WAY", WAYS[way]), str(threads), best_precision("cpu")]
        began = time.perf_counter()
        with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            self.start = time.perf_counter() - began
            times = [json.loads(line) for line in process.stdout]
        if process.returncode:
            raise SystemExit("a way ended: see its message above")
        self.probabilities = np.array(json.loads(first))
        self.seconds, self.processor_seconds = (statistics.median(column) for column in zip(*times, strict=True))


def write_run(run: Path, picked: config.Profile) -> None:
    """As much of a finished run as its network needs, with weights as they are drawn."""
    values = json.loads(json.dumps(picked.as_dict()))
    data = {"train": [], "split": {}, "test": {"database": "ckplus", "fingerprint": ""}}
    info = {"fer3d": "benchmark", "profile": values, "labels": LABELS, "data": data}
    run.mkdir()
    files.write_json(run / "model.json", info)
    network = Network(picked.network, LABELS, picked.clips.size)
    digest = files.fingerprint(files.read_json(run / "model.json"))
    weights.write(run / "model.safetensors", network.state_dict(), digest)


def compare(name: str, batch: int, repeats: int, chosen: argparse.Namespace) -> pd.DataFrame:
    """A row a way."""
    picked, rng = config.profile(name), np.random.default_rng(0)
    size = picked.clips.size
    left_out = {way for way in ("onnxruntime", "openvino") if find_spec(way) is None}
    left_out |= set() if chosen.compile else {"PyTorch, compiled and frozen"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_run(folder / "run", picked)
        export_onnx(folder / "run", folder / "network.onnx")
        np.save(folder / "frames.npy", rng.integers(0, 256, (batch, 10, size, size, 3), np.uint8))
        np.save(folder / "landmarks.npy", rng.uniform(0, size, (batch, 10, 66, 2)).astype(np.float32))
        rounds: dict[str, list[Round]] = {way: [] for way in WAYS if way not in left_out}
        for _ in range(repeats):
            for way, found in rounds.items():
                found.append(Round(way, folder, chosen.threads))
    base, rows = rounds["fer3d"], []
    for way, found in rounds.items():
        rows.append(
            {
                "way": way,
                "start s": _median(found, "start"),
                "clips/s": batch / _median(found, "seconds"),
                "ratio": _median(base, "seconds") / _median(found, "seconds"),
                "clips per processor second": batch / _median(found, "processor_seconds"),
                "ratio of those": _median(base, "processor_seconds") / _median(found, "processor_seconds"),
                "largest difference": float(np.abs(found[0].probabilities - base[0].probabilities).max()),
            }
        )
    return pd.DataFrame(rows)


def _median(rounds: list[Round], of: str) -> float:
    return statistics.median(getattr(each, of) for each in rounds)


def main() -> None:
    chosen = arguments(__doc__)
    for name in chosen.profiles:
        batch, repeats = (1, min(chosen.repeats, 3)) if name == "paper" else (8, chosen.repeats)
        told = about(chosen) | {"profile": name, "batch": batch, "repeats": repeats}
        told["precision"] = best_precision("cpu")
        report(f"inference at {'full' if name == 'paper' else name} size", compare(name, batch, repeats, chosen), told)


if __name__ == "__main__":
    main()
