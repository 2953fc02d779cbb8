"""A SLURM of two nodes on this machine, from Debian's packages, without an accounting database.

All of it listens on 127.0.0.1 and lies in one folder; `SLURM_CONF` in the environment leads the commands to it. It
needs root, and ends with what it started.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

NODES = 2
CPUS = 2
"""Of each node, whatever the machine has."""

SLURM_CONF = """
ClusterName=fer3d
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MpiDefault=none
MinJobAge=300
SchedulerParameters=sched_interval=2
PartitionName=small Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeName=n{n} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=8000 State=UNKNOWN\n"


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as sockets:
        found = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


@contextlib.contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Start it; yields the environment in which SLURM's commands reach it."""
    with tempfile.TemporaryDirectory(prefix="fer3d-slurm-") as name:  # munge refuses a folder closed to others above it
        yield from _run(Path(name))


def _run(folder: Path) -> Iterator[dict[str, str]]:
    host, ports = socket.gethostname().partition(".")[0], _free_ports(1 + NODES)
    folder.chmod(0o755)
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    nodes = [NODE.format(n=n, host=host, port=ports[1 + n], cpus=CPUS) for n in range(NODES)]
    text, partition = SLURM_CONF.format(host=host, ports=ports, folder=folder).rsplit("PartitionName", 1)
    (folder / "slurm.conf").write_text(f"{text}{''.join(nodes)}PartitionName{partition}")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    _write_srun(folder / "bin" / "srun", folder / "slurm.conf")
    environment["PATH"] = os.pathsep.join([str(folder / "bin"), environment["PATH"], "/usr/sbin"])
    munge = ["munged", "--foreground", "--key-file", key, "--socket", folder / "munge.socket"]
    munge += ["--pid-file", folder / "munged.pid", "--log-file", folder / "munged.log"]
    munge += ["--seed-file", folder / "munged.seed"]
    daemons = [munge, ["slurmctld", "-D", "-c"], *(["slurmd", "-D", "-N", f"n{n}"] for n in range(NODES))]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in daemons:
            with (folder / f"{command[0]}-{len(started)}.out").open("wb") as out:
                started.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
            time.sleep(1)
        deadline = time.monotonic() + 60
        while _idle(environment) < NODES:
            assert time.monotonic() < deadline, (folder / "slurmctld.log").read_text()[-2000:]
            time.sleep(1)
        yield environment
    finally:
        subprocess.run(["scancel", "--user", "root"], env=environment, capture_output=True)
        time.sleep(2)
        for daemon in reversed(started):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
            daemon.wait()


def _write_srun(script: Path, conf: Path) -> None:
    """An ``srun`` that finds the cluster also where Snakemake's jobs have dropped ``SLURM_CONF``."""
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {shutil.which("srun")} "$@"\n')
    script.chmod(0o755)


def _idle(environment: dict[str, str]) -> int:
    """How many nodes are ready."""
    asked = subprocess.run(["sinfo", "-h", "-N", "-o", "%N %T"], env=environment, capture_output=True, text=True)
    return sum(line.endswith(" idle") for line in asked.stdout.splitlines())
