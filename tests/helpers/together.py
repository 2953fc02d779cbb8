"""What each process runs that `torchrun` starts in test_processes.py: STORE OUT [kill]."""

import dataclasses
import os
import signal
import sys
from pathlib import Path

import torch
from dots import PROFILE, with_network
from torch import nn

from fer3d.data.store import open_store
from fer3d.training import loop
from fer3d.training import train as training
from fer3d.training.processes import see_the_whole_batch

TOGETHER = dataclasses.replace(
    with_network(norm="none", landmark_stream=True),
    training=dataclasses.replace(PROFILE.training, batch_size=5, lr=0.002, precision="fp32"),
)
"""Rounding grows from step to step; with batch normalisation so fast that only a single step can be compared."""


def check_one_step(process: int) -> None:
    """Batch normalisation and dropout over two processes do what they do over the same clips in one."""
    torch.manual_seed(0)
    x, mine = torch.randn(7, 6, 3, 4, 4) * 3 + 1, slice(0, 4) if process == 0 else slice(4, 7)
    one, two = (nn.Sequential(nn.BatchNorm3d(6), nn.Dropout(0.3), nn.Conv3d(6, 6, 1)) for _ in range(2))
    two.load_state_dict(one.state_dict())
    see_the_whole_batch(two, x.device)
    shared = nn.parallel.DistributedDataParallel(two)
    torch.manual_seed(1)
    one(x).square().sum().backward()
    torch.manual_seed(1)
    (2 * shared(x[mine]).square().sum()).backward()
    for ours, theirs in zip(two.parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-3)
    for ours, theirs in zip(two.buffers(), one.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(two.eval()(x), one.eval()(x))


def main(store: Path, out: Path, kill: bool) -> None:
    process, attempt = int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    if (out / "checkpoint.safetensors").exists():
        sys.stdout.write(f"process {process}, attempt {attempt}: goes on\n")
    if kill and process == 1 and attempt == 0:
        step, steps = loop.step, iter(range(100))
        loop.step = lambda *args: os.kill(os.getpid(), signal.SIGKILL) if next(steps) == 12 else step(*args)
    training.train([open_store(store)], out, TOGETHER)
    check_one_step(process)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), kill=len(sys.argv) > 3)
