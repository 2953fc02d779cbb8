"""Ways to learn more from a few people of the second rendering, each against fine-tuning as `second_people` does it.

    python -m benchmarks.training.second_ways [--csv FILE]

The landmark streams of the shipped weights are trained further on groups of 16 and 64 people and tested on 300 others;
all of these people serve for nothing else. A row is the mean of the groups: its accuracy, and the paired difference
from the first way on the same clips, each with its 95 % interval over the tested people.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.training import landmark_streams
from benchmarks.training.landmark_streams import CROWD, Streams
from benchmarks.training.second_people import (
    FURTHER,
    GROUPS,
    TESTED,
    WANTED,
    begin,
    people,
    right,
    shipped,
    show,
    subjects,
    trained,
)
from fer3d import config, files
from fer3d.data.landmarks import MIRROR
from fer3d.evaluation.intervals import difference_interval, rate_interval

SEED, OTHER_SEED = 700_101, 700_102
NUMBERS = (16, 64)
"""People of a group."""
RENDERED = 600
"""People of the crowd that the shipped streams learned from, whose clips are added."""

Trained = Callable[[Tensor], nn.Module]
"""From clips (N, 7, T, 66, 2) to streams that learned from them."""


class BothMirrorImages(nn.Module):
    """Streams whose logits are the mean over a clip and its mirror image."""

    def __init__(self, streams: Streams, size: int) -> None:
        super().__init__()
        self.streams, self.size = streams, size

    def forward(self, landmarks: Tensor) -> Tensor:
        """As `Streams.forward`."""
        mirrored = landmarks[:, :, MIRROR] * torch.tensor([-1, 1]) + torch.tensor([self.size - 1, 0])
        return (self.streams(landmarks) + self.streams(mirrored)) / 2


def main() -> None:
    csv, clips = begin(__doc__)
    tested, learned = people(clips, SEED, TESTED), people(clips, OTHER_SEED, GROUPS * max(NUMBERS))
    rows, compared = [], list(ways(clips))
    for number in NUMBERS:
        groups = learned[: GROUPS * number].split(number)
        first = None
        for way, train in compared:
            mean = np.mean([right(train(group), tested) for group in groups], axis=0)
            first = mean if first is None else first
            found = {"people": number, "way": way, "n": mean.size, "subjects": len(tested)}
            found |= zip(("accuracy", "low", "high"), rate_interval(mean, subjects(tested))[:3], strict=True)
            difference = difference_interval(mean - first, subjects(tested))[:3]
            found |= zip(("less first", "less first low", "less first high"), difference, strict=True)
            show(found)
            rows.append(found)
    if csv:
        files.write_csv(csv, pd.DataFrame(rows))


def ways(clips: config.ClipSettings) -> Iterator[tuple[str, Trained]]:
    """What each way is, and how it trains."""
    crowd, classes = landmark_streams.clips_of(dataclasses.replace(CROWD, people=RENDERED), clips)
    crowd = crowd.float()

    def changed(group: Tensor, rendered: int = 0) -> Streams:
        torch.manual_seed(FURTHER.seed)
        streams, targets = shipped(), WANTED.repeat(len(group))
        added = torch.randperm(len(crowd))[: rendered * len(targets)]
        landmarks = torch.cat([group.flatten(0, 1), crowd[added]])
        targets = torch.cat([targets, classes[added]])
        landmark_streams.train(streams, landmarks, targets, clips.size, FURTHER, vary=landmark_streams.varied)
        return streams

    def as_it_is(group: Tensor) -> Streams:
        return trained("shipped", group, FURTHER)

    yield "as it is", as_it_is
    yield "averaged over both mirror images", lambda group: BothMirrorImages(as_it_is(group), clips.size)
    yield "faces and error changed at random", changed
    yield "the same, with one rendered clip beside each", lambda group: changed(group, rendered=1)
    yield "the same, with four", lambda group: changed(group, rendered=4)


if __name__ == "__main__":
    main()
