"""The landmark streams of the shipped weights: learned from people of whom only the landmarks are made.

    python -m benchmarks.training.landmark_streams OUT.safetensors

A person's pictures take seconds to render, the landmarks milliseconds. So the two streams that read landmarks see
thousands of people, and the pictures' stream hundreds (`fer3d pretrain`); `benchmarks.training.shipped` joins them.
The faces of another renderer have other proportions, and another detector other errors, so both are changed at random
(`varied`). Their loss is that of the sum of their logits, as they are used, and half of each stream's own. On two cores
it takes a quarter of an hour and 2.2 GB. The same call gives the same bits on the same machine; stopped, it begins
anew.
"""

import argparse
import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from fer3d import config, labels
from fer3d.config import ClipSettings, NetworkSettings, PretrainingSettings, TrainingSettings
from fer3d.data.landmarks import REGIONS, displacement, shape
from fer3d.model import weights
from fer3d.model.network import LandmarkStream
from fer3d.standins import rendered_store
from fer3d.training.augment import inter_ocular, move_landmarks, moves
from fer3d.training.loop import optimiser
from fer3d.training.schedule import epochs
from fer3d.workers import map_processes

CLASSES = labels.CLASSES[rendered_store.DATABASE]
CROWD = PretrainingSettings(people=8000, recordings=6, seed=1)
"""Nobody of it is in the crowd of `fer3d pretrain`, whose seed is another."""
RECIPE = TrainingSettings(
    epochs=12, batch_size=128, lr=0.1, weight_decay=5e-4, rotation=10.0, landmark_noise=0.03, device="cpu"
)
SHAPE_WEIGHT = 0.8
"""Of the places' logits beside those of the motion."""
WRITTEN_BY = "benchmarks.training.landmark_streams"
"""Who wrote the file, in the place of a run."""
MOVED, STRETCHED, ELSEWHERE = (0.05, 0.12), 0.12, 0.04
"""How far faces are changed: outline, brows, nose, eyes and mouth moved (x, y), stretched by a share of their size, and
each landmark moved. Largest standard deviations, in inter-ocular distances."""
DRIFT, JITTER = 0.004, 0.008
"""Largest standard deviations of a detector's error: of what is added to it from frame to frame, and of what is new in
each; in inter-ocular distances."""
OWN_LOSS = 0.5
"""Weight of each stream's own loss beside that of both: alone, either should still make sense."""


class Streams(nn.Module):
    """Both landmark streams, with the names that they have in `Network`."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.landmark_stream = LandmarkStream(settings, len(CLASSES), displacement)
        self.shape_stream = LandmarkStream(settings, len(CLASSES), shape)

    def forward(self, landmarks: Tensor) -> Tensor:
        """Landmarks (B, T, 66, 2) -> logits (3, B, K): of both together, of the motion, of the places."""
        motion, places = self.landmark_stream(landmarks), self.shape_stream(landmarks)
        return torch.stack([motion + SHAPE_WEIGHT * places, motion, places])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--people", type=int, default=CROWD.people)
    chosen = parser.parse_args()
    profile, crowd = config.profile("laptop"), dataclasses.replace(CROWD, people=chosen.people)
    landmarks, targets = clips_of(crowd, profile.clips)
    torch.set_num_threads(1)  # more would change the bits, and a step is too small for them
    torch.manual_seed(RECIPE.seed)
    streams = Streams(profile.network)
    train(streams, landmarks, targets, profile.clips.size, vary=varied)
    about = {"people": crowd.people, "windows": len(targets), **RECIPE.as_dict()}
    weights.write(chosen.out, streams.state_dict(), WRITTEN_BY, about)


def clips_of(crowd: PretrainingSettings, clips: ClipSettings) -> tuple[Tensor, Tensor]:
    """Landmarks (N, T, 66, 2) of all people's clips, and their classes (N,)."""
    record = partial(rendered_store.record_landmarks, crowd, clips)
    parts, classes = [], []
    recorded = map_processes(record, range(crowd.people), None)
    for shown, landmarks in tqdm(recorded, "people", crowd.people, unit="person", disable=None):
        classes += [CLASSES.index(clip.emotion) for clip in shown]
        parts.append(torch.from_numpy(landmarks))
    return torch.cat(parts), torch.tensor(classes)


def train(
    streams: Streams,
    landmarks: Tensor,
    targets: Tensor,
    size: int,
    recipe: TrainingSettings = RECIPE,
    vary: Callable[[Tensor], Tensor] = lambda landmarks: landmarks,
) -> None:
    """Train in place, as `fer3d.training.loop` does, but for the loss; ``vary`` changes the landmarks of each batch."""
    streams.train()
    sgd = optimiser(streams, recipe)
    wanted = torch.tensor([1, OWN_LOSS, OWN_LOSS])
    for epoch in epochs(0, len(targets), recipe):
        steps = list(zip(epoch.batches, epoch.rates, strict=True))
        for batch, rate in tqdm(steps, f"epoch {epoch.number + 1} of {recipe.epochs}", unit="step", disable=None):
            sgd.param_groups[0]["lr"] = rate
            places = moves(epoch.augment_params[batch], size, recipe)
            logits = streams(vary(move_landmarks(landmarks[batch], places, size, recipe)))
            losses = [functional.cross_entropy(each, targets[batch]) for each in logits]
            sgd.zero_grad()
            (wanted * torch.stack(losses)).sum().backward()
            sgd.step()


def varied(landmarks: Tensor) -> Tensor:
    """Landmarks (B, T, 66, 2) of faces with other proportions, by a detector with another error; some hardly changed.

    The face is changed in the same way in all frames of a clip.
    """
    clips, frames = landmarks.shape[:2]
    distance = inter_ocular(landmarks)

    def draw(*shape: int) -> Tensor:
        return torch.randn(clips, *shape, 2)

    much, drift, jitter = torch.rand(3, clips, 1, 1, 1)
    parts = []
    for region in REGIONS:
        points = landmarks[:, :, region]
        middle = points.mean((1, 2), keepdim=True)
        stretched = (points - middle) * (1 + STRETCHED * much * draw(1, 1))
        parts.append(middle + stretched + distance * much * torch.tensor(MOVED) * draw(1, 1))
    error = DRIFT * drift * draw(frames, 66).cumsum(1) + JITTER * jitter * draw(frames, 66)
    return torch.cat(parts, 2) + distance * (ELSEWHERE * much * draw(1, 66) + error)


if __name__ == "__main__":
    main()
