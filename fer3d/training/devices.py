"""The best device and precision of this machine, detected at run time, and the Fabric that uses them.

One path for a CPU, a GPU, several processes and several nodes. The processes that ``torchrun`` started, or ``srun``
with several tasks, train together. Otherwise there is one process, also inside a cluster's allocation.
"""

import logging
import os
import re
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from fer3d.config import Device, Precision
from fer3d.errors import InputError

if TYPE_CHECKING:  # imported where it is used: it takes over a second, and predictions do without
    from lightning_fabric import Fabric

TIMEOUT = timedelta(hours=6)
"""How long processes wait for the first one, which tests alone. If a process dies, the others learn it at once."""


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_precision(device: torch.device | str) -> str:
    """``bf16`` where the processor itself computes in it (AVX-512 BF16, AMX or an Ampere GPU on), else ``fp32``.

    PyTorch runs bf16 everywhere; without such instructions it converts, and is slower than in fp32.
    """
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"


def choose(device: Device, precision: Precision) -> tuple[str, str]:
    """Device and precision where ``auto`` leaves them open, made ready; an `InputError` for a GPU that is not there."""
    chosen = best_device().type if device == "auto" else device
    if chosen == "cuda" and not torch.cuda.is_available():
        raise InputError("this machine has no CUDA device", "--device cpu")
    if chosen == "cuda":
        torch.backends.cudnn.benchmark = True  # batches have two sizes at most
        torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32; the lower precision is bf16
    return chosen, best_precision(chosen) if precision == "auto" else precision


def single_process_fabric(device: Device, precision: Precision) -> "Fabric":
    """One process on that device and in that precision."""
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    return _fabric(device, precision, devices=1, plugins=LightningEnvironment())


def distributed_fabric(device: Device, precision: Precision) -> "Fabric":
    """All processes that ``torchrun`` or ``srun`` started together, connected; else as `single_process_fabric`."""
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if not distributed.is_torchelastic_launched():
        if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) == 1:
            return single_process_fabric(device, precision)
        _name_the_tasks_of_srun()
    # A kernel of 1 x 1 x 1 can have two sets of strides for the same layout; DDP's buckets have the other set.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view", UserWarning)
    if not distributed.is_initialized():
        # torchrun's store survives a restart: without a prefix for each attempt, new processes would wait for the dead.
        store, rank, processes = next(rendezvous("env://"))
        store = PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
        backend = "nccl" if choose(device, precision)[0] == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=TIMEOUT, store=store, rank=rank, world_size=processes)
    processes, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    fabric = _fabric(
        device, precision, devices=here, num_nodes=processes // here, strategy="ddp", plugins=TorchElasticEnvironment()
    )
    fabric.launch()
    return fabric


def _name_the_tasks_of_srun() -> None:
    """Describe the tasks of an ``srun`` in the environment as ``torchrun`` would.

    Only the step's own variables count: those of the allocation (``SLURM_NTASKS``) say what it has room for.
    """
    slurm = os.environ
    # "2(x3),1": two tasks on each of three nodes, one on the next.
    groups = re.findall(r"(\d+)(?:\(x(\d+)\))?", slurm["SLURM_STEP_TASKS_PER_NODE"])
    tasks = [int(tasks) for tasks, nodes in groups for _ in range(int(nodes or 1))]
    if len(set(tasks)) > 1:
        raise InputError(f"srun started {tasks} tasks on its nodes: expected as many on each", "--ntasks-per-node 1")
    first_node = re.sub(r"\[([^],-]*).*", r"\1", slurm["SLURM_STEP_NODELIST"]).split(",")[0]  # "gpu[03-05,9],cpu1"
    port = 15000 + (31 * int(slurm["SLURM_JOB_ID"]) + int(slurm["SLURM_STEP_ID"])) % 15000  # one for each step
    found = {
        "RANK": slurm["SLURM_PROCID"],
        "WORLD_SIZE": slurm["SLURM_STEP_NUM_TASKS"],
        "LOCAL_RANK": slurm["SLURM_LOCALID"],
        "LOCAL_WORLD_SIZE": str(tasks[0]),
        "MASTER_ADDR": first_node,
        "MASTER_PORT": str(port),
    }
    os.environ |= {name: value for name, value in found.items() if name not in os.environ}


def _fabric(device: Device, precision: Precision, **processes: Any) -> "Fabric":
    from lightning_fabric import Fabric

    # Fabric's import sets a level at which it would print the precision.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    accelerator, chosen = choose(device, precision)
    return Fabric(accelerator=accelerator, precision="bf16-mixed" if chosen == "bf16" else "32-true", **processes)
