import json
import os
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scgen_lib.data import splatter
from scgen_lib.errors import DataError, ParameterError


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


@pytest.fixture(scope="module")
def large():
    """A million entries with the χ² noise switched off, for moments."""
    return splatter.simulate(n_genes=1000, batch_cells=(1000,), bcv_df=np.inf, seed=1)


@pytest.fixture(scope="module")
def dropped():
    return splatter.preset("dca_g2_fig2", seed=3, batch_cells=(500,))


def test_base_cell_means_sum_to_the_library_size(dropped):
    sums = dropped.layers["base_cell_means"].sum(1, dtype=np.float64)
    # each of the 200 summands is rounded to float32 (6e-8 relative)
    np.testing.assert_allclose(sums, dropped.obs["exp_lib_size"], rtol=1e-6)


def test_observed_counts_are_the_true_counts_that_were_not_dropped(dropped):
    observed, true = dense(dropped.X), dropped.layers["true_counts"]
    assert observed.dtype == true.dtype == np.int32
    assert (true >= 0).all()
    np.testing.assert_array_equal(observed, true * ~dropped.layers["dropout"])
    np.testing.assert_array_equal(observed, dense(dropped.layers["counts"]))


def test_without_dropout_observed_counts_are_the_true_counts():
    adata = splatter.preset("splat_g2_nodrop", batch_cells=(50,))
    np.testing.assert_array_equal(dense(adata.X), adata.layers["true_counts"])
    assert not {"dropout", "drop_prob"} & set(adata.layers)


def test_counts_are_stored_sparse_when_most_are_zero(dropped):
    assert isinstance(dropped.X, sp.csr_matrix)
    assert isinstance(splatter.preset("splat_g2", batch_cells=(50,)).X, np.ndarray)


@pytest.mark.parametrize(
    ("prob", "down", "loc"), [(0.1, 0.5, 0.1), (0.3, 0.2, -0.4), (0.05, 0.0, 4.0), (1.0, 1.0, 0.5)]
)
def test_lognormal_factors_have_the_stated_probabilities(prob, down, loc):
    n = 100_000
    factors = splatter.lognormal_factors(np.random.default_rng(0), n, prob, down, loc, 0.4)
    changed = factors[factors != 1]
    # four binomial standard deviations
    assert abs(len(changed) - n * prob) <= 4 * np.sqrt(n * prob * (1 - prob))
    assert abs((changed < 1).sum() - len(changed) * down) <= 4 * np.sqrt(len(changed) * down * (1 - down))


def test_lognormal_factors_have_the_folded_normal_median():
    factors = splatter.lognormal_factors(np.random.default_rng(1), 400_000, 1, 0.5, 0.1, 0.4)
    # 0.278 is the published median, given to three digits; the sampling error is 7e-4
    assert np.median(np.abs(np.log(factors))) == pytest.approx(0.278, abs=0.003)


def test_cell_means_have_the_stated_mean_and_coefficient_of_variation(large):
    base, bcv, means = (large.layers[name].astype(float) for name in ("base_cell_means", "bcv", "cell_means"))
    usual = base > 0.5  # below, the fourth moment of the gamma makes a sample of a million too small for 1 %
    assert (means / base)[usual].mean() == pytest.approx(1, rel=0.01)
    assert (((means - base) / (base * bcv)) ** 2)[usual].mean() == pytest.approx(1, rel=0.02)


def test_true_counts_have_the_negative_binomial_variance(large):
    base, bcv, true = (large.layers[name].astype(float) for name in ("base_cell_means", "bcv", "true_counts"))
    expected = base + (base * bcv) ** 2
    for low, high in ((1, 3), (3, 10), (10, 30), (30, 100), (100, 300)):
        inside = (base >= low) & (base < high)
        ratio = ((true - base) ** 2 / expected)[inside]
        # five standard errors of the mean
        assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(len(ratio))


