"""What DR-A's chapter takes apart: words that findings know, and settings that the model takes."""

import pytest

from scgen_lib import results
from scgen_lib.comparisons import dr_a_parts
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
