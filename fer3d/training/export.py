"""A trained network as an ONNX file, for programs without PyTorch.

The file takes what a prepared store holds, ``frames`` (B, T, H, W, 3) uint8 RGB and
``landmarks`` (B, T, 66, 2) float32 pixels (NaN where missing), with as many frames T as the
run's clips have, and gives ``probabilities`` (B, K) float32 for any number B of clips.
Normalisation, landmark filter (Eq. 2) and softmax are inside; so are the class names, in the
order of the columns, as JSON under ``labels`` in its metadata.
"""

import json
import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fer3d import __version__, files
from fer3d.data.landmarks import COUNT
from fer3d.errors import InputError
from fer3d.training.batches import normalise_clips
from fer3d.training.run import TrainedModel, load_model

logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it lists packages that it does without

TOLERANCE = 1e-4
"""Largest difference of a probability from PyTorch's, in fp32."""


class FromStore(nn.Module):
    """A trained network from stored clips to probabilities."""

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.network, self.clip_norm = model.network, model.training.clip_norm

    def forward(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        return self.network(normalise_clips(frames, self.clip_norm), landmarks).softmax(dim=1)


def export_onnx(run: Path | str, out: Path | str) -> dict[str, Any]:
    """Write the finished run's network as the ONNX file ``out``, whole or not at all.

    Before the file gets its name, its probabilities are compared with PyTorch's on made-up clips.
    Returns ``{"file", "bytes", "labels", "difference"}``, the largest difference of a probability.
    Raises `InputError` for a folder without a finished run, for a name that does not end in ``.onnx``,
    for missing packages and for a difference above `TOLERANCE`.
    """
    files.check_suffix(Path(out), ".onnx", "--onnx")
    if missing := [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]:
        raise InputError(f"the export needs {', '.join(missing)}", "pip install 'fer3d[onnx]'")
    model, out = load_model(run), Path(out)
    network = FromStore(model).eval()
    frames, size, classes = model.clips.num_frames, model.network.size, model.network.classes
    with files.atomic(out) as temporary:
        program = _program(network, *_made_up(2, frames, size))
        program.model.metadata_props.update(
            labels=json.dumps(classes), size=str(size), variant=model.network.settings.variant, fer3d=__version__
        )
        program.save(temporary, external_data=False)
        difference = max(_difference(network, temporary, *_made_up(clips, frames, size)) for clips in (1, 3))
        if not difference <= TOLERANCE:
            raise InputError(
                f"the file's probabilities differ from PyTorch's by {difference:.1g}: expected at most {TOLERANCE}",
                "another version of onnxruntime",
            )
    return {"file": str(out), "bytes": out.stat().st_size, "labels": list(classes), "difference": difference}


def _made_up(clips: int, frames: int, size: int) -> tuple[Tensor, Tensor]:
    """Clips of noise with landmarks in, on and beyond the border, one of them missing."""
    rng = np.random.default_rng(clips)
    pictures = rng.integers(0, 256, (clips, frames, size, size, 3), np.uint8)
    points = rng.uniform(-0.2 * size, 1.2 * size, (clips, frames, COUNT, 2)).astype(np.float32)
    points[0, 0, 0] = np.nan
    return torch.from_numpy(pictures), torch.from_numpy(points)


def _program(network: nn.Module, frames: Tensor, landmarks: Tensor) -> Any:
    """The network as an ONNX program. The exporter's warnings are about its own deprecations."""
    free = {0: torch.export.Dim("clips")}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.onnx.export(
            network,
            (frames, landmarks),
            dynamo=True,
            verbose=False,
            input_names=["frames", "landmarks"],
            output_names=["probabilities"],
            dynamic_shapes={"frames": free, "landmarks": free},
        )


@torch.no_grad()
def _difference(network: nn.Module, file: Path, frames: Tensor, landmarks: Tensor) -> float:
    """The largest difference between onnxruntime's probabilities and PyTorch's."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"frames": frames.numpy(), "landmarks": landmarks.numpy()})
    return float(np.abs(found - network(frames, landmarks).numpy()).max())
