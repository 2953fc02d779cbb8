"""Check whether this machine can run the workbook: one line per requirement, with what to do where one fails."""

import importlib.metadata
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fer3d import paths
from fer3d.errors import explain_import
from fer3d.workers import processors

MIN_PYTHON = (3, 11)
MIN_FREE_GB = 5


@dataclass(frozen=True)
class Check:
    """The result of one check, with the detail found or what to do."""

    name: str
    ok: bool
    detail: str


def run_checks() -> Iterator[Check]:
    """Run every check, requirements of later checks first. A check that raises has failed."""
    for name, check in _CHECKS.items():
        try:
            ok, detail = check()
        except Exception as error:  # a broken library may raise anything while it loads
            ok, detail = False, explain_import(error) or f"{type(error).__name__}: {error}"
        yield Check(name, ok, " ".join(detail.split()))


def _packages() -> tuple[bool, str]:
    """Every direct requirement of fer3d is installed. Versions are not compared: pip did that."""
    lines = [line for line in importlib.metadata.requires("fer3d") or () if "extra ==" not in line]
    names = [match.group() for line in lines if (match := re.match(r"[\w.-]+", line))]
    # conda and a compiled dlib have the name without "-bin"; a server may have OpenCV without windows.
    missing = [
        name for name in names if not any(map(_installed, (name, name.removesuffix("-bin"), f"{name}-headless")))
    ]
    if missing:
        return False, f"missing {', '.join(missing)}; try pip install -c constraints.txt -e ."
    return True, f"all {len(names)} installed"


def _installed(name: str) -> bool:
    return any(importlib.metadata.distributions(name=name))


def _detectors() -> tuple[bool, str]:
    """OpenCV's cascade, dlib's detector and dlib's predictor find the face in scikit-image's sample photograph."""
    from skimage.data import astronaut

    from fer3d.config import ClipSettings
    from fer3d.data import faces

    ok = faces.detect(astronaut(), ClipSettings()) is not None
    return ok, "OpenCV and dlib find the face and its 66 landmarks" if ok else "no face found in a sample photograph"


def _torch() -> tuple[bool, str]:
    import torch

    from fer3d.training import devices

    device = devices.best_device().type
    name = torch.cuda.get_device_name() if device == "cuda" else "no GPU: for all profiles but paper"
    return True, f"{torch.__version__} on {device} in {devices.best_precision(device)} ({name})"


def _kernel() -> tuple[bool, str]:
    """JupyterLab starts what is installed as ``python3``; what fer3d executes is always this interpreter."""
    from jupyter_client.kernelspec import KernelSpecManager

    spec = KernelSpecManager().get_kernel_spec("python3")
    python = spec.argv[0] if spec.argv else ""
    # A relative name is of the native kernel, which Jupyter starts as this interpreter.
    ours = python in ("python", "python3") or (Path(python).exists() and Path(python).samefile(sys.executable))
    if ours:
        return True, f"Jupyter kernel python3 in {spec.resource_dir}"
    remedy = f"{sys.executable} -m ipykernel install --prefix {sys.prefix} and no JUPYTER_PATH before it"
    return False, f"the kernel python3 in {spec.resource_dir} is {python}, another Python; try {remedy}"


def _disk() -> tuple[bool, str]:
    folder = paths.data()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    return free >= MIN_FREE_GB, f"{free:.0f} GB free at {folder}; at least {MIN_FREE_GB} GB are needed"


_CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "python": lambda: (sys.version_info >= MIN_PYTHON, f"{platform.python_version()} at {sys.executable}"),
    "packages": _packages,
    "detectors": _detectors,
    "torch": _torch,
    "kernel": _kernel,
    "disk": _disk,
    "cores": lambda: (True, str(processors())),
}
