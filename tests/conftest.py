import nbformat
import pytest

CHECK = "from scgen_lib import parameters, results\n\nparameters.check_namespace(globals())"


@pytest.fixture(scope="session")
def write_notebook():
    """Write a notebook that follows the contract of the chapters: title, parameters, check, then the given cells."""

    def write(path, *cells, parameters="", text="Does it run?"):
        code = nbformat.v4.new_code_cell
        declared = "\n".join([
            *parameters.splitlines(),
            "seed: int = 0  # in [0, inf): seed of everything random",
            "fast: bool = False  # any: test size",
            'edition: str = "own"  # one of quick, paper, own: edition',
            "out: str | None = None  # any: folder of the records",
        ])  # fmt: skip
        notebook = nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_markdown_cell(f"# A small chapter\n\n{text}"),
                code(declared, metadata={"tags": ["parameters"]}),
                code(CHECK),
                *[cell if isinstance(cell, dict) else code(cell) for cell in cells],
            ],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return write
