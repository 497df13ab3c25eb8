import pytest
import tensorflow as tf

from scgen_book import experiments, parameters, provenance


@pytest.fixture(scope="session")
def values():
    """The parameters of the chapter at test size, on few cells."""
    shown = parameters.from_notebook(provenance.ROOT / "notebooks" / "db_aae.ipynb")
    given = {name: parameter.default for name, parameter in shown.items()} | {"fast": True}
    return experiments.complete("db_aae", given)


@pytest.fixture(scope="package", autouse=True)
def _as_before():
    """Rows at test size run functions eagerly; the tests after them do not."""
    yield
    tf.config.run_functions_eagerly(False)
