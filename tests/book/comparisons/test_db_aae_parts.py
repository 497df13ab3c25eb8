"""DB-AAE taken apart: each model is what its name says, is judged by all measures, and the words follow from them."""

import numpy as np
import pandas as pd
import pytest

from scgen_book.comparisons import db_aae_parts as parts_of
from scgen_book.comparisons.protocol import Metric
from scgen_lib.data import splatter
from scgen_lib.data.checks import drop_empty
from scgen_lib.models.db_aae import DBAAE

SMALL = {"hidden": (16, 12), "latent_dim": 6, "disc_hidden": 8}


def long(**by_method):
    """A table of method={metric: values by seed}."""
    rows = [
        {"method": m.replace("_", " "), "seed": s, "metric": k, "value": v}
        for m, scores in by_method.items()
        for k, each in scores.items()
        for s, v in enumerate(each)
    ]
    return pd.DataFrame(rows)


def test_every_pair_is_of_models_that_are_trained_and_differs_in_one_thing():
    made, pairs = parts_of.models(4, 80, 20, 200, [16, 128, 24])
    assert set(pairs) == {"D1", "D2", "D3", "D4", "D6", "D17", "D18", "D19", "D20"}
    for with_it, without in pairs.values():
        (a, fit_a), (b, fit_b) = made[with_it], made[without]
        a, b = ({"learning_rate": 2e-4, "optimizer": "RMSprop"} | options for options in (a, b))
        assert len(set(a.items()) ^ set(b.items())) + len(set(fit_a.items()) ^ set(fit_b.items())) in (1, 2)
    assert made[pairs["D3"][0]][1] == {"batch_size": 16}
    assert pairs["D3"][1] == pairs["D4"][0] == "repaired, B = 128"
    assert not {"D3", "D4"} & set(parts_of.models(4, 80, 20, 200)[1])


def test_what_the_description_asks_for_alone_differs_from_the_faithful_model_in_the_discriminator_alone():
    options, how = parts_of.models(4, 80, 20, 200)[0][parts_of.DESCRIBED]
    assert how == {}
    described, faithful = DBAAE(**options), DBAAE.faithful()
    for name in ("latent_mode", "start_at_means", "shuffle", "epochs_of_few"):
        assert getattr(described, name) == getattr(faithful, name)
    assert described.disc_output == "logit"


def test_the_faithful_model_among_the_parts_is_that_of_the_library():
    made = parts_of.models(4, 80, 20, 200)[0]
    assert DBAAE(**made[parts_of.FAITHFUL][0]).values() == DBAAE.faithful().values()
    from_means = DBAAE.faithful(start_at_means=True, except_for=["start_at_means"])
    assert DBAAE(**made[parts_of.FROM_MEANS][0]).values() == from_means.values()
    assert parts_of.PUT_BACK["D1"] == {"disc_output": "relu"}


def test_scores_are_those_of_input_and_truth_and_find_genes_that_stay_at_0():
    cells = drop_empty(splatter.simulate(n_genes=40, batch_cells=(60,), dropout_type="experiment", lib_loc=8, seed=0))
    model = DBAAE(**SMALL, start_at_means=False).fit(cells, epochs=1)
    output = model.net.decoder.layers[-1]
    bias = np.where(np.arange(len(model.genes)) < 10, -100.0, 1.0)  # ten genes that no code can raise above 0
    output.kernel.assign(0 * output.kernel)
    output.bias.assign(bias)
    found, x = parts_of.scores(model, cells), model.normalised(cells)
    assert found["kept"] == pytest.approx(((np.maximum(bias, 0) - x) ** 2).mean(), rel=1e-5)
    assert found["genes at 0"] == pytest.approx(10 / len(model.genes))
    assert found["error in genes at 0"] == pytest.approx((x[:, :10] ** 2).sum() / (found["kept"] * x.size), rel=1e-5)
    assert found["dropped"] > 0
    del cells.layers["true_counts"]
    assert set(parts_of.scores(model, cells)) == {"kept", "genes at 0", "error in genes at 0"}


def test_harm_is_told_by_every_measure_and_disagreement_is_said():
    values = long(
        repaired={"kept": [1.0, 2.0], "dropped": [3.0, 3.0]},
        D1={"kept": [1.1, 2.1], "dropped": [2.0, 2.0]},
        D2={"kept": [1.0, 2.0], "dropped": [3.0, 3.0]},
        D6={"kept": [0.9, 1.9], "dropped": [2.9, 2.9]},
        D19={"kept": [1.5, 2.5], "dropped": [3.1, 3.1]},
    )
    pairs = {key: (key, "repaired") for key in parts_of.PUT_BACK}
    assert parts_of.differ(values, pairs["D19"]) == {"kept": [0.5, 0.5], "dropped": pytest.approx([0.1, 0.1])}
    assert parts_of.harm(values, pairs) == (
        "error of the reconstruction: +0.5000 by D19; error at the dropped entries: +0.1000 by D19. "
        "**The measures disagree** on whether there is harm in D1."
    )
    better = values.assign(value=values["value"].where(values["method"] == "repaired", 0.0))
    assert parts_of.harm(better, pairs).startswith("error of the reconstruction: rises by none;")


def test_searches_that_choose_the_same_batch_size_make_no_difference():
    made, pairs = parts_of.models(4, 80, 20, 200, [16, 16, 24])
    values = long(**{pairs["D3"][0]: {"kept": [1.0, 2.0]}, pairs["D4"][1]: {"kept": [0.5, 1.0]}})
    assert parts_of.differ(values, pairs["D3"]) == {"kept": [0.0, 0.0]}
    assert parts_of.standing(values, *pairs["D3"]) == "both are the same here (repaired, B = 16)"
    assert parts_of.differ(values, pairs["D4"]) == {"kept": [0.5, 1.0]}
    assert len(made) == len(parts_of.models(4, 80, 20, 200)[0]) + 2


def test_genes_at_0_are_told_with_their_share_of_the_error():
    told = parts_of.idle(long(faithful={"genes at 0": [0.1, 0.3], "error in genes at 0": [0.8, 0.9]}), "faithful")
    assert told == "faithful: 20% of the genes at 0 in every cell, with 85% of the error of the reconstruction"


def test_a_method_stands_beside_all_others_by_each_metric_that_the_table_has():
    table = pd.DataFrame({"method": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "error": [1.0, 2.0, 2.0, 3.0],
                          "score": [0.1, 0.2, 0.2, 0.3], "empty": [np.nan] * 4})  # fmt: skip
    by = {"error": Metric("error", "lower"), "score": Metric("score", "higher"), "empty": Metric("empty", "lower"),
          "not there": Metric("not there", "lower")}  # fmt: skip
    assert parts_of.stands(table, "a", by, ".1f") == (
        "a: error 1.5; score 0.2. Differences on the same seeds: error: −1.0 against b; score: −0.1 against b. "
        "In the mean **the measures disagree** on b."
    )
