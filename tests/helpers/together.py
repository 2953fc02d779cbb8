"""What each process runs that `torchrun` starts in test_processes.py: STORE OUT [kill]."""

import dataclasses
import os
import signal
import sys
from pathlib import Path

from dots import PROFILE, with_network

from fer3d.data.store import open_store
from fer3d.training import loop
from fer3d.training.train import train

TOGETHER = dataclasses.replace(
    with_network(norm="none", dropout=0.0, landmark_stream=True),
    training=dataclasses.replace(PROFILE.training, batch_size=5, lr=0.002, precision="fp32"),
)
"""Nothing in it depends on how a batch is shared, so two processes give the result of one."""


def main(store: Path, out: Path, kill: bool) -> None:
    process, attempt = int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    if (out / "checkpoint.safetensors").exists():
        sys.stdout.write(f"process {process}, attempt {attempt}: resumes\n")
    if kill and process == 1 and attempt == 0:
        step, steps = loop.train_one_step, iter(range(100))
        loop.train_one_step = lambda *args: os.kill(os.getpid(), signal.SIGKILL) if next(steps) == 12 else step(*args)
    train([open_store(store)], out, TOGETHER)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), kill=len(sys.argv) > 3)
