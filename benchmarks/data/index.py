"""How long indexing takes, and how its memory grows with the number of sequences.

    python -m benchmarks.data.index [--sequences 2000] [--databases ckplus mmi fera]

Builds releases of a growing number of sequences in the owners' layouts (18 frames a CK+
sequence, a 720 x 576 video a MMI or FERA one) and indexes each in a process of its own. The
pictures are links to a few real ones; the videos differ in their last bytes, since copies of
a video count once. Memory is the peak beyond what the imports take. DISFA is left out: it
has 27 recordings. Prints a table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.common import report

FRAMES = 18
MEASURE = """
import collections, json, sys, time
from pathlib import Path
from fer3d.data import databases
def peak():  # of this program alone; getrusage would count what its parent held, too
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before, start = peak(), time.perf_counter()
found = collections.Counter(type(entry).__name__ for entry in databases.scan(sys.argv[1], Path(sys.argv[2])))
seconds = time.perf_counter() - start
grown = peak() - before
print(json.dumps({"sequences": found["Sequence"], "seconds": seconds, "mib": grown / 1024}))
"""


class Originals:
    """One picture, of which the releases hold links (a new copy after 20,000), and one video, of which they hold
    copies."""

    def __init__(self, folder: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (490, 640), np.uint8)
        self._picture = folder / "picture.png"
        cv2.imwrite(str(self._picture), cv2.GaussianBlur(noise, (9, 9), 0))
        video = folder / "video.avi"
        writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 25, (720, 576))
        for number in range(30):
            writer.write(np.full((576, 720, 3), 4 * number, np.uint8))
        writer.release()
        self._video = video.read_bytes()

    def picture(self, path: Path) -> None:
        if self._picture.stat().st_nlink >= 20_000:
            copy = self._picture.with_name(f"_{self._picture.name}")
            copy.write_bytes(self._picture.read_bytes())
            self._picture = copy
        os.link(self._picture, path)

    def video(self, path: Path) -> None:
        path.write_bytes(self._video + path.name.encode())


def ckplus(root: Path, sequences: int, originals: Originals) -> None:
    for number in range(sequences):
        place = Path(f"S{number // 50:03d}/{number % 50 + 1:03d}")
        images, emotion = root / "cohn-kanade-images" / place, root / "Emotion" / place
        stem = "_".join(place.parts)
        images.mkdir(parents=True)
        emotion.mkdir(parents=True)
        for frame in range(1, FRAMES + 1):
            originals.picture(images / f"{stem}_{frame:08d}.png")
        (emotion / f"{stem}_{FRAMES:08d}_emotion.txt").write_text(f"   {number % 7 + 1:.7e}\n")


def mmi(root: Path, sequences: int, originals: Originals) -> None:
    for number in range(sequences):
        folder, stem = root / "Sessions" / str(number + 1), f"S{number // 500:03d}-{number % 500:03d}"
        folder.mkdir(parents=True)
        originals.video(folder / f"{stem}.avi")
        (folder / f"{stem}.xml").write_text(f'<Data><Metatag Name="Emotion" Value="{number % 6 + 1}"/></Data>')
        (folder / "session.xml").write_text('<session><track view="0"/></session>')


def fera(root: Path, sequences: int, originals: Originals) -> None:
    actors = ["sequence,subject"]
    for number in range(sequences):
        name = f"train_{number:05d}"
        folder = root / "training" / name
        folder.mkdir(parents=True)
        originals.video(folder / f"{name}.avi")
        (folder / f"{name}-emotion.dat").write_text(("anger", "fear", "joy", "relief", "sadness")[number % 5])
        actors.append(f"{name},actor{number % 7}")
    (root / "actors.csv").write_text("\n".join(actors))


BUILD = {"ckplus": ckplus, "mmi": mmi, "fera": fera}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=2000, help="the largest release (default: 2000)")
    parser.add_argument("--databases", nargs="+", choices=BUILD, default=list(BUILD))
    arguments = parser.parse_args()
    rows = []
    for database in arguments.databases:
        for sequences in (arguments.sequences // share for share in (8, 4, 2, 1)):
            with tempfile.TemporaryDirectory() as temporary:
                root, sources = Path(temporary, "release"), Path(temporary, "originals")
                sources.mkdir()
                BUILD[database](root, sequences, Originals(sources))
                command = [sys.executable, "-c", MEASURE, database, str(root)]
                result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            assert result["sequences"] == sequences, (
                f"{result['sequences']} of {sequences} sequences of {database} found"
            )
            rate = result["sequences"] / result["seconds"]
            rows.append({"database": database, **result, "sequences/s": rate})
    report("indexing", pd.DataFrame(rows).rename(columns={"mib": "MiB more"}), {"frames a CK+ sequence": FRAMES})


if __name__ == "__main__":
    main()
