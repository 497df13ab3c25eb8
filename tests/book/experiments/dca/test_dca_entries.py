"""Entries are kept in few numbers, and figures of their density see no difference."""

import numpy as np

from scgen_book.experiments.dca import entries
from scgen_lib.metrics import denoising


def test_entries_come_back_in_one_order_to_a_hundredth():
    rng = np.random.default_rng(0)
    truth, dropped = rng.poisson(3, (40, 30)), rng.random((40, 30)) < 0.3
    one, other = (rng.gamma(2, 2, (40, 30)) for _ in range(2))
    kept = [entries.condensed(truth, x, dropped) for x in (one, other)]
    assert len(kept[0]["entries"]) < truth.size == kept[0]["entries"].sum()
    back = [entries.expanded(x) for x in kept]
    for (t, x, d), estimate in zip(back, (one, other), strict=True):
        assert np.array_equal(t, back[0][0])
        assert np.array_equal(d, back[0][2])
        for of in (True, False):
            assert np.array_equal(np.sort(t[d == of]), np.sort(truth[dropped == of]))
            near = np.log10(1 + np.sort(x[d == of])) - np.log10(1 + np.sort(estimate[dropped == of]))
            assert np.abs(near).max() <= 0.00501


def test_probabilities_keep_their_bins_and_their_class():
    rng = np.random.default_rng(0)
    probability, positive = rng.random(5000).astype("float32"), rng.random(5000) < 0.4
    probability[:2] = 0, 1
    score, back = entries.scores(entries.histogram(probability, positive))
    edges = np.linspace(0, 1, 11)
    for of in (True, False):
        assert np.array_equal(
            np.histogram(score[back == of], edges)[0], np.histogram(probability[positive == of], edges)[0]
        )


def test_a_curve_keeps_its_ends_and_its_area():
    rng = np.random.default_rng(0)
    truth = rng.poisson(2, (200, 100))
    observed = np.where(rng.random(truth.shape) < 0.5, 0, truth)
    found = denoising.detection_curve(truth + rng.normal(0, 1, truth.shape), observed, truth)
    precision, recall = entries.curve(found)
    assert len(precision) < len(found["precision"])
    assert (recall[0], recall[-1], precision[-1]) == (1, 0, 1)
    area = [-np.trapezoid(p, r) for p, r in ((precision, recall), (found["precision"], found["recall"]))]
    assert abs(area[0] - area[1]) < 1e-3
    nothing = entries.curve({"precision": np.array([]), "recall": np.array([])})
    assert nothing.shape == (2, 0)
