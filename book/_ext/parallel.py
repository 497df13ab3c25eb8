"""Reads and writes the pages on all cores; Jupyter Book asks Sphinx for one alone."""

from sphinx.application import Sphinx

from scgen_lib import environment

#: What comes with Jupyter Book and does not say it of itself: one numbers when all has been read, one is for LaTeX.
SAFE = ("sphinx_multitoc_numbering", "sphinx_jupyterbook_latex")


def allow(app: Sphinx) -> None:
    """Say that these extensions may read in several processes."""
    for name in SAFE:
        app.extensions[name].parallel_read_safe = True


def setup(app: Sphinx) -> dict:
    """Run before the first page is read."""
    app.parallel = environment.cores()
    app.connect("builder-inited", allow)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