def test_bcv_noise_is_one_draw_per_gene():
    adata = splatter.simulate(n_genes=4000, batch_cells=(5,), bcv_df=60, seed=2)
    noise = adata.layers["bcv"] / (0.1 + adata.layers["base_cell_means"].astype(float) ** -0.5)
    # both layers are float32
    np.testing.assert_allclose(noise, np.broadcast_to(noise[:1], noise.shape), rtol=1e-5)
    # χ² with 60 degrees of freedom has variance 120; four standard errors over 4000 genes
    assert abs((60 / noise[0] ** 2).mean() - 60) < 4 * np.sqrt(120 / 4000)


def test_unit_slope_dropout_is_a_saturation_curve(dropped):
    probability, means = dropped.layers["drop_prob"].astype(float), dropped.layers["cell_means"].astype(float)
    # float32 layers: the mean carries 6e-8, the probability another 6e-8
    np.testing.assert_allclose(probability, np.exp(5) / (np.exp(5) + means), rtol=1e-6)
    deviation = np.sqrt((probability * (1 - probability)).sum())
    assert abs(dropped.layers["dropout"].sum() - probability.sum()) < 4 * deviation


@pytest.mark.filterwarnings("error")
def test_a_mean_of_zero_is_always_dropped():
    assert splatter.dropout_probability(np.zeros(3), 1.0, np.array([-1.0, -0.001, -5.0])).tolist() == [1, 1, 1]
    assert splatter.dropout_probability(np.zeros(1), 1.0, 0.0).tolist() == [0.5]


@pytest.mark.filterwarnings("error")
def test_gene_means_that_underflow_to_zero_give_zero_counts():
    adata = splatter.simulate(n_genes=50, batch_cells=(20,), mean_shape=1e-3, dropout_type="experiment", out_prob=0)
    empty = (adata.var["base_gene_mean"] == 0).to_numpy()
    assert empty.any()
    assert (adata.layers["true_counts"][:, empty] == 0).all()
    assert adata.layers["dropout"][:, empty].all()


@pytest.mark.parametrize(
    ("name", "zeros", "sd"), [("splat_g2", 0.140, 0.019), ("dca_g2_fig2", 0.641, 0.030), ("dca_g6_fig2", 0.334, 0.030)]
)
def test_presets_have_the_documented_share_of_zeros(name, zeros, sd):
    for seed in range(5):
        observed = dense(splatter.preset(name, seed=seed, light=True).X)
        # the share moves with the draw of the gene means: four of its standard deviations over 30 seeds
        assert abs((observed == 0).mean() - zeros) < 4 * sd


def test_dropout_leaves_everything_before_it_unchanged_and_is_nested():
    runs = [
        splatter.preset(name, seed=5, batch_cells=(200,)) for name in ("splat_g2_nodrop", "splat_g2", "dca_g2_fig2")
    ]
    for run in runs[1:]:
        for layer in ("true_counts", "base_cell_means", "bcv", "cell_means"):
            np.testing.assert_array_equal(run.layers[layer], runs[0].layers[layer])
        pd.testing.assert_frame_equal(run.var, runs[0].var)
        pd.testing.assert_frame_equal(run.obs, runs[0].obs)
    fewer, more = runs[1].layers["dropout"], runs[2].layers["dropout"]
    assert not (fewer & ~more).any()
    assert more.sum() > fewer.sum()


def test_a_seed_fixes_every_array_and_another_seed_changes_it():
    first, again, other = (splatter.preset("splat_g2", seed=s, batch_cells=(60,)) for s in (0, 0, 1))
    for layer in first.layers:
        np.testing.assert_array_equal(dense(first.layers[layer]), dense(again.layers[layer]))
    pd.testing.assert_frame_equal(first.obs, again.obs)
    assert (first.layers["true_counts"] != other.layers["true_counts"]).any()


