"""What the workflow costs beside its trainings, and whether a training's memory grows with its data.

    OMP_NUM_THREADS=1 python -m benchmarks.workbook.scaling [grid|memory] [--slots 1 2] [--clips 1000 10000]

``grid``: 12 trainings of the tiny profile (four databases, the paper's three variants, fold 0, each with its notebook)
run through Snakemake with so many jobs at a time. CPU seconds are those of all processes, so that they say something
on a shared machine too: ``engine`` is Snakemake's own, ``training`` that of the same 12 trainings in one Python
process, ``notebook`` the rest (starting Python, the kernel, papermill, the notebook's figures). Memory is the largest
of a single process. With ``--slurm`` the jobs go to the cluster that the environment names, whose CPU seconds can't be
seen from here.

``memory``: one epoch over random clips of the tiny profile's size, the memory that is the process's own (anonymous:
the memory-mapped store is not counted, its pages belong to the system).
"""

import argparse
import contextlib
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from benchmarks.common import random_store, report
from fer3d import config, paths
from fer3d.training.train import train
from fer3d.workbook import pipeline
from fer3d.workbook.pipeline import Job

TINY = config.profile("tiny")
JOBS = [Job(database, variant) for database in pipeline.DATABASES for variant in config.PAPER_VARIANTS]
_TOOK = re.compile(r"done +training of .* \((\d+) s\)")


def workflow(reports: Path, run: str, slots: int, slurm: bool, targets: list[Path]) -> tuple[float, list[str]]:
    """Run Snakemake on targets; the CPU seconds of Snakemake itself, and what it printed."""
    profile = paths.ROOT / "workflow" / "profiles" / ("slurm" if slurm else "default")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(paths.ROOT / "workflow" / "Snakefile")]
    command += ["--workflow-profile", str(profile), "--cores", str(slots), *(["--jobs", str(slots)] if slurm else [])]
    command += ["--config", "profile=tiny", f"run={run}", "full=true", "--", *map(str, targets)]
    printed, own = reports / f"{run}.printed", 0.0
    with printed.open("w") as out:
        head = psutil.Popen(command, env={**os.environ, "FER3D_REPORTS": str(reports)}, stderr=out, stdout=out)
        while head.poll() is None:
            with contextlib.suppress(psutil.Error):
                own = sum(head.cpu_times()[:2])
            time.sleep(0.2)
    lines = printed.read_text().splitlines()
    assert head.returncode == 0, "\n".join(lines[-20:])
    return own, lines


def grid(reports: Path, slots: int, slurm: bool, training: float) -> dict[str, Any]:
    """The grid's row; ``training``: CPU seconds of its trainings alone."""
    run, count = f"slots{slots}{'slurm' * slurm}", len(JOBS)
    folder, began, before = Path("runs", run), time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    engine, lines = workflow(reports, run, slots, slurm, [job.marker(folder) for job in JOBS])
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    took = [int(match[1]) for line in lines if (match := _TOOK.search(line))]
    assert len(took) == count, lines
    written = sum(file.stat().st_size for file in (reports / folder).rglob("*") if file.is_file())
    row = {"slots": slots, "on": "SLURM" if slurm else "here", "wall s": wall, "wall s of a job": sum(took) / count}
    row["disk MB of a job"] = written / 1e6 / count
    if not slurm:
        whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        row |= {"CPU s of a job": whole / count, "engine": engine / count, "training": training / count}
        row |= {"notebook": (whole - engine - training) / count, "peak MB": after.ru_maxrss / 1000}
    return row


def trainings(folder: Path) -> float:
    """CPU seconds of the grid's trainings in this process, after one that loads the libraries."""
    pipeline.run_job(JOBS[0], "tiny", folder / "first")
    began = time.process_time()
    for job in JOBS:
        pipeline.run_job(job, "tiny", folder / "all")
    return time.process_time() - began


def memory(clips: int) -> dict[str, Any]:
    """The row of one training; MB of this process's own memory before it, and how much more at most in it."""
    status, ended, seen = Path("/proc/self/status"), threading.Event(), []

    def watch() -> None:
        while not ended.wait(0.05):
            seen.append(int(re.search(r"RssAnon:\s*(\d+)", status.read_text())[1]) / 1000)

    with tempfile.TemporaryDirectory() as name:
        store = random_store(Path(name, "store"), TINY.clips, clips)
        written = sum(file.stat().st_size for file in store.path.iterdir()) / 1e6
        watcher = threading.Thread(target=watch)
        watcher.start()
        train([store], Path(name, "run"), replace(TINY, training=replace(TINY.training, epochs=1)))
        ended.set()
        watcher.join()
    return {"clips": clips, "store MB": written, "before MB": seen[0], "peak MB": max(seen)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["grid", "memory"], help="by default both")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2], help="jobs at a time")
    parser.add_argument("--slurm", action="store_true", help="also on SLURM, with the last number of slots")
    parser.add_argument("--clips", type=int, nargs="+", default=[1000, 10000])
    chosen = parser.parse_args()
    if chosen.what != "memory":
        with tempfile.TemporaryDirectory() as name:
            training = trainings(Path(name))
            stores = [
                Path(os.path.relpath(store, name)) for store in pipeline.store_markers(pipeline.DATABASES, "tiny")
            ]
            workflow(Path(name), "stores", 2, False, stores)
            rows = [grid(Path(name), slots, False, training) for slots in chosen.slots]
            rows += [grid(Path(name), chosen.slots[-1], True, training)] if chosen.slurm else []
        report("a grid of 12 trainings", pd.DataFrame(rows), {"profile": "tiny"})
    if chosen.what != "grid":
        once = {"mp_context": multiprocessing.get_context("spawn"), "max_tasks_per_child": 1}
        with ProcessPoolExecutor(1, **once) as processes:
            rows = list(processes.map(memory, chosen.clips))
        report("memory of a training", pd.DataFrame(rows), {"profile": "tiny"})


if __name__ == "__main__":
    main()
