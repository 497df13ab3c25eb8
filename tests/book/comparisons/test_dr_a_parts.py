"""What DR-A's chapter takes apart: names that its deviations know, and settings that the model takes."""

import pytest

from scgen_book import claims
from scgen_book.comparisons import dr_a_parts
from scgen_lib.models.dr_a import DRA
from scgen_lib.models.dr_a.net import DRANet
from scgen_lib.models.dr_a.settings import DRASettings

EXPERIMENTS = dr_a_parts.SHORT | dr_a_parts.LONG


def different(one, other):
    return {name for name, value in one.values().items() if value != other.values()[name]}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_a_legal_model_that_differs_in_what_it_says(name):
    asked = EXPERIMENTS[name]
    changes = asked.keys() - {"name", "except_for"}
    assert different(DRA.variant(**asked), DRA.variant(asked["name"])) <= changes


def test_the_described_game_changes_nothing_else_of_the_release():
    game = DRA.variant(**EXPERIMENTS["described game"])
    assert different(game, DRA.faithful()) == {"adversarial", "dual"}


def test_one_adam_is_that_of_the_likelihood():
    net = DRANet(4, DRASettings.variant(**EXPERIMENTS["one Adam"], learning_rate=1e-3, beta_1=0.8))
    net.compile()
    for adam in (net.optimizer, net.encoder_optimizer, net.d1_optimizer, net.d2_optimizer):
        assert (float(adam.learning_rate), adam.beta_1) == (pytest.approx(1e-3), 0.8)
        assert adam.global_clipnorm == DRA().clip_norm


def test_what_is_measured_is_a_deviation_and_its_quantity_names_data_and_length():
    assert set(dr_a_parts.QUANTITIES) < set(claims.deviations("dr_a"))
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
