"""Times by number of cells as rows: which are asked for, and what they measure."""

import pytest

from scgen_book import experiments
from scgen_book.experiments.dca import scaling
from scgen_book.experiments.protocol import NotApplicable


@pytest.fixture
def values():
    return experiments.complete("dca", {"dataset": "pbmc68k_reduced", "hidden_size": [4, 2, 4], "batch_size": 512})


def test_sizes_up_to_the_one_asked_for_are_timed_at_the_seed_of_the_chapter(values):
    tasks = scaling.asked(values | {"scaling_cells": 5_000, "seed": 3})
    assert tasks == [("dca_g2_fig2", name, 3) for name in ("1,000 cells", "2,000 cells", "5,000 cells")]
    assert [scaling.SIZES[method] for _, method, _ in tasks] == [1_000, 2_000, 5_000]
    with pytest.raises(NotApplicable, match="parameter scaling_cells"):
        scaling.asked(values | {"scaling_cells": None})


def test_a_row_times_an_epoch_and_denoising_and_claims_no_number_that_repeats(values):
    settings = experiments.settings_of(scaling.EXPERIMENT, values)
    row = experiments.row("dca.scaling", "dca_g2_fig2", "1,000 cells", 0, settings)
    assert row["status"] == "ok", row["reason"]
    assert set(row["scores"]) == set(scaling.EXPERIMENT.times)
    assert all(0 < seconds < row["duration_s"] for seconds in row["scores"].values())


def test_cells_are_simulated_anew_for_each_size():
    case = scaling.prepare("dca_g2_fig2", 0, {})
    assert [case(batch_cells=(n,)).shape for n in (20, 30)] == [(20, scaling.GENES), (30, scaling.GENES)]
