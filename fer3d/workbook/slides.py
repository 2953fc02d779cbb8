"""The committed notebooks as slides: ``make slides`` writes them to ``build/slides``, for a browser without a network.

A cell's ``slideshow`` metadata says where a slide begins. reveal.js comes from the package ``sphinx-revealjs``.
"""

import importlib.util
import shutil
import sys
import warnings
from pathlib import Path

import nbformat

from fer3d import files, paths
from fer3d.errors import InputError
from fer3d.workbook import notebook_page

_PAGE = """
{%- extends "reveal/index.html.j2" -%}
{%- block html_head_js %}{% endblock -%}
{%- block html_head_js_mathjax %}<style>.reveal details { font-size: 0.9em }</style>{% endblock -%}
{%- block footer_js %}
<script src="reveal/dist/reveal.js"></script>
<script src="reveal/plugin/notes/notes.js"></script>
<script>
Reveal.initialize({slideNumber: "c/t", history: true, plugins: [RevealNotes], width: 1100, height: 800});
</script>
{% endblock -%}
"""
"""nbconvert's slides without the scripts that they load from the network."""


def write_slides(notebooks: list[Path], out: Path) -> list[Path]:
    """Write each notebook as ``<name>.html`` into a folder, beside one copy of reveal.js; returns the pages.

    Raises:
        InputError: the package that brings reveal.js is not installed.
    """
    from nbconvert import SlidesExporter

    found = importlib.util.find_spec("sphinx_revealjs")
    if found is None or found.origin is None:
        raise InputError("reveal.js is not installed", "pip install 'fer3d[docs]'")
    reveal = Path(found.origin).parent / "_static" / "revealjs"
    for part in ("dist", "plugin/notes", "LICENSE"):
        source, target = reveal / part, out / "reveal" / part
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    pages = []
    for path in notebooks:
        content = notebook_page.with_mathml(nbformat.read(path, as_version=4))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of figures without alternative text
            exporter = SlidesExporter(raw_template=_PAGE, reveal_url_prefix="reveal", reveal_theme="white")
            html, _ = exporter.from_notebook_node(content, {"metadata": {"name": path.stem}})
        pages.append(out / f"{path.stem}.html")
        files.write_text(pages[-1], html)
    return pages


def main() -> None:
    """Write the slides of all notebooks into the folder that the command names."""
    for page in write_slides(sorted(paths.NOTEBOOKS.glob("0*.ipynb")), Path(sys.argv[1])):
        print(page)


if __name__ == "__main__":
    main()
