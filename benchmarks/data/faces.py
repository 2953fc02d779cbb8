"""What tracking, processes and streaming bring: ratios of one run on this machine.

    python -m benchmarks.data.faces [--subjects 2] [--frames 60]

On stand-in people of 640 x 480, one thread:

- frames a second, decoding alone, tracked, and searched on every frame, for a folder of PNG
  images and for a video (the sequences there and back until they have so many frames);
- frames a second of processor time, without decoding, where the search is what takes the time, as `prepare` follows
  one face and `predict` one person: nothing to be found, a face that is too small, and a crowd, up to 3840 x 2160;
- `prepare` with one and with two processes on the CK+ stand-in;
- the peak memory of `prepare` on one MMI video and on one ten times as long, and on a CK+
  release and on one of ten times as many sequences.
"""

import argparse
import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import skimage.data

from benchmarks.common import report
from fer3d import standins
from fer3d.config import ClipSettings
from fer3d.data import databases, tracks
from fer3d.data.faces import FaceTracker
from fer3d.data.video import TimedFrame, read_frames

SETTINGS = ClipSettings(size=64)
PREPARE = """
import json, sys
from pathlib import Path
from fer3d.data import preparation
from fer3d.config import ClipSettings
if __name__ == "__main__":
    database, root, out, workers = sys.argv[1:]
    counts = preparation.prepare(database, Path(root), Path(out), ClipSettings(size=64), int(workers))
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]  # of this program alone
    counts["MiB"] = int(peak) / 1024
    print(json.dumps(counts))
"""


def there_and_back(images: list[Path], count: int) -> list[Path]:
    return list(itertools.islice(itertools.cycle(images + images[-2:0:-1]), count))


def write_video(path: Path, frames: Iterable[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for frame in frames:
        size = frame.shape[1::-1]
        writer = writer or cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"XVID"), 25, size)
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    assert writer is not None
    writer.release()


def exhaust(frames: Iterable[object]) -> None:
    for _ in frames:
        pass


def speeds(folder: Path, sequences: list[databases.Sequence], count: int) -> None:
    pictures = [(s.source, there_and_back(list(s.images), count)) for s in sequences]
    videos = []
    for number, (source, images) in enumerate(pictures):
        video = folder / f"{number}.avi"
        write_video(video, read_frames(source, images))
        videos.append((video, list[Path]()))
    every = dataclasses.replace(SETTINGS, track=False)
    works: dict[str, Callable[[Iterator[np.ndarray]], object]] = {
        "decoding": exhaust,
        "tracked": lambda frames: exhaust(map(FaceTracker(SETTINGS).step, frames)),
        "every frame": lambda frames: exhaust(map(FaceTracker(every).step, frames)),
    }
    works["tracked"](read_frames(*pictures[0]))  # loads the models
    rows = []
    for kind, sources in (("PNG", pictures), ("video", videos)):
        seconds = dict.fromkeys(works, 0.0)
        for source, (name, work) in itertools.product(sources, works.items()):  # in turns: other load hits all alike
            began = time.perf_counter()
            work(read_frames(*source))
            seconds[name] += time.perf_counter() - began
        rates = {f"{name}, frames/s": count * len(sources) / took for name, took in seconds.items()}
        rows.append({"kind": kind, **rates, "ratio": seconds["every frame"] / seconds["tracked"]})
    report("face tracking", pd.DataFrame(rows), {"people": len(sequences), "frames": count, "processes": 1})


def crowd(heads: list[np.ndarray], side: int, width: int, height: int, number: int) -> np.ndarray:
    """People of that many pixels side by side and in rows; every second one looks away in every third frame."""
    columns, rows = width // side, height // side
    picture = np.full((height, width, 3), 128, np.uint8)
    for place, (row, column) in enumerate(itertools.product(range(rows), range(columns))):
        head = cv2.resize(heads[place % len(heads)], (side, side), interpolation=cv2.INTER_AREA)
        away = place % 2 and (number + place) % 3 == 0
        picture[row * side : (row + 1) * side, column * side : (column + 1) * side] = head[::-1] if away else head
    return picture


