"""docs/paper-to-code.md names what exists, and leaves out no part of the paper's method and results."""

import functools
import importlib
import re

import pytest

from fer3d.paths import NOTEBOOKS, ROOT

PAGE = (ROOT / "docs" / "paper-to-code.md").read_text()


def test_every_part_of_the_method_and_the_results_is_listed() -> None:
    sections = [f"Section {number}" for number in ("3.1", "3.2", "3.3", "4.1", "4.2", "4.2.1", "4.2.2")]
    equations = [f"Eq. {number}" for number in range(1, 4)]
    figures = [f"Figure {number}" for number in range(1, 6)]
    tables = [f"Table {number}" for number in range(1, 3)]
    listed = re.findall(r"^\| ((?:Section|Eq\.|Figure|Table) [\d.]+) \|", PAGE, re.MULTILINE)
    assert set(listed) == {*sections, *equations, *figures, *tables}


@pytest.mark.parametrize("reference", sorted(set(re.findall(r"`(fer3d/\S+)`", PAGE))))
def test_every_object_is_defined_in_its_file(reference: str) -> None:
    file, _, name = reference.partition(":")
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    found = functools.reduce(getattr, filter(None, name.split(".")), module)
    assert getattr(found, "__module__", module.__name__) == module.__name__, "only imported there"


def test_every_notebook_is_named_and_exists() -> None:
    named = set(re.findall(r"\.\./notebooks/(\w+\.ipynb)", PAGE))
    assert named == {path.name for path in NOTEBOOKS.glob("*.ipynb")}