def test_cutting_the_work_into_chunks_keeps_the_model(monkeypatch):
    monkeypatch.setattr(splatter, "MAX_CHUNK", 20 * 7)
    adata = splatter.simulate(n_genes=20, batch_cells=(50,), dropout_type="experiment", dropout_mid=3, seed=1)
    np.testing.assert_allclose(
        adata.layers["base_cell_means"].sum(1, dtype=float),
        adata.obs["exp_lib_size"],
        rtol=1e-6,  # float32 layer
    )
    np.testing.assert_array_equal(dense(adata.X), adata.layers["true_counts"] * ~adata.layers["dropout"])
    assert (adata.layers["true_counts"][-1] > 0).any()


def test_an_outlier_replaces_the_mean_by_a_multiple_of_the_median():
    var = splatter.simulate(n_genes=2000, batch_cells=(2,), seed=4).var
    outlier = var["outlier_factor"] != 1
    assert 50 < outlier.sum() < 150  # 100 expected, standard deviation 10
    expected = np.where(outlier, var["base_gene_mean"].median() * var["outlier_factor"], var["base_gene_mean"])
    np.testing.assert_array_equal(var["gene_mean"], expected)


def test_one_group_has_no_differential_expression():
    adata = splatter.simulate(n_genes=100, batch_cells=(10,))
    assert (adata.var.filter(like="de_fac_") == 1).all(axis=None)
    assert "cell_type" not in adata.obs


def test_groups_are_cell_types_with_factors_of_their_own():
    adata = splatter.preset("splat_g6", batch_cells=(300,), light=True)
    assert list(adata.obs["cell_type"].cat.categories) == [f"Group{i}" for i in range(1, 7)]
    changed = (adata.var.filter(like="de_fac_group_") != 1).mean()
    assert len(changed) == 6
    # 0.1 expected over 200 genes: four binomial standard deviations
    assert ((changed - 0.1).abs() < 4 * np.sqrt(0.09 / 200)).all()
    assert not {"bcv", "cell_means", "drop_prob"} & set(adata.layers)


def test_batches_shift_genes_unless_removed():
    def shares(**kwargs):
        made = splatter.simulate(n_genes=100, batch_cells=(4, 3), batch_scale=0.5, seed=1, **kwargs)
        means = made.layers["base_cell_means"]
        return made.obs["batch"].astype(str).tolist(), means / means.sum(1, keepdims=True)

    batch, shifted = shares()
    assert batch == ["Batch1"] * 4 + ["Batch2"] * 3
    assert np.abs(shifted[0] / shifted[-1] - 1).max() > 0.2
    # float32 layer
    np.testing.assert_allclose(*(lambda s: (s[0], s[-1]))(shares(batch_remove=True)[1]), rtol=1e-5)


def test_dropout_can_differ_by_group():
    adata = splatter.simulate(
        n_genes=100, batch_cells=(100,), group_prob=(0.5, 0.5), dropout_type="group", dropout_mid=(-40, 40)
    )
    first = (adata.obs["group"] == "Group1").to_numpy()
    expressed = adata.layers["true_counts"] > 0
    assert not (adata.layers["dropout"] & expressed)[first].any()
    assert adata.layers["dropout"][~first].all()


def test_paths_lead_from_the_origin_through_their_parent():
    adata = splatter.simulate(
        n_genes=300, batch_cells=(400,), group_prob=(0.5, 0.5), path_from=(0, 1), path_n_steps=(10, 20), de_prob=0.5,
        path_nonlinear_prob=0.0, out_prob=0, seed=2,
    )  # fmt: skip
    end = adata.var["de_fac_group_1"].to_numpy()
    shares = adata.layers["base_cell_means"] / adata.obs["exp_lib_size"].to_numpy()[:, None]
    step, path = adata.obs["step"], adata.obs["group"]
    assert step[path == "Group1"].max() == 10
    assert step[path == "Group2"].max() == 20
    at_end = shares[((path == "Group1") & (step == 10)).to_numpy()][0]
    child_start = shares[((path == "Group2") & (step == 1)).to_numpy()][0]
    origin = shares[((path == "Group1") & (step == 1)).to_numpy()][0]
    np.testing.assert_allclose(child_start, at_end, rtol=1e-5)  # float32 layer
    gene_means = adata.var["gene_mean"].to_numpy()
    np.testing.assert_allclose(origin, gene_means / gene_means.sum(), rtol=1e-5)
    np.testing.assert_allclose(at_end, gene_means * end / (gene_means * end).sum(), rtol=1e-5)


