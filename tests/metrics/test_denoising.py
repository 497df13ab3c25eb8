import numpy as np
import pytest
import scipy.sparse as sp

from scgen_lib.data import splatter
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import denoising, molecular

# 3 cells × 4 genes: seven zeros, four of them dropouts
OBSERVED = np.array([[0, 5, 0, 1], [3, 0, 0, 0], [0, 2, 7, 0]])
TRUTH = np.array([[4, 5, 0, 1], [3, 0, 6, 2], [0, 2, 7, 1]])
SCORE = np.array([[0.9, 0.9, 0.8, 0.9], [0.1, 0.2, 0.7, 0.6], [0.1, 0.0, 0.0, 0.3]])


@pytest.fixture(scope="module")
def simulated():
    adata = splatter.preset("dca_student", batch_cells=(60,), n_genes=200, seed=1)
    return adata.X, adata.layers["true_counts"], adata.layers["base_cell_means"]


def test_detection_on_a_hand_made_example():
    # called: (0,0) hit, (0,2) false, (1,2) hit, (1,3) hit; missed: (2,3); positive entries do not count
    assert denoising.detection(SCORE, OBSERVED, TRUTH) == {
        "n_zero": 7, "n_dropout": 4, "n_predicted": 4, "n_hit": 3,
        "precision": 0.75, "recall": 0.75, "f1": 0.75, "prevalence": pytest.approx(4 / 7),
    }  # fmt: skip


def test_calling_every_zero_a_dropout_has_full_recall_and_the_prevalence_as_precision():
    found = denoising.detection(SCORE + 1, OBSERVED, TRUTH, threshold=0)
    assert found["recall"] == 1
    assert found["precision"] == found["prevalence"]
    assert found["n_predicted"] == found["n_zero"]


def test_precision_is_undefined_when_nothing_is_predicted():
    found = denoising.detection(np.zeros((3, 4)), OBSERVED, TRUTH)
    assert np.isnan(found["precision"])
    assert found["recall"] == found["f1"] == found["n_predicted"] == 0


