"""An executed notebook as a page of the report: its cells, a table of contents, and links to the pages beside it.

nbconvert turns the cells into HTML. What it leaves out is added here: alternative texts of the figures, tables that
scroll on a narrow screen, links between the pages. What belongs to the machine that executed the notebook is taken
out: its folders, and all that was written to stderr, such as warnings and progress. A page loads nothing.
"""

import re
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import jinja2
import nbformat
from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode
from tqdm import tqdm

from fer3d import files, paths
from fer3d.workbook import refresh
from fer3d.workbook.notebook import read
from fer3d.workers import map_processes

_CELLS = """
{%- extends "classic/base.html.j2" -%}
{%- macro picture(output, kind, encoded) -%}
<img src="data:{{ kind }};base64,{{ encoded }}" alt="{{ output.metadata.get(kind, {}).get('alt', '') | e }}">
{%- endmacro -%}
{%- block data_png -%}
<div class="output_png">{{ picture(output, "image/png", output.data["image/png"] | replace("\n", "")) }}</div>
{%- endblock -%}
{%- block data_svg -%}
<div class="output_png">{{ picture(output, "image/svg+xml", output.data["image/svg+xml"] | text_base64) }}</div>
{%- endblock -%}
"""
"""nbconvert's cells without its style sheets and scripts; pictures with the alternative text of their metadata."""


@dataclass(frozen=True)
class Page:
    """An executed notebook and its page."""

    notebook: Path
    title: str
    path: Path
    """Of the page, relative to the run's folder."""
    about: str
    """The training or the database that it belongs to; empty for the others."""


@dataclass(frozen=True)
class Heading:
    """An entry of a page's contents."""

    text: str
    anchor: str
    inner: bool
    """Whether it is a section of a section."""


def plan(notebook: Path, run: Path) -> Page:
    """The title and the place of a notebook's page."""
    content = read(notebook)
    folder = notebook.parent.relative_to(run)
    about = "" if folder == Path("notebooks") else ", ".join(folder.parts)
    name = "-".join([*folder.parts, notebook.stem]).removeprefix("notebooks-") + ".html"
    headings = [line[2:].strip() for cell in content.cells for line in cell.source.splitlines() if line[:2] == "# "]
    return Page(notebook, headings[0] if headings else notebook.stem, Path("pages") / name, about)


def environment() -> jinja2.Environment:
    """The templates of the report and of its pages."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def write(pages: Sequence[Page], run: Path) -> None:
    """Write the pages of a run, each with links to the one before and the one after it, by a process per processor."""
    written = map_processes(partial(_write, pages, run), range(len(pages)), None)
    for _ in tqdm(written, "pages", len(pages), unit="page", disable=None):
        pass


def _write(pages: Sequence[Page], run: Path, n: int) -> None:
    """Write the page of that number."""
    page, template = pages[n], environment().get_template("notebook_page.html")
    content = refresh.strip_widgets(nbformat.read(page.notebook, as_version=4))
    content = with_notes_on_skipped_cells(content, page.notebook.name)
    body = _body(with_mathml(without_machine(content, run)), page, pages)
    html = template.render(
        run=run,
        page=page,
        before=pages[n - 1] if n else None,
        after=pages[n + 1] if n + 1 < len(pages) else None,
        contents=_contents(body),
        body=str(body),
    )
    files.write_text(run / page.path, html)


_FORMULA = re.compile(r"\$\$(?P<block>[^$]+)\$\$|\$(?P<inline>[^$\n]+)\$")


def _mathml(formula: re.Match[str]) -> str:
    """A LaTeX formula as MathML, which a browser draws without a script."""
    from latex2mathml.converter import convert

    return convert((formula["block"] or formula["inline"]).strip(), display="block" if formula["block"] else "inline")


def with_mathml(content: NotebookNode) -> NotebookNode:
    """A notebook whose formulas are MathML, changed in place."""
    for cell in content.cells:
        if cell.cell_type == "markdown":
            cell.source = _FORMULA.sub(_mathml, cell.source)
    return content


def with_notes_on_skipped_cells(content: NotebookNode, name: str) -> NotebookNode:
    """An executed notebook that says below each cell it skipped where that is executed, changed in place."""
    for cell in content.cells:
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None and not cell.outputs:
            text = f"Not executed in this run; notebooks/{name} shows the executed cell."
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    return content


_PERSONAL = re.compile(
    r"(?<![\w/.+~])/(?:home|root|Users|tmp|private|var|scratch)/(?:[^\s'\"<>:,;()\\]+/)?(?=[^\s'\"<>:,;()\\/]+)"
)
"""The folders in front of a file's name, where they belong to a user or a machine."""


