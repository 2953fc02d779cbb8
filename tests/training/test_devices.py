"""The precision follows what the processor says of itself; one process or several, as they were started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fer3d.training.devices import best_device, best_precision, distributed_fabric, single_process_fabric


def test_the_device():
    assert best_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("able", "precision"),
    [
        ({"avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_the_precision(monkeypatch, able, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert best_precision("cpu") == precision


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
def test_agrees_with_the_kernel():
    flags = Path("/proc/cpuinfo").read_text().split()
    assert (best_precision("cpu") == "bf16") == ("avx512_bf16" in flags or "amx_bf16" in flags)


def test_a_training_starts_without_a_word_in_bf16_too() -> None:
    """Its notebook shows what it prints. The first fabric of a process imports the library, which speaks by default."""
    code = (
        "from fer3d.training.devices import single_process_fabric as start; start('cpu', 'bf16'); start('cpu', 'bf16')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


ALLOCATION = {
    "SLURM_JOB_ID": "77",
    "SLURM_JOB_NAME": "x",
    "SLURM_NTASKS": "4",
    "SLURM_NODELIST": "n[1-2]",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}


@pytest.mark.parametrize("step", [{}, {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}])
def test_in_an_allocation_with_several_tasks_a_command_is_one_process(
    step: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It says nothing of an `srun` on the PATH, either: warnings are errors here."""
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name, value in {**ALLOCATION, **step}.items():
        monkeypatch.setenv(name, value)
    for fabric in (single_process_fabric("cpu", "fp32"), distributed_fabric("cpu", "fp32")):
        fabric.launch()
        assert (fabric.world_size, fabric.global_rank) == (1, 0)


FABRIC = """
import torch
from fer3d.training.devices import distributed_fabric
fabric = distributed_fabric("cpu", "fp32")
summed = fabric.all_reduce(torch.tensor(1 + fabric.global_rank), reduce_op="sum")
print(fabric.global_rank, fabric.world_size, int(summed))
"""


def test_the_tasks_that_srun_started_train_together() -> None:
    step = {"SLURM_STEP_ID": "3", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2"}
    step |= {"SLURM_STEP_NODELIST": "localhost", "GLOO_SOCKET_IFNAME": "lo"}
    tasks = [
        subprocess.Popen(
            [sys.executable, "-c", FABRIC],
            env={**os.environ, **ALLOCATION, **step, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    assert sorted(task.communicate(timeout=100)[0] for task in tasks) == ["0 2 3\n", "1 2 3\n"]
