"""The digest of the source that computed a result: when it changes, the result is made anew.

It covers a module, all modules of fer3d that it imports, directly or not, also inside functions, and the releases of
the libraries that these compute with. Comments, docstrings and the layout of the lines don't count. Settings don't
either: a result records their values.
"""

import ast
import contextlib
import functools
import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fer3d import files, paths

_LEFT_OUT = {f"fer3d.{name}" for name in ("config", "errors", "paths", "program", "workers")}
"""Modules on which no result depends, but for the values of the settings."""

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "cv2": ("opencv-python", "opencv-python-headless"),
    "dlib": ("dlib-bin", "dlib"),
    "lightning_fabric": ("lightning-fabric",),
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "torch": ("torch",),
}
"""Modules of other libraries that results are computed with, and the packages that may hold them. Libraries that draw,
write or read don't count: new releases of them don't change the numbers."""


@functools.cache
def digest(root: str | Path, without: frozenset[str] = frozenset()) -> str:
    """The digest of a module given by its name, or of a notebook given by its path: its cells and what they import.

    Args:
        root: ``"fer3d.training.train"``, or the path of an ``.ipynb`` file.
        without: modules that don't count, with what only they import.
    """
    if isinstance(root, Path):
        cells = json.loads(root.read_text(encoding="utf-8"))["cells"]
        texts = [(cell["cell_type"], cell["metadata"].get("tags"), "".join(cell["source"])) for cell in cells]
        code = "\n".join(text for kind, _, text in texts if kind == "code")
        names = set(_imported(ast.parse("\n".join(line for line in code.splitlines() if line[:1] not in "%!"))))
        sources: dict[str, object] = {root.name: texts}
    else:
        names, sources = {root}, {}
    waiting = names - {*_LEFT_OUT, *without}
    while waiting:
        name = waiting.pop()
        if name in LIBRARIES:
            sources[name] = _release(name)
        elif name not in sources and (file := _file(name)):
            imported, sources[name] = _read(file)
            waiting |= imported - {*_LEFT_OUT, *without}
    return files.fingerprint(sources)


@functools.cache
def _read(file: Path) -> tuple[frozenset[str], str]:
    """What a file imports, and its code."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(_imported(tree)), ast.unparse(_without_docstrings(tree))


@functools.cache
def _release(library: str) -> str:
    """The release of a library that is installed, whatever it was built for (2.13.0+cpu, 2.13.0+cu130)."""
    for package in LIBRARIES[library]:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(package).partition("+")[0]
    return ""


def _file(module: str) -> Path | None:
    """The file of a module of fer3d; None for an attribute of one."""
    path = paths.ROOT.joinpath(*module.split("."))
    candidates = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def _imported(tree: ast.AST) -> Iterator[str]:
    """What a source imports, also inside functions: of fer3d, with the packages that hold it, and of `LIBRARIES`."""
    for node in _executed(tree):
        names: Iterable[str] = ()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "fer3d":  # itself left out: its version is in each result
                yield from (".".join(parts[:end]) for end in range(2, len(parts) + 1))
            elif parts[0] in LIBRARIES:
                yield parts[0]


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements of a tree but those that only a type checker reads."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"):
            waiting += _statements(node)
            yield node


def _statements(node: ast.AST) -> list[ast.AST]:
    """The statements right below a module or a statement. (To visit every expression takes ten times as long.)"""
    blocks = (getattr(node, name, []) for name in ("body", "orelse", "finalbody", "handlers", "cases"))
    return [statement for block in blocks for statement in block]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree without the texts that stand alone: docstrings of modules, classes, functions and attributes."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        waiting += _statements(node)
        if hasattr(node, "body"):
            code = [
                line for line in node.body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            ]
            node.body = code or [ast.Pass()]
    return tree
