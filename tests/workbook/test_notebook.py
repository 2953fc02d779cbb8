"""Notebooks are executed strictly: known parameters only, written whole or kept as failed, within a time limit."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from fer3d import paths
from fer3d.errors import InputError
from fer3d.workbook import doctor
from fer3d.workbook.notebook import NotebookError, check_parameters, execute


@pytest.fixture
def notebook(write_notebook: Callable[..., Path]) -> Path:
    return write_notebook("lesson.ipynb", "import sys\nprint(profile, epochs, lr, mirror, sys.executable)")


def test_parameters_reach_the_notebook_and_this_interpreter_runs_it(notebook: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "lesson.ipynb"
    execute(notebook, out, {"profile": "laptop", "epochs": "5", "lr": 1, "mirror": "false"})
    executed = nbformat.read(out, as_version=4)
    assert executed.cells[-1].outputs[0].text == f"laptop 5 1.0 False {sys.executable}\n"
    assert [path.name for path in out.parent.iterdir() if not path.name.startswith(".")] == ["lesson.ipynb"]


def test_no_grammar_of_web_addresses_is_built() -> None:
    loaded = "import sys, fer3d.workbook.notebook; sys.exit('lark' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], check=True)


def test_cells_with_the_tag_to_skip_are_not_executed(notebook: Path, tmp_path: Path) -> None:
    content = nbformat.read(notebook, as_version=4)
    content.cells.append(nbformat.v4.new_code_cell("print('drilled')", metadata={"tags": ["drill", "other"]}))
    nbformat.write(content, notebook)
    for skip, outputs in (("drill", 0), ("", 1)):
        execute(notebook, tmp_path / "out.ipynb", {}, skip=skip)
        *_, first, drill = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
        assert len(first.outputs) == 1 and len(drill.outputs) == outputs and drill.source == "print('drilled')"


def test_a_foreign_kernel_named_python3_is_not_used(
    notebook: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "Other", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    execute(notebook, tmp_path / "out.ipynb", {})
    assert sys.executable in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs[0].text
    check = next(check for check in doctor.run_checks() if check.name == "kernel")
    assert not check.ok and "/bin/false" in check.detail


@pytest.mark.parametrize(("folder", "transport"), [("short", "ipc"), ("long" * 25, "tcp")])
def test_a_kernel_has_no_ports_where_its_sockets_can_have_names(
    folder: str, transport: str, write_notebook: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two notebooks that started at once chose the same port, and one failed."""
    with tempfile.TemporaryDirectory() as place:
        (temporary := Path(place, folder)).mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        code = "import ipykernel.connect\nprint(ipykernel.connect.get_connection_info(unpack=True)['transport'])"
        notebook = write_notebook("lesson.ipynb", code)
        execute(notebook, tmp_path / "out.ipynb", {})
        assert list(temporary.iterdir()) == []
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs[0].text == f"{transport}\n"


@pytest.mark.parametrize("metadata", [{}, {"kernelspec": {"name": "conda-env", "display_name": "Conda"}}])
def test_a_notebook_of_any_kernel_or_none_is_executed(
    metadata: dict[str, Any], write_notebook: Callable[..., Path], tmp_path: Path
) -> None:
    notebook = write_notebook("lesson.ipynb", "print(epochs)")
    content = nbformat.read(notebook, as_version=4)
    content.metadata = nbformat.from_dict(metadata)
    nbformat.write(content, notebook)
    execute(notebook, tmp_path / "out.ipynb", {"epochs": "7"})
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs[0].text == "7\n"


def test_a_default_may_hold_an_equals_sign_and_a_path_braces(tmp_path: Path) -> None:
    cells = [
        nbformat.v4.new_code_cell(
            'name: str = "a=b"  # with = in it\nfold: int = 0', metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell("print(name, fold)"),
    ]
    folder = tmp_path / "{odd} näme"
    folder.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "lesson.ipynb")
    execute(folder / "lesson.ipynb", folder / "out.ipynb", {"fold": "3"})
    assert nbformat.read(folder / "out.ipynb", as_version=4).cells[-1].outputs[0].text == "a=b 3\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": "5"}, "epochs: int"),
        ({"epochs": "5.5"}, "int"),
        ({"epochs": True}, "int"),
        ({"lr": "fast"}, "float"),
        ({"mirror": "maybe"}, "bool"),
        ({"profile": 3}, "str"),
        ({"profile": "huge"}, "tiny, laptop, tables, paper"),
    ],
)
def test_a_wrong_parameter_is_one_clear_line_and_nothing_is_written(
    given: dict[str, Any], message: str, notebook: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        execute(notebook, tmp_path / "out" / "lesson.ipynb", given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("notebook", "name", "known"),
    [
        ("05_evaluation", "variants", "2d,3d,3d+landmarks,finetuned"),
        ("05_evaluation", "variants", "linear,r3d_18"),
        ("06_cross_database", "model", "finetuned"),
        ("04_training", "variant", "3d+landmarks"),
    ],
)
def test_models_are_given_by_the_names_that_the_notebook_takes(notebook: str, name: str, known: str) -> None:
    path = paths.NOTEBOOKS / f"{notebook}.ipynb"
    assert check_parameters(path, {name: known}) == {name: known}
    with pytest.raises(InputError, match=r"'3d\+landmark'.*3d\+landmarks") as error:
        check_parameters(path, {name: "3d+landmark"})
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_a_notebook_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "broken.ipynb").write_text('{"cells": [')
    for name in ("broken.ipynb", "missing.ipynb"):
        with pytest.raises(InputError, match=name) as error:
            execute(tmp_path / name, tmp_path / "out.ipynb", {})
        assert "\n" not in str(error.value)


def test_a_notebook_is_never_written_over_itself(notebook: Path) -> None:
    before = notebook.read_bytes()
    with pytest.raises(InputError, match="itself"):
        execute(notebook, notebook, {})
    assert notebook.read_bytes() == before


def test_a_failed_notebook_is_kept_and_the_reason_is_one_line(
    write_notebook: Callable[..., Path], tmp_path: Path
) -> None:
    sources = "print('before')", "raise ValueError('the reason')", "print('after')"
    failing, out = write_notebook("failing.ipynb", *sources), tmp_path / "out.ipynb"
    with pytest.raises(
        NotebookError, match=r"failed in cell \[3\]: ValueError: the reason; kept as .*out\.failed\.ipynb"
    ) as error:
        execute(failing, out, {})
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)
    assert not out.exists()
    assert "before" in (tmp_path / "out.failed.ipynb").read_text()
    execute(write_notebook("failing.ipynb", "print('mended')"), out, {})
    assert not (tmp_path / "out.failed.ipynb").exists() and out.exists()


def test_a_notebook_that_hangs_or_dies_is_ended(write_notebook: Callable[..., Path], tmp_path: Path) -> None:
    hangs = write_notebook("hangs.ipynb", "print('be' + 'fore')", "import time; time.sleep(600)")
    dies = write_notebook("dies.ipynb", "print('be' + 'fore')", "import os; os._exit(1)")
    out, began = tmp_path / "out.ipynb", time.monotonic()
    for notebook, timeout, why in ((hangs, 10, "not finished after 10 s"), (dies, 60, "died")):
        with pytest.raises(NotebookError, match=rf"{why}.*kept as"):  # the kernel has started in ten seconds
            execute(notebook, out, {}, timeout=timeout)
        assert "before" in (tmp_path / "out.failed.ipynb").read_text(), "what its cells had shown"
        (tmp_path / "out.failed.ipynb").unlink()
    assert time.monotonic() - began < 120 and not out.exists()
