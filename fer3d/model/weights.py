"""Weights on disk: named tensors and a JSON-ready state in one safetensors file.

Nothing is ever unpickled. The file's metadata names the run that wrote it (see `run`). So a file that
is truncated, of another program or of another run is an `InputError` of one line. Bytes that changed within
the tensors are not noticed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fer3d import files
from fer3d.errors import InputError


def write(path: Path, tensors: Mapping[str, Tensor], run_id: str, state: Any = None) -> None:
    """Write the tensors and a JSON-ready state of the run with that identity, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry: the format writes several in an order that changes from run to run.
    metadata = {"fer3d": json.dumps({"run_id": run_id, "state": state})}
    with files.atomic(path) as temporary:
        temporary.write_bytes(save(plain, metadata=metadata))


def read(path: Path, run_id: str) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the state that `write` wrote for this run; an `InputError` for anything else."""
    if not path.is_file():
        raise unfinished(path)
    try:
        with safe_open(path, "pt") as opened:
            metadata = json.loads((opened.metadata() or {})["fer3d"])
            written_by, state = metadata["run_id"], metadata["state"]
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    except PermissionError as error:
        raise files.unreadable(error, path) from error
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise unusable(path, "is truncated, or fer3d did not write it") from error
    if written_by != run_id:
        raise unusable(path, "belongs to another run")
    return tensors, state


def same_shapes(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether both have tensors of the same names and shapes."""
    return {name: value.shape for name, value in one.items()} == {name: value.shape for name, value in other.items()}


def unfinished(path: Path) -> InputError:
    """The one line for a file that a run does not have yet."""
    return InputError(f"{path} does not exist: the training has not finished", "its command again, which resumes")


def unusable(path: Path, what: str) -> InputError:
    """The one line for a file of a run that can't be used."""
    return InputError(f"{path} {what}", f"removing {path.parent} and training again")
