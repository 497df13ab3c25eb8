import matplotlib as mpl
import pytest

mpl.use("Agg")

from matplotlib import pyplot as plt

from scgen_lib.data import splatter


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def cells():
    return splatter.preset("splat_g6", batch_cells=(120,), seed=1)


@pytest.fixture(scope="session")
def drawn():
    """Render a figure, so that one that cannot be drawn fails, and return the texts of its legends."""

    def render(fig):
        fig.canvas.draw()
        legends = [*fig.legends, *(ax.get_legend() for ax in fig.axes if ax.get_legend())]
        return [text.get_text() for legend in legends for text in legend.get_texts()]

    return render
