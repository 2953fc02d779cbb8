"""What this machine computes best with, asked and never assumed, and the Fabric that computes there.

One path for a CPU, a GPU, several processes and several nodes: what `torchrun` started
trains together, anything else trains alone.
"""

import logging
import os
import sys
import warnings
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from fer3d.config import TrainingSettings
from fer3d.errors import InputError

Precision = Literal["fp32", "bf16"]

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells its precision at every start


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_precision(device: torch.device | str) -> Precision:
    """``bf16`` where the processor itself computes in it (AVX-512 BF16, AMX or an Ampere GPU on), else ``fp32``.

    PyTorch runs bf16 everywhere; without such instructions it converts, and is slower than in fp32.
    """
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"


def alone(settings: TrainingSettings) -> Fabric:
    """One process, on the settings' device and in their precision; an `InputError` for a device that is not there."""
    device = best_device().type if settings.device == "auto" else settings.device
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' on a machine without one", "auto or cpu", "--device cpu")
    if device == "cuda":
        torch.backends.cudnn.benchmark = True  # batches have two sizes at most
        torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32; bf16 is asked for by name
    precision = best_precision(device) if settings.precision == "auto" else settings.precision
    return Fabric(accelerator=device, devices=1, precision="bf16-mixed" if precision == "bf16" else "32-true")


def together(settings: TrainingSettings) -> Fabric:
    """All processes that ``torchrun`` started, connected; without ``torchrun``, the same as `alone`."""
    fabric = alone(settings)
    if not distributed.is_torchelastic_launched():
        return fabric
    processes, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if processes == here and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # else the machine's own name must be resolved
    # Kernels of 1 x 1 x 1 have two names for one layout, of which DDP's buckets take the other.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view", UserWarning)
    if not distributed.is_initialized():
        _meet("nccl" if fabric.device.type == "cuda" else "gloo")
    fabric = Fabric(
        accelerator=fabric.device.type,
        devices=here,
        num_nodes=processes // here,
        strategy="ddp",
        precision=fabric._precision.precision,
    )
    fabric.launch()
    return fabric


def _meet(backend: str) -> None:
    """Connect the processes. What torchrun notes about them outlives them, so each attempt has a name of its own:
    otherwise processes that were started again would look for the dead ones."""
    store, rank, processes = next(rendezvous("env://"))
    attempt = PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    distributed.init_process_group(backend, store=attempt, rank=rank, world_size=processes)