def without_machine(content: NotebookNode, run: Path) -> NotebookNode:
    """A notebook without what was written to stderr and without absolute paths of the machine, changed in place."""
    known = {run.resolve(): f"reports/runs/{run.name}", paths.reports(): "reports", paths.data(): "data"}
    known |= {paths.ROOT: ".", Path.home(): "~", Path(tempfile.gettempdir()): "…"}
    for parameter in content.metadata.get("papermill", {}).get("parameters", {}).values():
        if isinstance(parameter, str) and Path(parameter).is_absolute():
            known[Path(parameter)] = f"reports/runs/{run.name}" if Path(parameter).name == run.name else "…"
    ordered = sorted(
        ((str(path), name) for path, name in known.items() if len(path.parts) > 1), key=lambda p: -len(p[0])
    )

    def cleaned(text: str) -> str:
        for path, name in ordered:
            text = re.sub(re.escape(path) + r"(?![\w.-])", name, text)
        return _PERSONAL.sub("…/", text)

    for cell in content.cells:
        cell.source = cleaned(cell.source)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "text" in output:
                    output.text = cleaned(output.text)
                for kind, value in output.get("data", {}).items():
                    if kind.startswith("text/"):
                        output.data[kind] = cleaned(value)
    return content


def _body(content: NotebookNode, page: Page, pages: Sequence[Page]) -> BeautifulSoup:
    """The cells of a notebook as clean HTML."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(raw_template=_CELLS, exclude_input_prompt=True, exclude_output_prompt=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of figures without alternative text
        html, _ = exporter.from_notebook_node(content)
    body = BeautifulSoup(html, "html.parser")
    for tag in body.select("style, script, a.anchor-link"):
        tag.decompose()
    for tag in body.select("[id]:not(h1, h2, h3, h4, h5, h6)"):
        del tag["id"]
    _name_headings(body)
    _describe_pictures(body)
    _let_wide_scroll(body)
    _link_pages(body, page, pages)
    return body


def _name_headings(body: BeautifulSoup) -> None:
    """Give each heading an anchor of its own."""
    taken: set[str] = set()
    for heading in body.select("h1, h2, h3, h4, h5, h6"):
        words = "-".join(re.findall(r"\w+", heading.get_text().lower())) or "section"
        anchor, n = words, 1
        while anchor in taken:
            n += 1
            anchor = f"{words}-{n}"
        taken.add(anchor)
        heading["id"] = anchor


def _contents(body: BeautifulSoup) -> list[Heading]:
    return [Heading(h.get_text(" ", strip=True), str(h["id"]), h.name == "h3") for h in body.select("h2, h3")]


def _describe_pictures(body: BeautifulSoup) -> None:
    """Name the section of a picture that brings no alternative text."""
    for picture in body.select("img"):
        if not picture.get("alt"):
            heading = picture.find_previous(["h1", "h2", "h3"])
            picture["alt"] = f"Figure of the section “{heading.get_text(' ', strip=True)}”" if heading else "Figure"


def _let_wide_scroll(body: BeautifulSoup) -> None:
    """Put what may be wide into a region that scrolls and that the keyboard reaches."""
    for table in body.select("table"):
        for tag in [table, *table.select("*")]:
            for name in ("border", "style", "class"):
                del tag[name]
        for head in table.select("thead"):
            if not head.get_text(strip=True):
                head.decompose()
        for cell in table.select("th"):
            if cell.get_text(strip=True):
                cell["scope"] = "col" if cell.find_parent("thead") else "row"
            else:
                cell.name = "td"
    printed = [
        tag for tag in body.select(".output_text pre") if max(map(len, tag.get_text().splitlines()), default=0) > 40
    ]
    wide = [*body.select("table"), *printed, *body.select(".output_png > img"), *body.select("math[display=block]")]
    for n, tag in enumerate(wide, 1):
        kind, wrapper = {
            "table": ("Table", "div"),
            "pre": ("Printed lines", "div"),
            "img": ("Figure", "div"),
            "math": ("Formula", "span"),  # it stands in a paragraph
        }[tag.name]
        region = {"class": "wide", "tabindex": "0", "role": "group", "aria-label": f"{kind} {n}, may scroll sideways"}
        tag.wrap(body.new_tag(wrapper, attrs=region))


def _link_pages(body: BeautifulSoup, page: Page, pages: Sequence[Page]) -> None:
    """Let links between notebooks lead to their pages; links to anything else in the checkout become plain text."""
    of_stem: dict[str, Page] = {}
    for other in sorted(pages, key=lambda other: (other.notebook.parent != page.notebook.parent, other.path)):
        of_stem.setdefault(other.notebook.stem, other)
    link: Tag
    for link in body.select("a[href]"):
        target, _, _ = str(link["href"]).partition("#")
        if not target or re.match(r"[a-z]+:", target):
            continue
        found = of_stem.get(Path(target).stem) if Path(target).parent == Path() else None
        if found:
            link["href"] = quote(found.path.name)
        else:
            link.unwrap()
