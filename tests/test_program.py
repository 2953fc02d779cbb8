"""The digest of a program: it changes with the code that a result depends on, and with nothing else."""

import importlib
import shutil
from pathlib import Path

import nbformat
import pytest

from benchmarks.training import second_rendering
from fer3d import paths, program
from fer3d.config import ClipSettings


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, and of the benchmarks, that can be changed."""
    for folder in ("fer3d", "benchmarks"):
        shutil.copytree(paths.ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


def forget() -> None:
    """As a new process does, which reads the sources again."""
    importlib.reload(program)


def digests() -> dict[str, str]:
    forget()
    names = "fer3d.training.train", "fer3d.data.preparation", "fer3d.standins.releases.writer"
    return {name: program.digest(name) for name in names}


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("model/network.py", {"fer3d.training.train"}),
        ("training/loop.py", {"fer3d.training.train"}),
        ("data/databases/disfa.py", {"fer3d.data.preparation"}),
        ("data/emfacs.py", {"fer3d.data.preparation", "fer3d.standins.releases.writer"}),
        ("data/store.py", {"fer3d.training.train", "fer3d.data.preparation"}),
        ("evaluation/plots.py", set()),
        ("training/caveats.py", set()),  # what is said below the figures
        ("config.py", set()),
    ],
)
def test_it_changes_with_the_modules_that_are_imported_directly_or_not(
    file: str, changed: set[str], checkout: Path
) -> None:
    before = digests()
    with (checkout / "fer3d" / file).open("a") as source:
        source.write("\nCHANGED = True\n")
    assert {name for name, digest in digests().items() if digest != before[name]} == changed


def test_comments_docstrings_and_layout_do_not_count(checkout: Path) -> None:
    before = digests()
    network = checkout / "fer3d" / "model" / "network.py"
    network.write_text('"""Another docstring."""\n# A comment.\n\n\n' + network.read_text().partition('"""\n')[2])
    assert digests() == before


def test_the_second_rendering_is_made_anew_by_another_program_and_not_for_a_comment(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        second_rendering,
        "write_in_parts",
        lambda out, clips, metadata, *rest, **more: told.append(metadata["source_fingerprint"]),
    )

    def fingerprint() -> str:
        forget()
        second_rendering.write(Path("store"), ClipSettings(), people=1)
        return told.pop()

    before = fingerprint()
    files = [checkout / "benchmarks/training/second_rendering.py", checkout / "fer3d/data/crop.py"]
    for file in files:
        file.write_text(file.read_text() + "\n# A comment.\n")
    assert fingerprint() == before
    found = {before}
    for file in files:
        file.write_text(file.read_text() + "\nCHANGED = True\n")
        found.add(fingerprint())
    assert len(found) == 3


def test_a_module_can_be_left_out(checkout: Path) -> None:
    without = frozenset({"fer3d.data.databases.mmi"})
    before = program.digest("fer3d.data.preparation", without)
    (checkout / "fer3d" / "data" / "databases" / "mmi.py").write_text("CHANGED = True\n")
    forget()
    assert program.digest("fer3d.data.preparation", without) == before


def release(folder: Path, package: str, version: str) -> None:
    """Leave in the folder what says which release of a package is installed."""
    metadata = folder / f"{package.replace('-', '_')}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


@pytest.mark.parametrize(
    ("package", "changed"),
    [
        ("torch", {"fer3d.training.train"}),
        ("scikit-learn", {"fer3d.training.train"}),
        ("dlib-bin", {"fer3d.data.preparation"}),
        ("opencv-python", {"fer3d.data.preparation", "fer3d.standins.releases.writer"}),
        ("numpy", {"fer3d.training.train", "fer3d.data.preparation", "fer3d.standins.releases.writer"}),
        ("matplotlib", set()),
    ],
)
def test_it_changes_with_the_release_of_a_library_that_computes(
    package: str, changed: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests()
    monkeypatch.syspath_prepend(tmp_path)
    release(tmp_path, package, "99.9")
    assert {name for name, digest in digests().items() if digest != before[name]} == changed


def test_what_a_library_was_built_for_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for version in ("99.9+cpu", "99.9+cu130"):
        release(tmp_path / version, "torch", version)
        monkeypatch.syspath_prepend(tmp_path / version)
        found.append(digests())
    assert found[0] == found[1]


def test_a_notebook_counts_with_its_cells_and_imports_but_not_with_its_outputs(checkout: Path) -> None:
    path = checkout / "lesson.ipynb"

    def digest(output: str, *sources: str) -> str:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        cells[0].outputs = [nbformat.v4.new_output("stream", text=output)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        forget()
        return program.digest(path)

    first = digest("1", "%matplotlib inline\nfrom fer3d.model import network")
    assert digest("2", "%matplotlib inline\nfrom fer3d.model import network") == first
    assert digest("1", "%matplotlib inline\nfrom fer3d.model import network  # text") != first
    (checkout / "fer3d" / "model" / "network.py").write_text("CHANGED = True\n")
    assert digest("1", "%matplotlib inline\nfrom fer3d.model import network") != first
