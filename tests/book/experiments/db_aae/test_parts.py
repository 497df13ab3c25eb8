"""DB-AAE taken apart: each model is what its name says, and is judged by all measures."""

import numpy as np
import pytest

from scgen_book.experiments.db_aae import parts
from scgen_book.experiments.protocol import NotApplicable
from scgen_lib.data import splatter
from scgen_lib.data.checks import drop_empty
from scgen_lib.models.db_aae import DBAAE

SMALL = {"hidden": (16, 12), "latent_dim": 6, "disc_hidden": 8}


def differences(one, other):
    """How many things two parts differ in, beside what is theirs by default."""
    usual = {"learning_rate": 2e-4, "optimizer": "RMSprop"}
    options = set((usual | dict(one.options)).items()) ^ set((usual | dict(other.options)).items())
    return (
        len({name for name, _ in options})
        + (one.epochs != other.epochs)
        + (one.few != other.few)
        + (one.size != other.size)
    )


def test_every_pair_differs_in_one_thing():
    assert set(parts.PAIRS) == {"D1", "D2", "D3", "D4", "D6", "D17", "D18", "D19", "D20"}
    for with_it, without in parts.PAIRS.values():
        assert differences(parts.PARTS[with_it], parts.PARTS[without]) == 1
    assert parts.PAIRS["D3"][1] == parts.PAIRS["D4"][0]


def test_the_models_between_are_those_of_the_library():
    described, faithful = DBAAE(**parts.PARTS[parts.DESCRIBED].options), DBAAE.faithful()
    for name in parts.ADDED:
        assert getattr(described, name) == getattr(faithful, name)
    assert described.disc_output == "logit"
    assert DBAAE(**parts.PARTS[parts.FAITHFUL].options).values() == faithful.values()
    from_means = DBAAE.faithful(start_at_means=True, except_for=["start_at_means"])
    assert DBAAE(**parts.PARTS[parts.FROM_MEANS].options).values() == from_means.values()
    assert parts.PUT_BACK["D1"] == {"disc_output": "relu"}


def test_scores_are_those_of_input_and_truth_and_find_genes_that_stay_at_0():
    cells = drop_empty(splatter.simulate(n_genes=40, batch_cells=(60,), dropout_type="experiment", lib_loc=8, seed=0))
    model = DBAAE(**SMALL, start_at_means=False).fit(cells, epochs=1)
    output = model.net.decoder.layers[-1]
    bias = np.where(np.arange(len(model.genes)) < 10, -100.0, 1.0)  # ten genes that no code can raise above 0
    output.kernel.assign(0 * output.kernel)
    output.bias.assign(bias)
    found, x = parts.scores(model, cells), model.normalised(cells)
    assert found["kept"] == pytest.approx(((np.maximum(bias, 0) - x) ** 2).mean(), rel=1e-5)
    assert found["genes_at_0"] == pytest.approx(10 / len(model.genes))
    assert found["error_at_0"] == pytest.approx((x[:, :10] ** 2).sum() / (found["kept"] * x.size), rel=1e-5)
    assert found["dropped"] > 0
    del cells.layers["true_counts"]
    assert set(parts.scores(model, cells)) == {"kept", "genes_at_0", "error_at_0"}


def test_batch_sizes_of_searches_are_asked_for_only_where_both_are_as_by_default(values):
    searched = {parts.OF_RELEASED, parts.OF_ACCURACY, parts.OF_ERROR}

    def names(**given):
        return {method for _, method, _ in parts.asked(values | given)}

    assert names() == set(parts.PARTS)
    for given in ({"tune": False}, {"variants": ["repaired"]}, {"tune_objective": "d_equilibrium"}):
        assert names(**given) == set(parts.PARTS) - searched


def test_the_parts_have_seeds_of_their_own(values):
    assert {seed for *_, seed in parts.asked(values | {"part_seeds": [4, 5]})} == {4, 5}
    with pytest.raises(NotApplicable, match="parameter part_seeds"):
        parts.asked(values | {"part_seeds": []})