def test_bent_paths_stay_positive_and_keep_their_ends():
    rng = np.random.default_rng(0)
    ends = np.exp(rng.normal(0, 0.5, (1, 500)))
    (curve,) = splatter.path_factors(rng, ends, (0,), np.array([50]), np.array([1.0]), np.array([2.0]))
    assert (curve > 0).all()
    np.testing.assert_allclose(curve[0], 1, rtol=1e-12)
    np.testing.assert_allclose(curve[-1], ends[0], rtol=1e-9)  # spline arithmetic in float64
    straight = 1 + np.linspace(0, 1, 50)[:, None] * (ends - 1)
    assert np.abs(curve - straight).max() > 0.1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"group_prob": (0.5, 0.4)}, "sum to 1"),
        ({"dropout_type": "batch", "dropout_mid": (1, 2)}, "1 values of dropout_mid"),
        ({"dropout_type": "group", "group_prob": (0.5, 0.5)}, "2 values of dropout_mid"),
        ({"dropout_type": "experiment", "dropout_mid": np.nan}, "dropout_mid finite"),
        ({"dropout_type": "genes"}, "dropout_type among"),
        ({"out_scale": -1}, "out_scale finite and at least 0"),
        ({"mean_rate": 0}, "mean_rate finite and above 0"),
        ({"n_genes": 0}, "n_genes as a whole number"),
        ({"batch_cells": (2.5,)}, "whole numbers of batch_cells"),
        ({"batch_cells": 10}, "batch_cells as a list"),
        ({"de_prob": (0.1, 0.2)}, "one value of de_prob"),
        ({"de_prob": "much"}, "de_prob as a number"),
        ({"path_from": (2, 1), "group_prob": (0.5, 0.5)}, "circle"),
        ({"path_from": (3,)}, "origin.* in path_from"),
        ({"path_from": (0, 0)}, "1 values of path_from"),
        ({"seed": -1}, "seed as a whole number"),
        ({"lib_norm": True, "lib_loc": -50, "lib_scale": 0}, "positive library sizes"),
        ({"lib_loc": 28, "n_genes": 2}, "below 2³¹"),
    ],
)
def test_illegal_parameters_are_named(parameters, message):
    with pytest.raises(ParameterError, match=message):
        splatter.simulate(**({"n_genes": 10, "batch_cells": (5,)} | parameters))


def test_normal_library_sizes_are_positive():
    sizes = splatter.simulate(n_genes=5, batch_cells=(200,), lib_norm=True, lib_loc=100, lib_scale=100).obs[
        "exp_lib_size"
    ]
    assert (sizes > 0).all()
    assert (sizes == sizes.min()).sum() > 10  # about 16 % of the draws are negative and share one value


def test_presets_say_what_they_are_and_can_be_written(tmp_path):
    adata = splatter.preset("dca_script_d3_k2_swap", seed=7, light=True)
    assert adata.shape == (200, 2000)
    assert adata.uns["dataset"]["name"] == "dca_script_d3_k2_swap"
    assert adata.uns["dataset"]["simulated"] is True
    assert json.loads(json.dumps(adata.uns["splat"]))["seed"] == 7
    adata.write_h5ad(tmp_path / "simulated.h5ad")
    assert anndata.read_h5ad(tmp_path / "simulated.h5ad").uns["splat"]["dropout_mid"] == 3


