"""Copies of the committed notebooks with the parameters of the tiny profile: what `make test` gives to nbval.

    python tests/helpers/tiny_notebooks.py FOLDER

A reader sees the outputs of the laptop profile. nbval executes the copies and compares the cells tagged
``nbval-check-output``, which print only what holds in every profile, with these outputs.
"""

import sys
from pathlib import Path

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from fer3d import paths


def write_copies(folder: Path, names: str = "0*.ipynb") -> list[Path]:
    """Write the copies of the notebooks with these names into an empty folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.ipynb"):
        old.unlink()
    copies = []
    for path in sorted(paths.NOTEBOOKS.glob(names)):
        copy = parameterize_notebook(load_notebook_node(str(path)), {"profile": "tiny"})
        copies.append(folder / path.name)
        nbformat.write(copy, copies[-1])
    return copies


if __name__ == "__main__":
    write_copies(Path(sys.argv[1]))
