"""Start-up: seconds from a command to its help or first prediction, and from a notebook's start to its first figure.

    python -m benchmarks.workbook.startup [--repeats 1] [--profile tiny]

Each start is a process of its own; the files are in the page cache. `fer3d predict` reads ten frames. A notebook is
executed cell by cell, with its kernel's start, until a cell shows a picture; the profile's stores are there. Where
other programs run, the processor time says more than the seconds, which include waiting for a processor.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import nbformat
import pandas as pd
import psutil
from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from benchmarks.common import invented, report
from fer3d import paths
from fer3d.standins.people.person import Pose, neutral_units
from fer3d.workbook import pipeline
from fer3d.workbook.notebook import ThisInterpreter

Seconds = tuple[float, float]
"""Of wall clock, and of processor time."""


def command(*words: str) -> Seconds:
    """Of a `fer3d` command, to its end."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-m", "fer3d.cli", *words], check=True, capture_output=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, used


def first_figure(notebook: Path, profile: str) -> Seconds:
    """Of a notebook from the start of its kernel to the first picture."""
    content = parameterize_notebook(load_notebook_node(str(notebook)), {"profile": profile})
    resources = {"metadata": {"path": str(notebook.parent)}}
    client = NotebookClient(
        content,
        timeout=600,
        kernel_manager_class=ThisInterpreter,
        resources=resources,
        extra_arguments=["--log-level=CRITICAL"],
    )
    began = time.perf_counter()
    with client.setup_kernel():
        for number, cell in enumerate(content.cells):
            if cell.cell_type == "code" and _shows_a_picture(client.execute_cell(cell, number)):
                break
        else:
            raise SystemExit(f"{notebook.name} shows no picture")
        took = time.perf_counter() - began
        used = psutil.Process(client.km.provisioner.pid).cpu_times()
    return took, used.user + used.system


def _shows_a_picture(cell: nbformat.NotebookNode) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def ten_frames(folder: Path) -> Path:
    """A folder of ten pictures of one person."""
    _, renderer = invented(0)
    frame, _ = renderer.frame(Pose(units=neutral_units()))
    for number in range(10):
        cv2.imwrite(str(folder / f"{number}.png"), frame[..., ::-1])
    return folder


def starts(profile: str, folder: Path) -> Iterator[tuple[str, Callable[[], Seconds]]]:
    person = ten_frames(folder)
    yield "`fer3d --help`", lambda: command("--help")
    yield "`fer3d predict`, ten frames", lambda: command("predict", str(person))
    for notebook in sorted(paths.NOTEBOOKS.glob("0*.ipynb")):
        yield f"{notebook.stem}, first figure", lambda notebook=notebook: first_figure(notebook, profile)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=1, help="starts after a first one that is not counted")
    parser.add_argument("--profile", default="tiny", choices=["tiny", "laptop"])
    chosen = parser.parse_args()
    for database in pipeline.DATABASES:
        pipeline.store(database, chosen.profile)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, start in starts(chosen.profile, Path(folder)):
            start()
            taken, used = zip(*(start() for _ in range(chosen.repeats)), strict=True)
            row = {"start": name, "seconds": statistics.median(taken), "processor seconds": statistics.median(used)}
            rows.append(row)
    report("start-up", pd.DataFrame(rows), {"profile": chosen.profile, "repeats": chosen.repeats})


if __name__ == "__main__":
    main()