def test_unknown_presets_and_overrides_are_refused():
    with pytest.raises(ParameterError, match="splat_g2"):
        splatter.preset("splat_g3")
    with pytest.raises(ParameterError, match="expected parameters of the simulation, got 'genes'"):
        splatter.preset("splat_g2", genes=3)


@pytest.mark.parametrize("name", ["dca_script_d0_k1", "dca_script_d1_k3", "dca_student", "umi11", "dca_g6_methods"])
def test_preset_tables_are_legal(name):
    adata = splatter.preset(name, batch_cells=(30,), light=True)
    assert adata.n_obs == 30
    assert adata.n_vars == splatter.PRESETS[name]["parameters"]["n_genes"]


def test_moments_recover_the_parameters_of_a_simulation():
    counts = splatter.simulate(n_genes=3000, batch_cells=(300,), lib_loc=9, out_prob=0, light=True, seed=0).X
    for matrix in (dense(counts), sp.csr_matrix(counts)):
        found = splatter.estimate(matrix)
        assert found["lib_loc"] == pytest.approx(9, abs=0.05)  # sd 0.2 over 300 cells: 0.012
        assert found["lib_scale"] == pytest.approx(0.2, abs=0.03)  # 0.2 / sqrt(600) = 0.008
        assert found["mean_shape"] == pytest.approx(0.6, rel=0.2)  # moments of 3000 gammas, and silent genes left out


def test_moments_refuse_empty_cells_and_missing_values():
    with pytest.raises(DataError, match="empty"):
        splatter.estimate(np.array([[0, 0], [1, 2]]))
    with pytest.raises(DataError, match="finite"):
        splatter.estimate(np.array([[np.nan, 1], [1, 2]]))


@pytest.mark.parametrize("seed", range(3))
def test_groups_separate_better_before_dropout(seed):
    from sklearn.decomposition import PCA
    from sklearn.metrics import silhouette_score

    adata = splatter.preset("dca_g2_fig2", seed=seed, batch_cells=(600,), light=True)

    def score(counts):
        totals = counts.sum(1, keepdims=True)
        normal = np.log1p(counts / np.maximum(totals, 1) * np.median(totals))
        return silhouette_score(PCA(2, random_state=0).fit_transform(normal), adata.obs["group"])

    assert score(adata.layers["true_counts"]) > score(dense(adata.X))


FILES = os.environ.get("SCGEN_DATA_DIR")


@pytest.mark.skipif(FILES is None, reason="SCGEN_DATA_DIR names no folder with the public output of the R package")
@pytest.mark.parametrize(("groups", "mid", "preset"), [(2, 5, "dca_g2_fig2"), (6, 1, "splat_g6")])
def test_the_r_package_drops_counts_like_this_simulator(groups, mid, preset):
    folder = Path(FILES)
    names = (f"sim_scdata_{groups}_groups_2000.csv", f"sim_scdata_{groups}_groups_ndo_2000.csv")
    paths = [next(folder.rglob(name), None) for name in names]
    if None in paths:
        pytest.skip(f"SCGEN_DATA_DIR holds no {names[0]}")
    observed, true = (pd.read_csv(path, index_col=0).iloc[:, 1:].to_numpy() for path in paths)
    ours = splatter.preset(preset, seed=0, light=True)
    simulated = (dense(ours.X), ours.layers["true_counts"])
    for low, high in ((8, 12), (45, 60), (200, 400), (900, 1200)):
        expected = np.exp(mid) / (np.exp(mid) + (low + high) / 2)
        rates = []
        for x, t in ((observed, true), simulated):
            inside = (t >= low) & (t < high)
            rates.append((x[inside] == 0).mean())
        # the bin is wide and a true count scatters about its mean; thousands of entries a bin
        assert rates == pytest.approx([expected, expected], abs=0.04)
        assert rates[0] == pytest.approx(rates[1], abs=0.03)
    # four of the preset's standard deviations over seeds
    assert (observed == 0).mean() == pytest.approx((simulated[0] == 0).mean(), abs=4 * 0.03)
