"""How much can be learned from the second rendering: by the number of its people, and without a detector's error.

    python -m benchmarks.training.second_people [--csv FILE]

The two landmark streams (`benchmarks.training.landmark_streams`) are trained on the detected landmarks of so many
people, seven clips each, from scratch or from the shipped weights, and tested on 300 others. No picture is rendered.
The streams are not kept: nothing that is shipped learns from the second rendering. For each number of people but the
largest, five groups of so many are trained on; the table has the mean of their accuracies, its 95 % interval over the
tested people and the groups' standard deviation. Rows with exact landmarks learn from and are tested on the places that
the detector's error was added to.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.training import landmark_streams, second_rendering
from benchmarks.training.landmark_streams import CLASSES, Streams
from fer3d import config, files, labels
from fer3d.config import ClipSettings, TrainingSettings
from fer3d.evaluation.intervals import rate_interval
from fer3d.training.run import SHIPPED, load_model

TESTED, SEED, OTHER_SEED = 300, 700_001, 700_002
GROUPS = 5
WANTED = torch.tensor([CLASSES.index(name) for name in labels.CLASSES[second_rendering.DATABASE]])
"""The seven classes of the second rendering among the eight of the streams."""
MANY = dataclasses.replace(landmark_streams.RECIPE, epochs=16, batch_size=64)
FEW = dataclasses.replace(landmark_streams.RECIPE, epochs=40, batch_size=16, lr=0.03, weight_decay=1e-4)
FURTHER = dataclasses.replace(FEW, epochs=16, batch_size=8, lr=0.01)
"""From the shipped weights."""


def main() -> None:
    csv, clips = begin(__doc__)
    rows = []
    for exact in (False, True):
        tested, learned = people(clips, SEED, TESTED, exact), people(clips, OTHER_SEED, 2000, exact)
        about = {"landmarks": "exact" if exact else "detected"}
        rows.append(row({**about, "start": "shipped", "people": 0}, [shipped()], tested))
        for start, numbers, recipe in (("scratch", (16, 32, 64, 200), FEW), ("shipped", (16, 32, 64), FURTHER)):
            for number in numbers:
                groups = (learned[group * number : (group + 1) * number] for group in range(GROUPS))
                trainings = [trained(start, group, recipe) for group in groups]
                rows.append(row({**about, "start": start, "people": number}, trainings, tested))
        most = [trained("scratch", learned, MANY)]
        rows.append(row({**about, "start": "scratch", "people": len(learned)}, most, tested))
    if csv:
        files.write_csv(csv, pd.DataFrame(rows))


def begin(description: str | None) -> tuple[Path | None, ClipSettings]:
    """Read the arguments and use one thread, for a step is too small for more: the file to write too, and the clips."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, help="also write the table to this file")
    torch.set_num_threads(1)
    return parser.parse_args().csv, config.profile("laptop").clips


def people(clips: ClipSettings, seed: int, number: int, exact: bool = False, strength: float = 1) -> Tensor:
    """(N, 7, T, 66, 2) landmarks of so many people's clips; ``exact`` and ``strength`` as in `record_landmarks`."""
    each = tqdm(range(number), "people", unit="person", disable=None)
    found = [second_rendering.record_landmarks(clips, seed, person, exact, strength) for person in each]
    return torch.from_numpy(np.stack(found)).float()


def shipped() -> Streams:
    """The landmark streams of the shipped weights."""
    streams, network = Streams(config.profile("laptop").network), load_model(SHIPPED[0]).network
    of_streams = streams.state_dict()
    streams.load_state_dict({name: network.state_dict()[name] for name in of_streams})
    return streams


def trained(start: str, learned: Tensor, recipe: TrainingSettings) -> Streams:
    """Streams that learned from some people's clips (N, 7, T, 66, 2), from ``scratch`` or the ``shipped`` ones."""
    torch.manual_seed(recipe.seed)
    streams = shipped() if start == "shipped" else Streams(config.profile("laptop").network)
    size = config.profile("laptop").clips.size
    landmark_streams.train(streams, learned.flatten(0, 1), WANTED.repeat(len(learned)), size, recipe)
    return streams


@torch.no_grad()
def right(streams: nn.Module, tested: Tensor) -> np.ndarray:
    """(N * 7,) whether each of the tested people's clips is predicted right, 0 or 1."""
    logits = torch.stack([streams.eval()(clips)[0][:, WANTED] for clips in tested])  # (N, 7 clips, 7 classes)
    return (logits.argmax(2) == torch.arange(len(WANTED))).float().numpy().ravel()


def row(about: dict[str, object], trainings: list[Streams], tested: Tensor) -> dict[str, object]:
    """A row of the table, printed: what the streams are, and their accuracy on the tested people."""
    of_each = [right(streams, tested) for streams in trainings]
    estimate, low, high = rate_interval(np.mean(of_each, axis=0), subjects(tested))[:3]
    rates = [each.mean() for each in of_each]
    found = {**about, "groups": len(trainings), "n": of_each[0].size, "subjects": len(tested)}
    found |= {"accuracy": estimate, "low": low, "high": high}
    found |= {"sd of groups": np.std(rates, ddof=1) if len(rates) > 1 else None}
    show(found)
    return found


def subjects(tested: Tensor) -> np.ndarray:
    """(N * 7,) the number of the person of each clip."""
    return np.repeat(np.arange(len(tested)), len(WANTED))


def show(row: dict[str, object]) -> None:
    """Print a row of a table."""
    shown = {key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()}
    print("  ".join(f"{key} {value}" for key, value in shown.items()))


if __name__ == "__main__":
    main()
