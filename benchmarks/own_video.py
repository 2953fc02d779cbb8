"""`fer3d predict` on recordings of growing length: how many times as fast as they last, and in how much memory.

    python -m benchmarks.own_video [--seconds 20 60] [--repeats 3] [--ways rows out]

A rendered person of 640 x 480 pixels at 30 frames a second smiles again and again. Each prediction is a process of its
own on one core, from its start to its end, without ``--out`` (rows and summary are printed) and with it (table,
timeline, overlay and page are written). Where other programs run, only the processor time counts. The memory is the
peak of the process alone.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.common import report
from fer3d.data.video import read_frames
from fer3d.standins.releases.recording import write_video
from fer3d.workbook.demo import FRAME_RATE, render_person

PROGRAM = """
import os, sys
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
import json, time
from pathlib import Path
from fer3d import cli
cli.app(["predict", *sys.argv[1:]], standalone_mode=False)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
print(json.dumps({"used": time.process_time(), "MiB": peak / 1024}))
"""


WAYS = {"rows": "rows and summary", "out": "with --out"}


def predicted(*words: str) -> dict[str, float]:
    """Processor seconds, and peak memory in MiB, of one prediction."""
    command = [sys.executable, "-c", PROGRAM, *words]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    printed = subprocess.run(command, env=alone, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(printed.splitlines()[-1]))


def measured(video: Path, seconds: int, repeats: int, ways: list[str]) -> list[dict[str, object]]:
    """A row without ``--out`` and one with it, as far as they are among the ways: the medians of the repeats."""
    rows: list[dict[str, object]] = []
    for way in ways:
        words = [] if way == "rows" else ["--out", str(video.with_suffix(""))]
        runs = [predicted(str(video), *words) for _ in range(repeats)]
        used = statistics.median(run["used"] for run in runs)
        row = {"seconds of recording": seconds, "output": WAYS[way], "processor seconds": used, "ratio": seconds / used}
        rows.append(row | {"MiB": statistics.median(run["MiB"] for run in runs)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, nargs="+", default=[20, 60], help="lengths of the recordings")
    parser.add_argument("--repeats", type=int, default=3, help="predictions of each recording")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS], help="without --out, with it")
    chosen = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        frames = list(read_frames(render_person(Path(temporary) / "person.avi")))
        for seconds in chosen.seconds:
            video = Path(temporary) / f"{seconds}.mp4"
            write_video(video, itertools.islice(itertools.cycle(frames), round(seconds * FRAME_RATE)), FRAME_RATE)
            rows += measured(video, seconds, chosen.repeats, chosen.ways)
    about = {"picture": "640 x 480", "frames/s": 30, "cores": 1, "repeats": chosen.repeats}
    report("predicting", pd.DataFrame(rows), about)


if __name__ == "__main__":
    main()
