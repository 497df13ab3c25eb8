import numpy as np
import pytest
import scipy.sparse as sp

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import controls, realism
from scgen_lib.metrics.controls import Cells


def test_permutation_keeps_every_gene_and_no_correlation(train):
    counts, labels = train
    for kind in (np.asarray, sp.csr_matrix):
        permuted = controls.permute(kind(counts), labels, seed=3)
        assert sp.issparse(permuted) == (kind is sp.csr_matrix)
        permuted = permuted.toarray() if sp.issparse(permuted) else permuted
        for label in "ab":
            assert (np.sort(permuted[labels == label], axis=0) == np.sort(counts[labels == label], axis=0)).all()
        assert (permuted != counts).any()
        within = realism.correlations(permuted[labels == "a"], range(40))[np.triu_indices(40, 1)]
        assert abs(within.mean()) < 0.02  # 780 pairs of 300 cells, sd of one 0.06


def test_poisson_and_negative_binomial_keep_the_moments_they_model(train):
    counts, labels = train
    wanted = np.repeat(["b", "a"], 4000)
    real = counts[labels == "a"]
    drawn = {
        name: controls.parametric(train, wanted, distribution=name, seed=1).toarray()[4000:]
        for name in ("nb", "poisson")
    }
    for name, cells in drawn.items():
        ratio = cells.mean(axis=0).sum() / real.mean(axis=0).sum()
        assert ratio == pytest.approx(1, abs=0.03), name  # depths vary by a third, so by 0.005 in the mean of 4,000
        assert np.corrcoef(cells.mean(axis=0), real.mean(axis=0))[0, 1] > 0.99
    variance = {name: np.median(cells.var(axis=0) / real.var(axis=0)) for name, cells in drawn.items()}
    assert variance["nb"] == pytest.approx(1, abs=0.2)
    assert variance["poisson"] < 0.8 * variance["nb"]
    depths = controls.parametric(train, ["a"] * 500, distribution="poisson", depth="median").sum(axis=1)
    assert np.std(depths) < 0.5 * np.std(real.sum(axis=1))


def test_dispersion_of_a_negative_binomial_is_found():
    rng = np.random.default_rng(0)
    mean, inverse = np.tile([1.0, 5.0, 20.0], 50), np.repeat([0.1, 0.5], 75)
    counts = rng.poisson(rng.gamma(1 / inverse, mean * inverse, (4000, 150)))
    drawn = controls.parametric(Cells(counts), depth="median", seed=1).toarray()
    np.testing.assert_allclose(drawn.mean(axis=0), mean, rtol=0.1)
    found = (drawn.var(axis=0) - drawn.mean(axis=0)) / drawn.mean(axis=0) ** 2
    for expected in (0.1, 0.5):
        # shares of a cell are smoothed by its own library size, which takes a little of the spread
        assert np.median(found[inverse == expected]) == pytest.approx(expected, rel=0.15)


def test_simulators_refuse_labels_they_have_not_seen(train):
    with pytest.raises(DataError, match="got 'z'"):
        controls.parametric(train, ["a", "z"])
    with pytest.raises(DataError, match="fewer than the 500 training cells"):
        controls.controls(train, 500)
    with pytest.raises(ParameterError, match="distribution"):
        controls.parametric(train, distribution="zip")


def test_controls_leave_out_the_real_sample(train):
    cells, fixed = controls.controls(train, 120, seed=4)
    assert list(cells) == ["real", "bootstrap", "permuted", "poisson"]
    assert all(part.counts.shape == (120, 120) and len(part.labels) == 120 for part in cells.values())
    assert len(fixed) == 380
    held = {row.tobytes() for row in cells["real"].counts}
    assert not held & {row.tobytes() for row in train.counts[fixed]}
    again, _ = controls.controls(train, 120, seed=4)
    for name in cells:
        assert abs(again[name].counts - cells[name].counts).sum() == 0


def test_generated_values_become_counts_of_training_depths():
    values = np.array([[1.0, 3.0, 0.0], [2.0, 2.0, 4.0], [0.0, 0.0, 0.0]])
    counts = controls.as_counts(values, [80])
    assert counts.tolist() == [[20, 60, 0], [20, 20, 40], [0, 0, 0]]
    assert (controls.as_counts(sp.csr_matrix(values), [80]).toarray() == counts).all()
    depths = controls.as_counts(np.ones((500, 4)), [40, 4000]).sum(axis=1)
    assert set(depths) == {40, 4000}
    with pytest.raises(DataError, match="negative"):
        controls.as_counts(-values, [80])
