"""What each lesson has beside its code; and the slides."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from fer3d import paths
from fer3d.workbook import notebook_page, slides

LESSONS = sorted(paths.NOTEBOOKS.glob("0*.ipynb"))
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def words(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


@each_lesson
def test_a_lesson_says_what_is_learned_and_where_it_stands(path: Path) -> None:
    first = words(path)[0]
    assert 3 <= len(re.findall(r"^\d\. ", first, re.MULTILINE)) <= 5, "learning goals"
    line = next(line for line in first.splitlines() if line.startswith("**Where we are.**"))
    others = [other.name for other in sorted(paths.NOTEBOOKS.glob("0*.ipynb")) if other != path]
    assert all(f"({other})" in line for other in others) and f"**{path.stem[:2]} " in line
    assert "../docs/glossary.md" in line and "Section" in line


@each_lesson
def test_a_lesson_has_formulas_and_questions_whose_answers_are_hidden(path: Path) -> None:
    text = "\n".join(words(path))
    assert len(re.findall(r"^\$\$", text, re.MULTILINE)) >= 2
    questions = len(re.findall(r"\*\*Question(?: \d)?\.\*\*", text))
    assert questions >= 3 and questions == text.count("<details><summary>Answer</summary>") == text.count("</details>")


@each_lesson
def test_links_of_a_lesson_lead_somewhere(path: Path) -> None:
    for source in words(path):
        for target in re.findall(r"\]\(([^)#]+)\)", source):
            if not target.startswith(("http", "#")):
                assert (path.parent / unquote(target)).exists(), target


@each_lesson
def test_each_section_begins_a_cell_and_a_slide(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        assert cell.cell_type == "code" or "\n## " not in cell.source
        if re.match(r"## \d", cell.source) and cell.cell_type == "markdown":
            assert kind == "slide"
        if "parameters" in cell.metadata.get("tags", ()):
            assert kind == "skip"


def test_slides_load_nothing_from_the_network(tmp_path: Path, write_notebook: Callable[..., Path]) -> None:
    notebook = write_notebook("lesson.ipynb", "print(1)")
    content = nbformat.read(notebook, as_version=4)
    for title in ("one\n$x^2$", "two"):
        cell = nbformat.v4.new_markdown_cell(f"## {title}", metadata={"slideshow": {"slide_type": "slide"}})
        content.cells.append(cell)
    nbformat.write(content, notebook)
    (page,) = slides.write_slides([notebook], tmp_path / "slides")
    html = page.read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?:https?:)?//", html) and "<math" in html
    local = re.findall(r"(?:src|href)=\"(reveal/[^\"]+)\"", html)
    assert len(local) >= 4 and all((page.parent / file).is_file() for file in local)
    assert len(re.findall(r"<section>\s*<section>", html)) == 3, "what is before the first slide, and two"


@each_lesson
def test_every_formula_can_be_drawn_without_a_script(path: Path) -> None:
    content = notebook_page.with_mathml(nbformat.read(path, as_version=4))
    text = "\n".join(cell.source for cell in content.cells if cell.cell_type == "markdown")
    assert text.count("<math") >= 2 and "$" not in text and not re.search(r"<mi>\\[a-z]+</mi>", text)
