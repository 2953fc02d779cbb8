"""Weights on disk: named tensors and a JSON-ready state in one safetensors file, sealed.

Nothing is ever unpickled. The seal is a digest of the tensors and the state, and the state
names the run that wrote it: a file that is truncated, tampered with or another run's is an
`InputError` of one line, never weights that are silently wrong.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fer3d import files
from fer3d.errors import InputError


def write(path: Path, tensors: Mapping[str, Tensor], run: str, state: Any = None) -> None:
    """Write tensors and a JSON-ready state of the run with that fingerprint, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    contents = {"run": run, "state": state}
    seal = {**contents, "digest": _digest(plain, contents)}
    with files.atomic(path) as temporary:
        # One entry: the format writes several in an order that changes from run to run.
        temporary.write_bytes(save(plain, metadata={"fer3d": json.dumps(seal)}))


def read(path: Path, run: str) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the state that `write` wrote for this run; an `InputError` for anything else."""
    if not path.is_file():
        raise damaged(path, "no contents")
    try:
        with safe_open(path, "pt") as opened:
            seal = json.loads((opened.metadata() or {})["fer3d"])
            contents, digest = {"run": seal["run"], "state": seal["state"]}, seal["digest"]
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, "contents that fer3d did not write") from error
    if digest != _digest(tensors, contents):
        raise damaged(path, "contents that don't match their digest")
    if contents["run"] != run:
        raise damaged(path, "another run's contents")
    return tensors, contents["state"]


def damaged(path: Path, what: str) -> InputError:
    """The one line for a file of a run that can't be used."""
    return InputError(
        f"{path} with {what}", "the file that this run wrote", f"removing {path.parent} and training again"
    )


def _digest(tensors: Mapping[str, Tensor], contents: Any) -> str:
    digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
