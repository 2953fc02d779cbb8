"""The network's input: clips read from the stores' memory maps, a batch at a time, each normalised by itself.

Clips are sent to a GPU as bytes. On the CPU they are not copied: a batch refers to the memory maps,
which are read when the bytes become floats. There are no loader processes, which could hang. A process
that needs clips opens the stores itself; no clip is ever pickled.
"""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from fer3d.config import ClipNorm
from fer3d.data.store import Store, open_store
from fer3d.errors import InputError


class Location(NamedTuple):
    """Where chosen clips lie on disk: the store, how to recognise it, and the chosen rows of its manifest."""

    path: Path
    fingerprint: str
    clips: int
    rows: np.ndarray


class Clips:
    """Chosen clips of one or several stores: of each store the given rows of its manifest."""

    def __init__(self, sources: Sequence[tuple[Store, np.ndarray]], classes: Sequence[str]) -> None:
        self._sources, self.classes = sources, tuple(classes)
        stored = [(_as_tensor(store.frames), store.landmarks, rows) for store, rows in sources]
        self._clips = [(frames, landmarks, int(row)) for frames, landmarks, rows in stored for row in rows]
        names = [str(name) for store, rows in sources for name in store.labels[rows]]
        if foreign := set(names).difference(classes):
            raise InputError(f"a clip is labelled {min(foreign)!r}: expected one of {', '.join(classes)}")
        self.targets = torch.tensor([self.classes.index(name) for name in names])

    def __len__(self) -> int:
        return len(self._clips)

    @property
    def locations(self) -> list[Location]:
        """Where the clips lie, for `from_locations` in another process."""
        return [
            Location(store.path.absolute(), str(store.metadata["fingerprint"]), len(store), rows)
            for store, rows in self._sources
        ]

    @classmethod
    def from_locations(cls, locations: Sequence[Location], classes: Sequence[str]) -> Self:
        """The same clips in another process, from memory maps of its own.

        Raises:
            InputError: the store has been replaced meanwhile, or the clips were those of a part of it.
        """
        sources = []
        for path, fingerprint, clips, rows in locations:
            store = open_store(path)
            if (store.metadata["fingerprint"], len(store)) != (fingerprint, clips):
                raise InputError(f"{path} is not the store that it was when the training began", "training again")
            sources.append((store, rows))
        return cls(sources, classes)

    def batch(self, chosen: np.ndarray, device: torch.device) -> tuple[list[Tensor], Tensor, Tensor]:
        """Frames, B times (T, H, W, 3) uint8, landmarks (B, T, 66, 2) pixels, targets (B,), on the device.

        On the CPU the frames lie in the stores, opened for reading: not to be written to.
        """
        clips = [self._clips[i] for i in chosen]
        frames = [to_device(frames[row], device) for frames, _, row in clips]
        landmarks = torch.from_numpy(np.stack([landmarks[row] for _, landmarks, row in clips]))
        return frames, to_device(landmarks, device), to_device(self.targets[chosen], device)


def _as_tensor(frames: np.ndarray) -> Tensor:
    """A store's frames, not copied."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's warning that they can't be written to
        return torch.from_numpy(frames)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device. To a GPU it is copied from page-locked memory: faster, and the host need not wait."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """The order cut into batches of nearly equal size, none above ``batch_size``: no tiny last one.

    >>> [len(batch) for batch in batches(np.arange(33), 16)]
    [11, 11, 11]
    """
    return np.array_split(order, -(-len(order) // batch_size))


def normalise_clips(frames: Tensor | Sequence[Tensor], clip_norm: ClipNorm) -> Tensor:
    """(B, T, H, W, 3) uint8, or B clips (T, H, W, 3), to the network's (B, 3, T, H, W) float, each clip by itself.

    ``whole``: shifted and scaled to mean 0 and deviation 1 over all values. ``parts``: the same for the still picture
    (each pixel's mean over time) and for the motion (the rest), then added. ``none``: 0..255 becomes -1..1.
    """
    clips = _floats(frames)
    if clip_norm == "whole":
        clips -= _mean(clips)
        clips *= _scale(clips)
    elif clip_norm == "parts":
        still = clips.mean(dim=2, keepdim=True)
        clips -= still  # what remains is the motion, whose mean is 0
        still -= _mean(still)
        clips *= _scale(clips)
        clips += still * _scale(still)
    else:
        clips *= 2 / 255
        clips -= 1
    return clips


def network_input(clips: Tensor) -> Tensor:
    """Clips in the precision and layout in which the network computes, written once."""
    device = clips.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else clips.dtype
    return clips.to(dtype, memory_format=torch.channels_last_3d)


def _floats(frames: Tensor | Sequence[Tensor]) -> Tensor:
    """Clips of bytes made one tensor (B, 3, T, H, W) of floats, in a single pass."""
    if isinstance(frames, Tensor):
        return frames.permute(0, 4, 1, 2, 3).to(torch.float32, memory_format=torch.contiguous_format)
    planes = [clip.permute(3, 0, 1, 2) for clip in frames]
    together = torch.empty((len(planes), *planes[0].shape), device=planes[0].device)
    return torch.stack(planes, out=together)


def _mean(clips: Tensor) -> Tensor:
    """The mean of each clip (B, C, T, H, W), (B, 1, 1, 1, 1)."""
    return clips.flatten(1).mean(dim=1)[:, None, None, None, None]


def _scale(clips: Tensor) -> Tensor:
    """The factor (B, 1, 1, 1, 1) that gives a clip of mean 0 the deviation 1; at most 1, so as not to amplify noise."""
    length = clips.flatten(3).norm(dim=3).flatten(1).norm(dim=1)  # in two steps: fp32 loses digits over millions
    deviation = length / math.sqrt(clips[0].numel())
    return deviation.clamp(min=1).reciprocal()[:, None, None, None, None]