def searched(images: list[Path], sizes: Iterable[tuple[int, int]], count: int) -> None:
    """Where the search takes the time: a photograph without a face, with one below `min_face`, and a crowd."""
    whole = [next(read_frames(image.parent, [image])) for image in images]
    heads = [picture[:, (picture.shape[1] - picture.shape[0]) // 2 :][:, : picture.shape[0]] for picture in whole]
    rows = []
    for width, height in sizes:
        nothing = cv2.resize(skimage.data.coffee(), (width, height), interpolation=cv2.INTER_CUBIC)
        small = nothing.copy()
        small[:144, :144] = cv2.resize(heads[0], (144, 144), interpolation=cv2.INTER_AREA)
        many = [crowd(heads, height // 3, width, height, number) for number in range(6)]
        for name, pictures in (("nothing found", [nothing]), ("too small", [small]), ("crowd", many)):
            shown = list(itertools.islice(itertools.cycle(pictures), count))
            began = time.process_time()
            exhaust(FaceTracker(SETTINGS).follow(shown, lambda picture: picture))
            between = time.process_time()
            timed = [TimedFrame(number, number / 25, picture) for number, picture in enumerate(shown)]
            exhaust(tracks.follow(timed, SETTINGS, 0.4, most=1))
            rates = {"prepare": count / (between - began), "predict": count / (time.process_time() - between)}
            rows.append({"shown": name, "size": f"{width} x {height}", **rates})
    report("searching for faces", pd.DataFrame(rows), {"unit": "frames per CPU second", "frames": count})


def prepared(database: str, root: Path, workers: int = 1) -> dict[str, float]:
    """What `prepare` returns, and its peak memory, from a process of its own."""
    out = root.with_name("store")
    command = [sys.executable, "-c", PREPARE, database, str(root), str(out), str(workers)]
    counts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    shutil.rmtree(out)
    return dict(counts)


def processes(release: Path) -> None:
    one, two = (prepared("ckplus", release, workers)["seconds"] for workers in (1, 2))
    rows = [{"one process s": one, "two processes s": two, "ratio": one / two}]
    report("preparing by two processes", pd.DataFrame(rows), {"sequences": "synthetic CK+, linked ten times"})


def memory(release: Path, larger: Path) -> dict[str, object]:
    """A row: peak memory of `prepare` on a release and on one ten times as large."""
    one, ten = (prepared(release.name, root) for root in (release, larger))
    row: dict[str, object] = {"database": release.name}
    row |= {f"MiB for {name}": counts["MiB"] for name, counts in (("one", one), ("ten times as much", ten))}
    return row | {"more %": 100 * (ten["MiB"] / one["MiB"] - 1), "frames": one["frames"], "of ten": ten["frames"]}


def ckplus(root: Path, release: Path, times: int) -> Path:
    """A release with every subject of another several times: hard links under other names."""
    for copy, kind in itertools.product(range(times), ("cohn-kanade-images", "Emotion")):
        subjects = sorted((release / kind).iterdir())
        for number, subject in enumerate(subjects, start=copy * len(subjects)):
            name = f"S{number:03d}"
            for file in (path for path in subject.rglob("*") if path.is_file()):
                link = root / kind / name / file.parent.name / file.name.replace(subject.name, name)
                link.parent.mkdir(parents=True, exist_ok=True)
                os.link(file, link)
    return root


def mmi(root: Path, images: list[Path], frames: int) -> Path:
    """A release of one session."""
    session = root / "Sessions" / "1"
    write_video(session / "S001-001.avi", read_frames(images[0].parent, there_and_back(images, frames)))
    (session / "S001-001.xml").write_text('<Data><Metatag Name="Emotion" Value="1"/></Data>')
    (session / "session.xml").write_text('<session><track view="0"/></session>')
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=2, help="invented people (default: 2)")
    parser.add_argument("--frames", type=int, default=60, help="frames of each sequence (default: 60)")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        standins.write("ckplus", folder / "release", arguments.subjects)
        found = [s for s in databases.scan("ckplus", folder / "release") if isinstance(s, databases.Sequence)]
        images = [next(iter(s.images)) for s in {s.subject: s for s in found}.values()]
        searched(images, ((640, 480), (1920, 1080), (3840, 2160)), 2 * arguments.frames)
        speeds(folder, list({s.subject: s for s in found}.values()), arguments.frames)
        images = list(found[0].images)
        few = arguments.frames
        rows = [memory(mmi(folder / "1" / "mmi", images, few), mmi(folder / "10" / "mmi", images, 10 * few))]
        one, ten = (ckplus(folder / str(times) / "ckplus", folder / "release", times) for times in (1, 10))
        rows.append(memory(one, ten))
        report("memory of preparing", pd.DataFrame(rows), {"size": SETTINGS.size})
        processes(ten)


if __name__ == "__main__":
    main()
