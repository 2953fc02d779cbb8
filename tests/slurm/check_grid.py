"""`make test-slurm`: the workflow on a SLURM of two small nodes gives the tables of a local run, whatever was killed.

Not part of `make test`: it needs root, Debian's slurm-wlm and munge, and some minutes.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import CPUS, NODES, cluster

from fer3d import paths
from fer3d.workers import processors

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The stores of the tiny profile, as `make test` makes them, and new reports."""
    return {"FER3D_DATA": str(paths.data()), "FER3D_REPORTS": str(tmp_path_factory.mktemp("reports"))}


@pytest.fixture(scope="module")
def slurm(places: dict[str, str]) -> Iterator[dict[str, str]]:
    with cluster() as environment:
        yield {**environment, **places, "OMP_NUM_THREADS": "1"}


def command(run: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "fer3d.cli", "reproduce", "--profile", "tiny", "--run", run, *more]


def queue(environment: dict[str, str]) -> list[list[str]]:
    """Number, state, node and comment (the rule and its wildcards) of each job that waits or runs."""
    asked = ["squeue", "--noheader", "--states", "PENDING,RUNNING", "--format", "%i|%T|%N|%k|%C"]
    printed = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout
    return [line.split("|") for line in printed.splitlines()]


def wait_for_trainings(count: int, head: subprocess.Popen[bytes], environment: dict[str, str]) -> list[list[str]]:
    """Wait until that many trainings run."""
    while True:
        running = [job for job in queue(environment) if job[1] == "RUNNING" and "training" in job[3]]
        if len(running) >= count:
            return running
        assert head.poll() is None, "Snakemake ended before"
        time.sleep(0.5)


def tables(run: Path) -> dict[str, str]:
    """What the run says of its trainings, without the seconds that they took."""
    found = {str(file.relative_to(run)): file.read_text() for file in run.rglob("predictions.csv")}
    for file in run.rglob("metrics.json"):
        found[str(file.relative_to(run))] = str({**json.loads(file.read_text()), "seconds": 0})
    return found | {file.name: file.read_text() for file in (run / "tables").glob("table*.csv")}


def test_the_grid_on_slurm_gives_the_tables_of_a_local_run(slurm: dict[str, str], places: dict[str, str]) -> None:
    reports = Path(places["FER3D_REPORTS"])
    on_cluster = command("slurm", "--executor", "slurm", "--partition", "small")
    head = subprocess.Popen(on_cluster, env=slurm, start_new_session=True)
    first = wait_for_trainings(NODES, head, slurm)
    assert {job[2] for job in first} == {f"n{n}" for n in range(NODES)}, "on all nodes"
    assert all(int(job[4]) <= CPUS for job in first) and processors() >= CPUS
    subprocess.run(["scancel", first[0][0]], env=slurm, check=True)
    wait_for_trainings(1, head, slurm)  # a smaller job may have taken the place of the cancelled one
    os.killpg(head.pid, signal.SIGKILL)
    head.wait()
    assert queue(slurm), "jobs outlive it"
    assert subprocess.run(on_cluster, env=slurm).returncode == 0, "started again at once"
    # Eight cores for four trainings: two threads each, as on the cluster. Other threads add up in another order.
    local = subprocess.run(command("local", "--cores", "8"), env={**os.environ, **places})
    assert local.returncode == 0
    assert tables(reports / "runs" / "slurm") == tables(reports / "runs" / "local")
    same = subprocess.run(command("slurm", "--dry-run"), env={**os.environ, **places}, capture_output=True, text=True)
    assert "everything is up to date" in same.stderr, "also for a local start"


def test_tasks_of_one_srun_train_together(slurm: dict[str, str], tmp_path: Path) -> None:
    store = paths.store("mmi", "tiny")
    train = [sys.executable, "-m", "fer3d.cli", "train", str(store), "--profile", "tiny", "--epochs", "1"]
    places = {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}  # the nodes' names are known to SLURM alone
    for tasks in (1, 2):
        out = tmp_path / str(tasks)
        srun = ["srun", "--ntasks", str(tasks), "--nodes", str(tasks), *train, "--out", str(out)]
        subprocess.run(srun, env={**slurm, **places}, check=True, timeout=600)
        assert json.loads((out / "model.json").read_text())["made_with"]["processes"] == tasks
