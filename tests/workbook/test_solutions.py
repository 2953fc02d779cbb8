"""The solutions of the exercises: they run, and what they say is asserted in them."""

import re
from pathlib import Path

import nbformat
import pytest

from fer3d import paths
from fer3d.workbook import notebook

SOLUTIONS = sorted((paths.NOTEBOOKS / "solutions").glob("*.ipynb"))
each_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


def text(path: Path) -> str:
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")


def test_each_notebook_has_solutions() -> None:
    assert [path.name for path in SOLUTIONS] == sorted(path.name for path in paths.NOTEBOOKS.glob("0*.ipynb"))


@each_solution
def test_every_exercise_has_its_solution_and_the_notebook_links_to_it(path: Path) -> None:
    exercises = text(paths.NOTEBOOKS / path.name).split("## Try it\n")[1]
    assert f"](solutions/{path.name})" in exercises and f"](../{path.name})" in text(path)
    names = re.findall(r"^\d\. \*\*(.+?)\.\*\*", exercises, re.MULTILINE)
    assert names == re.findall(r"^## \d · (.+)", text(path), re.MULTILINE)


@each_solution
def test_the_cells_of_a_solution_are_short_and_their_outputs_name_no_folder_of_a_machine(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 20, cell.source
            said = "".join(output.get("text") or output.data.get("text/plain", "") for output in cell.outputs)
            assert str(paths.ROOT) not in said and not re.search(r"/(home|root|tmp|Users)/", said), cell.source


@each_solution
def test_a_solution_runs_and_asserts_its_numbers(path: Path, tmp_path: Path) -> None:
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert sum("assert " in source for source in code) >= 3
    notebook.execute(path, tmp_path / "executed.ipynb", {"profile": "tiny"})
