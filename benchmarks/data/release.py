"""Preparing a release at the paper's size: time, memory and disk, and what a second run costs.

    python -m benchmarks.data.release [--people 3] [--times 6 12 24] [--workers 2]

A synthetic CK+ whose people stand in the release several times, as hard links under other names: some 60, 120 and 240
labelled sequences. Each is prepared in a process of its own, and then again. Memory is the largest of a process's.
Disk is the store's; while it is put together, the parts that it is made of take as much again. The last row is for
10,000 sequences, computed from the row before it as so many times as much; memory has no such estimate.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import report
from benchmarks.data.faces import ckplus
from fer3d import standins
from fer3d.config import profile

SEQUENCES = 10_000
PREPARE = """
import json, resource, sys
from pathlib import Path
from fer3d.config import profile
from fer3d.data import preparation
if __name__ == "__main__":
    root, out, workers = sys.argv[1:]
    counts = preparation.prepare("ckplus", Path(root), Path(out), profile("paper").clips, int(workers))
    own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    counts["mib"] = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024
    print(json.dumps(counts))
"""


def prepared(root: Path, out: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, "-c", PREPARE, str(root), str(out), str(workers)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(root: Path, workers: int) -> dict[str, Any]:
    """The row of one release."""
    out = root.with_name("store")
    first, second = prepared(root, out, workers), prepared(root, out, workers)
    size = sum(file.stat().st_size for file in out.iterdir())
    shutil.rmtree(out)
    return {
        "sequences": sum(1 for _ in root.glob("Emotion/*/*/*.txt")),
        "frames": first["frames"],
        "clips": first["clips"],
        "seconds": first["seconds"],
        "frames/s": first["frames"] / first["seconds"],
        "MiB of memory": first["mib"],
        "GB on disk": size / 1e9,
        "again, seconds": second["seconds"],
    }


def estimate(row: dict[str, Any]) -> dict[str, Any]:
    """The row of `SEQUENCES`: as the last one, in proportion."""
    times = SEQUENCES / row["sequences"]
    grow = {"frames", "clips"}
    kept = {"frames/s": row["frames/s"], "MiB of memory": None}
    scaled = {name: round(times * value) if name in grow else times * value for name, value in row.items()}
    return scaled | kept | {"sequences": f"{SEQUENCES} (estimated)"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--people", type=int, default=3, help="synthetic people, some three sequences each")
    parser.add_argument("--times", type=int, nargs="+", default=[6, 12, 24], help="how often each is in the release")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        standins.write("ckplus", folder / "few", chosen.people)
        releases = (ckplus(folder / str(times) / "ckplus", folder / "few", times) for times in chosen.times)
        rows = [measure(release, chosen.workers) for release in releases]
    about = {"size": profile("paper").clips.size, "processes": chosen.workers}
    report("preparing a release at the paper's size", pd.DataFrame([*rows, estimate(rows[-1])]), about)


if __name__ == "__main__":
    main()
