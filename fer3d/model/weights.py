"""Weights on disk: named tensors and a JSON-ready state in one safetensors file, with a checksum of both.

Nothing is ever unpickled. Beside the state stands the identity of the run that wrote it: a file that is truncated,
changed or another run's is an `InputError` of one line, never weights that are silently wrong.
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


def write(path: Path, tensors: Mapping[str, Tensor], run_id: str, state: Any = None) -> None:
    """Write tensors and a JSON-ready state of the run with that identity, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    contents = {"run": run_id, "state": state}
    metadata = {**contents, "digest": _checksum(plain, contents)}
    with files.atomic(path) as temporary:
        # One entry: the format writes several in an order that changes from run to run.
        temporary.write_bytes(save(plain, metadata={"fer3d": json.dumps(metadata)}))


def read(path: Path, run_id: str) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the state that `write` wrote for this run; an `InputError` for anything else."""
    if not path.is_file():
        raise damaged(path, "no contents")
    try:
        with safe_open(path, "pt") as opened:
            metadata = json.loads((opened.metadata() or {})["fer3d"])
            contents, checksum = {"run": metadata["run"], "state": metadata["state"]}, metadata["digest"]
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, "contents that fer3d did not write") from error
    if checksum != _checksum(tensors, contents):
        raise damaged(path, "contents that don't match their checksum")
    if contents["run"] != run_id:
        raise damaged(path, "another run's contents")
    return tensors, contents["state"]


def damaged(path: Path, what: str) -> InputError:
    """The error for a file that is not what its run wrote."""
    return InputError(f"{path} has {what}", f"removing {path.parent} and training again")


def _checksum(tensors: Mapping[str, Tensor], contents: Any) -> str:
    digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
