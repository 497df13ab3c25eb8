import pytest

from scgen_book import experiments, parameters, provenance


@pytest.fixture(scope="session")
def values():
    """The parameters of the chapter at test size, on few cells."""
    shown = parameters.from_notebook(provenance.ROOT / "notebooks" / "db_aae.ipynb")
    given = {name: parameter.default for name, parameter in shown.items()} | {"fast": True}
    return experiments.complete("db_aae", given)
