"""Predictions of a trained network: on any clips, and on chosen clips of a prepared store."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from fer3d.config import Device, Precision
from fer3d.data.store import Store
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.model.layers import fuse_batchnorm
from fer3d.training import devices
from fer3d.training.batches import Clips, batches, network_input, normalise_clips
from fer3d.training.run import TrainedModel

_CUT = ("size", "num_frames", "frame_step", "margin", "align", "crop_per", "sampling")
"""The settings that change what a clip shows: a store's must be those that the network was trained with."""


class Predictor:
    """A trained network, fused by `fuse_batchnorm`, on a device and in a precision: by default the best ones here."""

    def __init__(self, model: TrainedModel, device: Device = "auto", precision: Precision = "auto") -> None:
        chosen, self._precision = devices.choose(device, precision)
        self.device, self._clip_norm = torch.device(chosen), model.training.clip_norm
        self._network = fuse_batchnorm(model.network)
        self._network.to(device=self.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, frames: Tensor | Sequence[Tensor], landmarks: Tensor) -> np.ndarray:
        """Probabilities (B, K) of clips on the device: frames (B, T, H, W, 3) uint8, landmarks (B, T, 66, 2) pixels."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            logits = self._network(network_input(normalise_clips(frames, self._clip_norm)), landmarks)
        return logits.float().softmax(dim=1).cpu().numpy()


def predict_store(model: TrainedModel, store: Store) -> tuple[pd.DataFrame, dict[str, int]]:
    """Predictions for all clips of a store whose label the network has learned, and the number of others by label.

    Raises:
        InputError: as `predict`; or no clip has a label that the network has learned.
    """
    known = store.manifest["label"].isin(model.network.classes)
    if not known.any():
        raise InputError(f"no clip of {store.path} has one of the learned labels {', '.join(model.network.classes)}")
    others = store.manifest["label"][~known].value_counts().sort_index()
    rows = np.flatnonzero(known)
    return predict(model, store, rows), {str(name): int(count) for name, count in others.items()}


def predict(model: TrainedModel, store: Store, rows: np.ndarray) -> pd.DataFrame:
    """Predictions for the clips in the given rows of a store's manifest, as `metrics.predictions_table` has them.

    Raises:
        InputError: clips cut otherwise than those that the network learned, or a label that it has not learned.
    """
    network, settings = model.network, model.training
    for name in _CUT:
        made, learned = getattr(store.settings, name), getattr(model.clips, name)
        if made != learned:
            raise InputError(
                f"{store.path} was prepared with {name} = {made}, the network's own clips with {learned}",
                f"fer3d prepare --set clips.{name}={learned}",
            )
    clips = Clips([(store, rows)], network.classes)
    predictor = Predictor(model, settings.device, settings.precision)
    probabilities = []
    at_once = -(-settings.batch_size // settings.accumulate)  # no more than a training step has in memory
    for chosen in tqdm(batches(np.arange(len(clips)), at_once), "test", disable=None, leave=False):
        frames, landmarks, _ = clips.batch(chosen, predictor.device)
        probabilities.append(predictor(frames, landmarks))
    return metrics.predictions_table(store.manifest.iloc[rows], network.classes, np.concatenate(probabilities))


@torch.no_grad()
def stream_logits(model: TrainedModel, store: Store, rows: np.ndarray) -> Tensor:
    """The logits of each of a network's streams for clips of a store, (S, N, K): the pictures', then the landmarks'."""
    clips, found = Clips([(store, rows)], model.network.classes), []
    for chosen in batches(np.arange(len(clips)), 64):
        frames, landmarks, _ = clips.batch(chosen, torch.device("cpu"))
        found.append(model.network.stream_logits(normalise_clips(frames, model.training.clip_norm), landmarks))
    return torch.cat(found, dim=1)
