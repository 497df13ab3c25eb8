"""A parameter file of the released code decides the rows."""

import json

import pytest

from scgen_book import experiments
from scgen_book.experiments.scgan.overridden import overridden
from scgen_lib.errors import ParameterError

VALUES = {
    "parameters_json": None, "dataset": "pbmc68k_reduced", "label_key": None, "clusters": False, "resolution": 0.15,
    "variants": ["repaired"], "test_cells": 0.3, "steps": 7, "batch_size": 9,
}  # fmt: skip


@pytest.fixture
def written(tmp_path):
    def write(**content):
        path = tmp_path / "parameters.json"
        path.write_text(json.dumps({"experiments": {"mine": content}}))
        return VALUES | {"parameters_json": str(path)}

    return write


def test_without_a_file_nothing_is_replaced():
    assert overridden(VALUES) == {}


def test_a_file_that_asks_for_clusters_gets_them_unless_a_column_is_named(written, capsys):
    values = written(input_ds={"clustering": {"res": 0.3}}, model={"type": "cscGAN"})
    found = overridden(values)
    assert (found["clusters"], found["resolution"]) == (True, 0.3)
    assert capsys.readouterr().out == ""
    assert overridden(values | {"label_key": "mine"})["clusters"] is False
    assert "without effect" in capsys.readouterr().out
    assert overridden(values | {"label_key": "mine", "clusters": True})["clusters"] is True


def test_networks_training_and_variant_are_those_of_the_file(written):
    found = overridden(written(
        model={"type": "scGAN", "latent_dim": 5}, training={"max_steps": 40, "batch_size": 16, "summary_freq": 8},
    ))  # fmt: skip
    assert found["variants"] == ["faithful"]
    assert (found["conditional"], found["latent_dim"]) == (False, 5)
    assert (found["steps"], found["batch_size"]) == (40, 16)
    assert (found["cluster_first"], found["round_down"]) == (True, True)
    assert "summary_every" not in found


def test_a_file_without_held_out_cells_leaves_their_number(written):
    assert "test_cells" not in overridden(written(input_ds={"split": {"test_cells": 0}}))
    assert overridden(written(input_ds={"split": {"test_cells": 12}}))["test_cells"] == 12


def test_a_data_set_of_the_users_stays(written):
    values = written(input_ds={"raw_input": "theirs.h5ad"})
    assert overridden(values)["dataset"] == "theirs.h5ad"
    assert "dataset" not in overridden(values | {"dataset": "mine.h5ad"})


def test_the_rows_that_a_sweep_plans_follow_the_file_once(written):
    values = written(input_ds={"raw_input": "theirs.h5ad"}, training={"max_steps": 40})
    values |= {"seeds": [0], "seed": 0, "fast": True, "min_class_size": 3, "summary_every": 10}
    values |= {"critic_input_scale": None, "bn_momentum": None}
    plan = experiments.plan("scgan", values)
    assert {dataset for _, dataset, _, _ in plan} == {"theirs.h5ad"}
    assert ("scgan.realism", "theirs.h5ad", "faithful", 0) in plan
    complete = experiments.complete("scgan", values)
    assert complete["parameters_json"] is None
    assert experiments.complete("scgan", complete) == complete


def test_what_is_no_parameter_file_is_refused(written):
    with pytest.raises(ParameterError, match=r"keys of a parameters\.json"):
        overridden(written(model={"no_such_key": 1}))