def test_detection_curve_ranks_zeros_only():
    curve = denoising.detection_curve(SCORE, OBSERVED, TRUTH)
    # of the 4 × 3 pairs the true zero of score .8 beats three dropouts
    assert curve["auc"] == pytest.approx(9 / 12)
    # scores of the dropouts .9 .7 .6 .3, of the true zeros .8 .2 .1: precision at each hit 1, 2/3, 3/4, 4/5
    assert curve["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 4 + 4 / 5) / 4)
    assert curve["precision"][-1] == 1
    assert curve["recall"][0] == 1
    changed = SCORE + 100 * (OBSERVED > 0)
    assert denoising.detection_curve(changed, OBSERVED, TRUTH)["auc"] == curve["auc"]
    assert np.isnan(denoising.detection_curve(SCORE, OBSERVED, OBSERVED)["auc"])


@pytest.mark.parametrize(("rounding", "expected"), [("none", 0.7), ("floor", 0.0), ("round", 1.0)])
def test_filling_never_alters_counts(rounding, expected):
    everywhere = np.ones_like(OBSERVED, bool)
    filled = denoising.fill(OBSERVED, np.full((3, 4), 0.7), everywhere, rounding)
    np.testing.assert_array_equal(filled[OBSERVED > 0], OBSERVED[OBSERVED > 0])
    assert (filled[OBSERVED == 0] == expected).all()
    np.testing.assert_array_equal(denoising.fill(OBSERVED, TRUTH, ~everywhere, rounding), OBSERVED)


def test_unknown_rounding_is_refused():
    with pytest.raises(ParameterError, match="rounding among none, floor, round"):
        denoising.fill(OBSERVED, TRUTH, OBSERVED == 0, "ceil")


def test_distance_of_the_truth_is_zero_and_of_the_observed_counts_the_origin():
    perfect = denoising.distance(TRUTH, TRUTH, OBSERVED)
    assert perfect["distance"] == perfect["ratio"] == perfect["median_abs_log_dropout"] == 0
    untouched = denoising.distance(TRUTH, OBSERVED, OBSERVED)
    assert untouched["ratio"] == 1
    assert untouched["origin"] == pytest.approx(np.sqrt(16 + 36 + 4 + 1))
    assert untouched["median_abs_log_dropout"] == pytest.approx((np.log(3) + np.log(5)) / 2)
    assert untouched["median_abs_log"] == 0
    assert np.isnan(denoising.distance(TRUTH, TRUTH, TRUTH)["ratio"])


def test_dropout_rates_before_and_after():
    filled = denoising.fill(OBSERVED, np.ones((3, 4)), SCORE > 0.5)
    assert denoising.dropout_rates(TRUTH, filled, OBSERVED) == {"before": 4 / 12, "after": 1 / 12}


def test_baselines_frame_every_model(simulated):
    observed, truth, _ = simulated
    table = denoising.baselines(observed, truth)
    assert table.loc["perfect", ["precision", "recall"]].tolist() == [1, 1]
    assert table.loc["perfect", "distance"] == 0
    assert table.loc["nothing", "ratio"] == 1
    trivial = table.loc["all zeros, gene mean"]
    assert trivial["recall"] == 1
    assert trivial["precision"] == trivial["prevalence"]
    assert trivial["ratio"] < 1
    assert trivial["rate_after"] < trivial["rate_before"]


def test_gene_mean_keeps_the_library_sizes(simulated):
    observed, _, _ = simulated
    np.testing.assert_allclose(molecular.gene_mean(observed).sum(1), observed.sum(1), rtol=1e-12)
    np.testing.assert_array_equal(molecular.gene_mean(sp.csr_matrix(observed)), molecular.gene_mean(observed))


def test_truth_scores_of_a_perfect_and_of_a_poor_answer(simulated):
    observed, truth, _ = simulated
    perfect = denoising.truth_scores(truth * 3.0, truth, observed)
    for name, score in perfect.items():
        best = 0 if name.startswith(("mse", "rmse", "mae")) else 1
        assert score == pytest.approx(best, abs=1e-9), name  # rounding of float64 sums
    poor = denoising.truth_scores(observed, truth, observed)
    assert poor["rmse_dropped"] > poor["rmse"] > 0
    assert poor["mse"] == pytest.approx(poor["rmse"] ** 2)
    assert all(poor[name] < 1 for name in poor if name.startswith(("pearson", "spearman", "cosine")))


def test_truth_scores_agree_with_numpy_on_single_vectors(simulated):
    from scipy.stats import spearmanr

    observed, _, means = simulated
    scores = denoising.truth_scores(observed, means, observed)
    y, m = (np.log1p(x / x.sum(1, keepdims=True, dtype=float) * 1e4) for x in (observed, means))
    assert scores["pearson"] == pytest.approx(np.corrcoef(y.ravel(), m.ravel())[0, 1])
    assert scores["spearman_cell"] == pytest.approx(np.median([spearmanr(*pair)[0] for pair in zip(y, m, strict=True)]))
    genes = [np.corrcoef(a, b)[0, 1] for a, b in zip(y.T, m.T, strict=True) if a.std() > 0]
    # the library leaves out constant genes by a sum of squares, the test by a standard deviation: same genes here
    assert scores["pearson_gene"] == pytest.approx(np.median(genes))


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_thinning_conserves_counts_and_storage(simulated, kind):
    counts = kind(simulated[0])
    train, test = molecular.thin(counts, seed=3)
    assert type(train) is type(test) is type(counts)
    assert abs(train + test - counts).sum() == 0
    assert min(train.min(), test.min()) >= 0
    assert train.sum() / counts.sum() == pytest.approx(0.9, abs=0.001)  # binomial sd below 1e-3 / 3 at 10^6 molecules
    again, other = molecular.thin(counts, seed=3)[0], molecular.thin(counts, seed=4)[0]
    assert abs(again - train).sum() == 0
    assert abs(other - train).sum() > 0


def test_thinned_halves_of_poisson_counts_are_independent():
    counts = np.random.default_rng(0).poisson(4, (300, 300))
    train, test = molecular.thin(counts, 0.5)
    # four standard errors of a correlation over 90,000 entries
    assert abs(np.corrcoef(train.ravel(), test.ravel())[0, 1]) < 4 / 300


def test_only_raw_counts_can_be_thinned():
    with pytest.raises(DataError, match="integer counts"):
        molecular.thin(np.array([[0.5, 1.0]]))
    with pytest.raises(ParameterError, match=r"p in \(0, 1\)"):
        molecular.thin(np.array([[1, 2]]), p=1)


def test_poisson_loss_is_lowest_at_the_mean_and_notices_swapped_arguments():
    rng = np.random.default_rng(1)
    mean = rng.gamma(0.6, 2, (200, 200))
    held_out = rng.poisson(mean)
    losses = {scale: molecular.mcv_poisson(mean * scale, held_out) for scale in (0.8, 0.95, 1, 1.05, 1.2)}
    assert min(losses, key=losses.get) == 1
    with pytest.raises(DataError, match="integer counts"):
        molecular.mcv_poisson(held_out, mean)


def test_cross_validation_ranks_the_controls(simulated):
    _, _, means = simulated
    expected = means / means.sum(1, keepdims=True)

    def oracle(train):
        return expected * train.sum(1, keepdims=True)

    counts = np.random.default_rng(0).poisson(expected * 2000)  # sparse enough for noise to matter
    table = molecular.mcv(oracle, counts, seeds=range(2))
    assert table.groupby("method").size().to_dict() == dict.fromkeys(("denoised", "gene_mean", "none", "perfect"), 2)
    score = table.groupby("method")[["mse", "poisson"]].mean()
    # p/(1-p) is no exact float, so the totals differ in the last digit
    assert score.loc["perfect", "mse"] == pytest.approx(0, abs=1e-20)
    assert score.loc["denoised", "mse"] < score.loc["none", "mse"]
    assert score.loc["denoised", "poisson"] < score.loc["gene_mean", "poisson"] < score.loc["none", "poisson"]
    sparse = molecular.mcv(lambda train: oracle(train.toarray()), sp.csr_matrix(counts), seeds=[0])
    assert sparse["mse"].notna().all()


def test_metrics_are_functions_of_their_input(simulated):
    observed, truth, means = simulated
    assert denoising.truth_scores(means, truth, observed) == denoising.truth_scores(means, truth, observed)


@pytest.mark.parametrize(
    "call",
    [
        lambda bad: denoising.detection(bad, OBSERVED, TRUTH),
        lambda bad: denoising.detection_curve(bad, OBSERVED, TRUTH),
        lambda bad: denoising.fill(OBSERVED, bad, OBSERVED == 0),
        lambda bad: denoising.distance(TRUTH, bad, OBSERVED),
        lambda bad: denoising.dropout_rates(TRUTH, bad, OBSERVED),
        lambda bad: denoising.truth_scores(bad, TRUTH, OBSERVED),
        lambda bad: denoising.dropout_mask(bad, TRUTH),
        lambda bad: molecular.mcv_mse(bad, TRUTH),
        lambda bad: molecular.mcv_poisson(bad, TRUTH),
        lambda bad: molecular.mcv(lambda train: bad, TRUTH, seeds=[0]),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(call, value):
    bad = SCORE.copy()
    bad[1, 1] = value
    with pytest.raises(DataError, match="finite"):
        call(bad)


def test_other_shapes_and_negative_estimates_are_refused():
    with pytest.raises(DataError, match="same cells and genes"):
        denoising.detection(SCORE[:2], OBSERVED, TRUTH)
    with pytest.raises(DataError, match="negative"):
        denoising.distance(TRUTH, -SCORE, OBSERVED)


def test_permuted_genes_correlate_by_chance_until_something_joins_them():
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b"], 200)
    # the types differ in all genes: within a type nothing is left of it
    independent = rng.normal(size=(400, 20)) + 5 * (groups == "a")[:, None]
    by_chance = denoising.spurious_correlation(independent, groups)
    assert 1 / np.sqrt(400) < by_chance < 3 / np.sqrt(400)
    joined = independent + 2 * rng.normal(size=(400, 1))
    assert denoising.spurious_correlation(joined, groups) == pytest.approx(0.8, abs=0.05)
    assert denoising.spurious_correlation(independent, ["all"] * 400) > 0.8
    assert denoising.spurious_correlation(np.full((400, 20), 0.1) * np.arange(20), groups) == 0
    with pytest.raises(DataError, match="two genes or more and a group a cell"):
        denoising.spurious_correlation(independent, groups[:3])
