"""How the seven notebooks are built, and that the refresh command leaves nothing that changes by itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import tiny_notebooks
from nbformat import NotebookNode

from fer3d import paths
from fer3d.workbook import refresh

NOTEBOOKS = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
PARAMETER = re.compile(r"[a-z_]+: (int|float|str|bool) = .+  # .+")


def cells(path: Path, kind: str) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def tagged(path: Path, tag: str) -> list[NotebookNode]:
    return [cell for cell in cells(path, "code") if tag in cell.metadata.get("tags", [])]


@each_notebook
def test_a_notebook_has_one_title_a_goal_numbered_sections_and_three_exercises(path: Path) -> None:
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert text.startswith(f"# {path.name[:2]} · ")
    assert "**Goal.**" in text
    assert all(row in text for row in ("| reads |", "| writes |", "| time on 2 cores |"))
    numbers = [int(number) for number in re.findall(r"^## (\d+) · ", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 5
    exercises = text.split("## Try it\n")[1]
    assert len(re.findall(r"^\d\. \*\*", exercises, re.MULTILINE)) == 3
    assert "**Break it.**" in exercises


def test_there_are_seven_notebooks() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07"]


@each_notebook
def test_parameters_have_a_plain_type_and_a_comment(path: Path) -> None:
    (parameters,) = tagged(path, "parameters")
    assert parameters.source.startswith(('profile: str = "tiny"', 'profile: str = "laptop"'))
    assert all(PARAMETER.fullmatch(line) for line in parameters.source.splitlines())


@each_notebook
def test_what_nbval_compares_is_stored(path: Path) -> None:
    """nbval passes a cell without outputs unchecked, so a stripped notebook must fail here."""
    compared = tagged(path, "nbval-check-output")
    assert compared
    for cell in compared:
        assert cell.outputs and not any(output.output_type == "error" for output in cell.outputs), cell.source
    assert all(cell.execution_count for cell in cells(path, "code")), "executed from top to bottom"


@each_notebook
def test_cells_are_short_hold_no_class_cannot_block_papermill_and_assert_the_idea(path: Path) -> None:
    assert any("assert " in cell.source for cell in cells(path, "code"))
    for cell in cells(path, "code"):
        assert not re.search(r"\binteract\(|\bwidgets\.Output\(", cell.source), cell.source
        assert len(cell.source.splitlines()) <= 20, cell.source
        tree = ast.parse(cell.source)  # and no "%matplotlib inline", which would draw each figure a second time
        assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(tree)), cell.source


@pytest.mark.parametrize(
    ("modules", "slow"),
    [
        ("data.splits evaluation.plots workbook.explorers.clips workbook.pipeline", "torch sklearn scipy.stats"),
        ("evaluation.plots training.train", "lightning_fabric sklearn scipy.stats"),
    ],
)
def test_a_first_figure_waits_for_no_library_that_only_later_ones_need(modules: str, slow: str) -> None:
    imports = "; ".join(f"import fer3d.{module}" for module in modules.split())
    slow += " matplotlib.pyplot"  # which seaborn imports
    program = f"import sys; {imports}; print([name for name in {slow.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@each_notebook
def test_every_figure_is_explained(path: Path) -> None:
    everything = nbformat.read(path, as_version=4).cells
    figures = [k for k, cell in enumerate(everything) if "<Figure size" in str(cell.get("outputs", ""))]
    assert figures
    for k in figures:
        words = [cell.source for cell in everything[k + 1 : k + 5] if cell.cell_type == "markdown"]
        assert words, everything[k].source


@each_notebook
def test_stored_outputs_hold_nothing_volatile(path: Path) -> None:
    """No widget state, nothing on stderr, no folder of one machine, no clock."""
    stored = nbformat.read(path, as_version=4)
    assert "widgets" not in stored.metadata
    for cell in stored.cells:
        assert set(cell.metadata) <= set(refresh.CELL_METADATA)
        for output in cell.get("outputs", []):
            assert output.output_type in ("display_data", "execute_result", "stream")
            assert output.get("name") != "stderr"
            assert refresh.WIDGET not in output.get("data", {})
            text = output.get("text") or output.data.get("text/plain", "")
            assert str(paths.ROOT) not in text and not re.search(r"(^|[\s'\"])/(home|root|tmp|Users)/", text)


def test_a_notebook_is_executed_in_its_place_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "01_small.ipynb"
    sources = "print(6 * 7)", "import ipywidgets\nipywidgets.IntSlider()"
    cells = [nbformat.v4.new_code_cell(source, id=f"cell{k}") for k, source in enumerate(sources)]
    cells[0].metadata = {"tags": ["parameters"], "execution": {"iopub.status.busy": "12:00"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    refresh.execute(path)
    first = path.read_text()
    assert all(kept in first for kept in ('"42\\n"', "IntSlider(value=0)", "parameters"))
    assert not any(volatile in first for volatile in ("model_id", "state", "12:00"))
    refresh.execute(path)
    assert path.read_text() == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (
            "01_data_prep",
            "from fer3d.data import splits\nright = splits.fold_split\n"
            "splits.fold_split = lambda *args: [rows[::-1] for rows in right(*args)][::-1]",
        ),
        (
            "02_landmark_filters",
            "from fer3d.model import filters\nright = filters.landmark_filter\n"
            "filters.landmark_filter = lambda *args, **named: right(*args, **named).roll(1, -1)",
        ),
    ],
)
def test_a_fault_in_the_library_fails_the_tagged_cells(name: str, fault: str, tmp_path: Path) -> None:
    """Training and test swapped, the filter one cell to the right: what runs through must not pass."""
    (copy,) = tiny_notebooks.write_copies(tmp_path, f"{name}.ipynb")
    content = nbformat.read(copy, as_version=4)
    given = next(k for k, cell in enumerate(content.cells) if "injected-parameters" in cell.metadata.get("tags", []))
    content.cells.insert(given + 1, nbformat.v4.new_code_cell(fault))
    nbformat.write(content, copy)
    sanitize = paths.ROOT / "tests" / "nbval_sanitize.cfg"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--nbval-lax", "--nbval-current-env"]
    command += ["--nbval-sanitize-with", str(sanitize), "--rootdir", str(tmp_path), str(copy)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT)
    compared = tagged(copy, "nbval-check-output")
    failed = re.findall(rf"{name}.ipynb::Cell \d+", result.stdout.partition("short test summary")[2])
    assert result.returncode == 1, result.stdout + result.stderr
    assert compared and failed, result.stdout
