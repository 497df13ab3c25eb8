"""The trainings of DR-A's chapter: names, settings by length and variant, and what is left of one that ended."""

import pytest

from scgen_book import experiments
from scgen_book.experiments.dr_a import cases, defects, parts, training
from scgen_lib.errors import ParameterError, TrainingError
from scgen_lib.models.dr_a import DRA
from scgen_lib.models.dr_a.net import DRANet
from scgen_lib.models.dr_a.settings import DRASettings

CHANGES = defects.SHORT | parts.PARTS


def different(one, other):
    return {name for name, value in one.values().items() if value != other.values()[name]}


@pytest.mark.parametrize("name", CHANGES)
def test_a_part_is_a_legal_model_that_differs_in_what_it_says(name):
    asked = CHANGES[name]
    changes = asked.keys() - {"name", "except_for"}
    assert different(DRA.variant(**asked), DRA.variant(asked["name"])) <= changes


def test_the_described_game_changes_nothing_else_of_the_release():
    assert different(DRA.variant(**CHANGES["described game"]), DRA.faithful()) == {"adversarial", "dual"}


def test_one_adam_is_that_of_the_likelihood():
    net = DRANet(4, DRASettings.variant(**CHANGES["one Adam"], learning_rate=1e-3, beta_1=0.8))
    net.compile()
    for adam in (net.optimizer, net.encoder_optimizer, net.d1_optimizer, net.d2_optimizer):
        assert (float(adam.learning_rate), adam.beta_1) == (pytest.approx(1e-3), 0.8)
        assert adam.global_clipnorm == DRA().clip_norm


def test_a_method_is_named_by_its_length_and_others_are_refused():
    assert training.split(training.named("repaired, no adversary", 10)) == ("repaired, no adversary", 10)
    methods = experiments.get("dr_a.scores").methods
    assert methods["faithful, K = 7"].variant == "faithful"
    assert methods["faithful, no adversary, K = 7"].variant is None
    for wrong in ("faithful", "faithful, K = 0", "faithful, K = x", "best, K = 2", "faithful, K = 02"):
        assert wrong not in methods
    assert len(list(methods)) == len(methods)
    assert all(name in methods for name in methods)


def test_the_published_settings_of_a_length_stand_where_nothing_is_asked_for(values):
    published = values(n_l=None, g_h_l1=512, g_h_l2=512, g_h_l3=512, g_h_l4=512, d_h_l1=None)
    two, ten = (training.build("faithful", k, 3, published) for k in (2, 10))
    assert (two.hidden, two.disc_hidden, two.learning_rate) == ((512,) * 4, (32,) * 4, 8e-4)
    assert (ten.hidden, ten.disc_hidden, ten.learning_rate, ten.seed) == ((512,), (512,), 7e-4, 3)
    port = training.build("port's settings", 2, 0, values(learning_rate=5e-3))
    assert (port.batchnorm, port.learning_rate) == (True, 1e-4)
    assert training.build("faithful", 2, 0, values(learning_rate=5e-3)).learning_rate == 5e-3


def test_the_guards_are_asked_of_the_faithful_variant_alone(values):
    without = values(guards=False)
    assert not training.build("faithful", 2, 0, without).guards
    assert training.build("repaired", 2, 0, without).guards


def test_what_the_release_has_otherwise_is_of_the_repaired_variant_alone(values):
    alone = values(variants=["repaired"], lam=3.0)
    training.check(alone)
    assert training.build("repaired", 2, 0, alone).lam == 3.0
    assert training.build("faithful", 2, 0, alone).lam == 1.0
    with pytest.raises(ParameterError, match="lam"):
        training.check(values(lam=3.0))


def test_what_is_trained_at_a_length(values):
    assert list(training.variants(2, values(port=True))) == [
        "faithful", "repaired", "faithful, no adversary", "repaired, no adversary", "port's settings",
    ]  # fmt: skip
    assert list(training.variants(2, values(without_adversary=[10]))) == ["faithful", "repaired"]
    only = values(variants=["repaired"], adversarial="none")
    assert list(training.variants(2, only)) == ["repaired"]


def test_a_training_that_ends_says_why_and_leaves_no_model(mine, values, tmp_path, monkeypatch):
    def fit(self, *args, **options):
        raise TrainingError("expected a finite loss, got nan in epoch 47")

    monkeypatch.setattr(DRA, "fit", fit)
    case = cases.prepare(mine, 0, values())
    with experiments.state(tmp_path / ".row"):
        found = training.train(case, "faithful", 2, 0, values(), save=True)
    assert found == {"ended": "expected a finite loss, got nan in epoch 47"}
    assert not (tmp_path / "models").exists()
