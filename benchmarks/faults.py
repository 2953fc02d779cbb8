"""The workflow under fire: killed, out of disk space, with jumped clocks and damaged stores, and then the same tables.

The grid of the tiny profile runs undisturbed once. A second run is hit by one fault after the other, each at a random
moment, and started again after each. At the end it must be whole and equal to the first one.

    python -m benchmarks.faults --faults 50

As root, the second run lies on a small disk of its own (tmpfs), so that disks can be filled; else that fault is left
out. The clock is not set: the times of results jump by a day, which is all that a jumped clock leaves behind.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil

DISK_MB = 800
DAY = 24 * 3600


class Run:
    """One reproduction with data and reports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / "reports" / "runs" / "tiny"
        self.head: psutil.Popen | None = None

    def start(self) -> None:
        places = {"FER3D_DATA": str(self.folder / "data"), "FER3D_REPORTS": str(self.folder / "reports")}
        command = [sys.executable, "-m", "fer3d.cli", "reproduce", "--profile", "tiny"]
        with Path(f"{self.folder}.log").open("ab") as log:
            self.head = psutil.Popen(command, env={**os.environ, **places}, stderr=log)

    def processes(self, *words: str) -> list[psutil.Process]:
        """Those that the run has started, whose command line has all these words; itself first."""
        assert self.head is not None
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [self.head, *self.head.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    if all(word in " ".join(process.cmdline()) for word in words):
                        found.append(process)
        return found

    def outcome(self) -> dict[str, str]:
        """What the run says, without times."""
        found = {str(file.relative_to(self.run)): file.read_text() for file in self.run.rglob("predictions.csv")}
        found |= {file.name: file.read_text() for file in (self.run / "tables").glob("table*.csv")}
        for file in self.run.rglob("metrics.json"):
            found[str(file.relative_to(self.run))] = str({**json.loads(file.read_text()), "seconds": 0})
        return found

    def check_whole(self) -> None:
        """No file of the results is a half one."""
        for file in self.folder.rglob("*.json"):
            json.loads(file.read_text())
        for file in self.run.rglob("*.ipynb"):
            nbformat.validate(nbformat.read(file, as_version=4))
        assert not list(self.folder.rglob("*.part")), "temporary files are left"


def kill(processes: list[psutil.Process]) -> bool:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return bool(processes)


def kill_tree(run: Run) -> bool:
    """All processes at once."""
    return kill(run.processes())


def kill_head(run: Run) -> bool:
    """Snakemake alone: its jobs go on."""
    return kill(run.processes("-m snakemake")[:1] and run.processes()[:1] + run.processes("-m snakemake")[:1])


def kill_job(run: Run) -> bool:
    """One job."""
    return kill(random.sample(jobs, 1) if (jobs := run.processes("-m fer3d.cli", "--out")) else [])


def kill_kernel(run: Run) -> bool:
    """The kernel of a notebook."""
    return kill(random.sample(kernels, 1) if (kernels := run.processes("ipykernel_launcher")) else [])


def fill_disk(run: Run) -> bool:
    """No space for some seconds."""
    filler = run.folder / "filler"
    if not run.folder.is_mount():
        return False
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))
    time.sleep(random.uniform(3, 8))
    filler.unlink()
    return True


def jump_clock(run: Run) -> bool:
    """Some results are a day older or younger."""
    results = [file for file in run.folder.rglob("*") if file.is_file() and ".snakemake" not in file.parts]
    for file in random.sample(results, len(results) // 10):
        with contextlib.suppress(OSError):
            moved = file.stat().st_mtime + random.choice((-DAY, DAY))
            os.utime(file, (moved, moved))
    return bool(results)


def damage_store(run: Run) -> bool:
    """A file of a store is cut in half or gone."""
    stores = [folder for folder in (run.folder / "data" / "prepared" / "tiny").glob("[a-z]*") if folder.is_dir()]
    if not stores:
        return False
    file = random.choice([file for file in random.choice(stores).iterdir() if file.is_file()])
    if random.random() < 0.5:
        file.unlink()
    else:
        os.truncate(file, file.stat().st_size // 2)
    return True


FAULTS: tuple[Callable[[Run], bool], ...] = (
    kill_tree,
    kill_head,
    kill_job,
    kill_kernel,
    fill_disk,
    jump_clock,
    damage_store,
)


@contextlib.contextmanager
def own_disk(folder: Path) -> Iterator[None]:
    """A small disk at the folder, for root."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def main() -> None:
    """Run twice, once under fire, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as name, own_disk(Path(name) / "hit"):
        hit = Run(Path(name) / "hit")
        began = time.monotonic()
        hit.start()
        while sum(counts.values()) < arguments.faults:
            assert hit.head is not None
            with contextlib.suppress(psutil.TimeoutExpired):
                hit.head.wait(random.uniform(1, 40))
            fault = random.choice(FAULTS)
            if fault(hit):
                counts[fault.__name__] += 1
                print(f"{time.monotonic() - began:5.0f} s  {sum(counts.values())}: {fault.__name__}", flush=True)
            if hit.head.poll() is not None:
                hit.start()
        assert hit.head is not None
        hit.head.wait()
        for _ in range(3):  # the last faults may have made jobs fail
            hit.start()
            if hit.head.wait() == 0:
                break
        assert hit.head.poll() == 0, Path(f"{hit.folder}.log").read_text()[-5000:]
        hit.check_whole()
        undisturbed = Run(Path(name) / "undisturbed")
        undisturbed.start()
        assert undisturbed.head is not None and undisturbed.head.wait() == 0
        found, expected = hit.outcome(), undisturbed.outcome()
        other = [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]
        assert not other, f"after {dict(counts)} these differ: {other}"
    print(f"{sum(counts.values())} faults: {dict(counts)}; all tables and predictions equal")


if __name__ == "__main__":
    main()
