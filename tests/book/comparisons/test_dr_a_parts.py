"""What DR-A's chapter takes apart: words that findings know, and settings that the model takes."""

import pytest

from scgen_book import results
from scgen_book.comparisons import dr_a_parts
from scgen_lib.models.dr_a import DRA

SHORT, LONG = dr_a_parts.experiments(1e-3, 0.8)


def test_every_peculiarity_has_an_owner_a_kind_and_both_ways():
    run = results.Run("dr_a")
    for name, (owner, kind, does, instead) in dr_a_parts.DEFECTS.items():
        run.finding(name, does, instead, "NMI", owner=owner, kind=kind, released=1, otherwise=0)
        assert does != instead
    assert len(run.findings) == len(dr_a_parts.DEFECTS)


@pytest.mark.filterwarnings("ignore:The released code uses lam")
@pytest.mark.parametrize("name", [*SHORT, *LONG])
def test_an_experiment_is_a_legal_model_with_the_guards_it_was_asked_for(name):
    settings = (SHORT | LONG)[name]
    assert DRA(**settings).settings["guards"]
    if settings["variant"] == "faithful":
        bare = dr_a_parts.experiments(1e-3, 0.8, guards=False)
        assert not DRA(**(bare[0] | bare[1])[name]).settings["guards"]


def test_the_described_game_changes_nothing_else_of_the_release():
    faithful, game = DRA(variant="faithful").settings, DRA(**LONG["described game"]).settings
    assert {name for name in faithful if faithful[name] != game[name]} == {"adversarial"}


def test_one_adam_is_that_of_the_likelihood():
    settings = DRA(learning_rate=1e-3, beta1=0.8, **LONG["one Adam"]).settings
    assert (settings["adv_learning_rate"], settings["adv_beta1"]) == (1e-3, 0.8)
    assert settings["clipnorm"] == DRA().settings["clipnorm"]


def test_the_summary_has_a_row_for_each_peculiarity_and_says_what_was_not_measured():
    run = results.Run("dr_a")
    owner, kind, does, instead = dr_a_parts.DEFECTS["R10"]
    run.finding("R10", does, instead, "NMI", owner=owner, kind=kind, released=[0.5, 0.7], otherwise=[0.7, 0.7])
    table = dr_a_parts.summary(run.findings, {"R11": "read as True"}, "not measured").set_index("")
    assert list(table.index) == list(dr_a_parts.DEFECTS)
    measured = table["measured, it and the other way"]
    assert measured["R10"] == "NMI: 0.6 and 0.7 (2 seeds)"
    assert measured["R11"] == "read as True"
    assert measured["R13"] == "not measured"


def test_what_is_measured_is_a_peculiarity_and_its_quantity_names_data_and_length():
    assert set(dr_a_parts.QUANTITIES) < set(dr_a_parts.DEFECTS)
    for quantity, _, _ in dr_a_parts.QUANTITIES.values():
        assert "{" not in quantity.format(data="zeisel_720", k=10, least=2, epochs=200, short=3)


def test_a_training_that_ended_is_a_row_that_says_so():
    history = {"v": [1.0, 0.1], "clipped_v": [0.0, 0.5], "clipped_l_v": [0.0, 0.0], "clipped_l": [0.0, 0.0]}
    without = {0: {"ended": "got loss = nan in epoch 47"}, 3: {"history": history}}
    table = dr_a_parts.fates(
        without, {0: {"history": history}, 3: {"history": history}}, lambda one, seed: f"seed {seed}"
    )
    assert table["without guards"].tolist() == ["got loss = nan in epoch 47", "seed 3"]
    assert table.loc[0, "ln v on its bounds"] == "50.0%"
    assert table.loc[0, "smallest mean v"] == "1.0e-01"
