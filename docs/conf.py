"""The documentation as an offline site: ``make docs`` runs Sphinx over README.md, docs/ and the executed notebooks.

Sphinx with MyST-NB, the parts that Jupyter Book 1 is made of: pages keep the links that GitHub follows, a broken link
fails the build, search works from a disk without a server, and formulas are drawn by a copy of MathJax in the site.
"""

import os

project = "fer3d"
copyright = "the fer3d authors"
extensions = ["myst_nb", "sphinx-mathjax-offline"]
root_doc = "README"
include_patterns = ["README.md", "docs/*.md", "data/README.md", "fer3d/weights/*/README.md", "notebooks/0*.ipynb"]
include_patterns += ["notebooks/solutions/0*.ipynb"]

nb_execution_mode = "off"  # the pages show what is committed
nb_ipywidgets_js: dict[str, object] = {}  # explorers are pictures here; no script from the network
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = "fer3d"
html_theme_options = {"show_toc_level": 2, "navbar_persistent": []}
html_copy_source = False

CHAPTERS = {
    "Notebooks": ["notebooks/0*"],
    "Teaching": ["docs/teaching", "docs/glossary", "notebooks/solutions/0*"],
    "Guide": ["docs/own-data", "data/README", "docs/training", "docs/clusters", "docs/api"],
    "Reference": [
        "docs/results",
        "docs/paper-to-code",
        "docs/departures",
        "docs/performance",
        "fer3d/weights/synthetic/README",
    ],
}


def add_contents(app: object, docname: str, source: list[str]) -> None:
    """Add the navigation of the site, and the address of this copy on GitHub, to the front page."""
    if docname == root_doc:
        for caption, pages in CHAPTERS.items():
            lines = [f"```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n", *(f"/{page}" for page in pages), "```"]
            source[0] += "\n" + "\n".join(lines) + "\n"
        source[0] = source[0].replace("OWNER/REPOSITORY", os.environ.get("GITHUB_REPOSITORY", "OWNER/REPOSITORY"))


def setup(app: object) -> None:
    app.connect("source-read", add_contents)  # type: ignore[attr-defined]
