"""Where the notebook of a chapter lies."""

from pathlib import Path

from scgen_book import provenance
from scgen_book.experiments import CHAPTERS
from scgen_lib.errors import ParameterError
from scgen_lib.files import expanded

# beside this module in the wheel (see setup.py)
_PACKED = Path(__file__).with_name("_notebooks")


def path(chapter: str) -> Path:
    """Return the notebook of a chapter: that of the checkout, else that of the installed package.

    Raises
    ------
    ParameterError
        If there is no such chapter.
    """
    if chapter not in CHAPTERS:
        raise ParameterError(f"expected a chapter ({', '.join(CHAPTERS)}), got {chapter!r}: use one of them")
    folder = _PACKED if _PACKED.is_dir() else provenance.ROOT / "notebooks"
    return folder / f"{chapter}.ipynb"


def find(name: str) -> Path:
    """Return a notebook by its path or by the name of its chapter; a file of that name comes first.

    Raises
    ------
    ParameterError
        If it is neither a file nor a chapter.
    """
    file = expanded(name)
    if file.is_file():
        return file
    if name in CHAPTERS:
        return path(name)
    raise ParameterError(
        f"expected a Jupyter notebook or the name of a chapter ({', '.join(CHAPTERS)}), got {name!r}, which is "
        "neither: give the path of an .ipynb file or one of the names"
    )
