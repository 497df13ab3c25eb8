import importlib.util

import anndata
import numpy as np
import pandas as pd
import pytest

from scgen_book import experiments
from scgen_book.experiments.denoising import cases, comparison
from scgen_book.experiments.protocol import Experiment, Method
from scgen_lib import data
from scgen_lib.data import registry, sources, splatter
from scgen_lib.errors import DataError, ParameterError

SETTINGS = {
    "max_cells": 60, "genes": 40, "decoys": 6, "kmeans_seeds": 1, "components": 3, "n_pcs": 3, "dca_epochs": 1,
    "db_aae_epochs": 1, "db_aae_layers": [8, 8, 4],
}  # fmt: skip
FREE = ["observed", "gene_mean", "pca", "knn", "truth"]


@pytest.fixture(scope="module")
def case():
    return cases.prepare("splat_g6", 0, SETTINGS)


@pytest.fixture(scope="module")
def table(eager):
    rows = [experiments.row("denoising", "splat_g6", m, 0, SETTINGS) for m in comparison.EXPERIMENT.methods]
    return {found["method"]: found for found in rows}


def test_every_method_gives_every_metric_of_a_simulation(table):
    for method, found in table.items():
        if found["status"] == "ok":
            missing = {m for g in ("molecules", "simulated", "downstream") for m in comparison.GROUPS[g]} - set(
                found["scores"]
            )
            # the mean of a gene is a constant, which correlates with nothing
            assert missing == ({"pearson_gene"} if method == "gene_mean" else set()), method
            assert None not in found["scores"].values()
    assert {m for m, found in table.items() if found["status"] == "ok"} >= {*FREE, "dca_zinb", "dca_nb"}


def test_the_perfect_answer_is_perfect_in_every_metric_and_no_method_beats_it(table):
    perfect = table["truth"]["scores"]
    loss = perfect.pop("mcv_poisson")
    best = {"pearson_gene": 1, "dropout_ap": 1, "ari": 1, "nmi": 1, "silhouette": 1}
    assert perfect == pytest.approx({name: best.get(name, 0) for name in perfect}, abs=1e-6)
    assert all(loss < found["scores"]["mcv_poisson"] for m, found in table.items() if found["scores"] and m != "truth")


def test_doing_nothing_is_beaten_where_the_truth_is_known(table):
    for metric in ("mse", "mse_dropped", "mse_means"):
        assert table["gene_mean"]["scores"][metric] < table["observed"]["scores"][metric]
        assert table["dca_zinb"]["scores"][metric] < table["observed"]["scores"][metric]


def test_true_counts_judge_nobody_where_nothing_was_dropped():
    found = experiments.row("denoising", "splat_g6_nodrop", "knn", 0, SETTINGS)
    assert {"mse_cell", "mse_means"} <= set(found["scores"])
    assert not {"mse", "mse_dropped", "pearson_gene", "dropout_ap"} & set(found["scores"])


def test_an_extra_that_is_not_installed_is_named(table):
    for method in ("magic", "scvi"):
        if importlib.util.find_spec(method) is None:
            assert table[method]["status"] == "gap"
            assert method in table[method]["reason"]


def test_the_methods_see_training_molecules_and_nothing_else(case):
    genes = case.columns("gene")
    np.testing.assert_array_equal(case.cells.X[:, genes] + case.test, case.observed)
    assert case.test.sum() / case.observed.sum() == pytest.approx(0.1, abs=0.01)
    assert not set(case.cells.obs.columns)
    assert not any(case.cells.layers.keys())
    assert case.cells.X.sum(axis=0).min() > 0
    assert (case.cells.X > 0).sum(axis=0)[genes].min() >= 3
    assert case.truths == ["counts before dropout", "means", "cell types"]


def test_decoys_are_genes_permuted_within_their_type(case):
    decoys = case.cells.X[:, case.columns("decoy")]
    genes = case.cells.X[:, case.columns("gene")]
    assert decoys.shape[1] == 6
    for decoy in decoys.T:
        same = [gene for gene in genes.T if sorted(gene) == sorted(decoy)]
        assert same
        assert not any((gene == decoy).all() for gene in same)
        assert any(
            all(sorted(gene[own]) == sorted(decoy[own]) for own in (case.labels == t for t in case.labels.unique()))
            for gene in same
        )


def test_a_wrong_scale_or_shape_is_a_gap_with_its_reason(case, monkeypatch):
    def broken(answer):
        methods = {"broken": Method(lambda case, seed, settings: answer(case))}
        other = Experiment("denoising", methods, comparison.EXPERIMENT.metrics, lambda *_: case, comparison.score)
        found = experiments.row(other, f"x{id(answer)}", "broken", 0, SETTINGS)
        assert found["status"] == "gap"
        return found["reason"]

    assert "finite" in broken(lambda case: case.cells.X * np.nan)
    assert "negative" in broken(lambda case: case.cells.X - 1.0)
    assert "shape" in broken(lambda case: case.cells.X[:, 1:])
    assert "no memory left" in broken(lambda case: (_ for _ in ()).throw(MemoryError("no memory left")))


def test_own_cells_need_no_labels(tmp_path):
    cells = splatter.preset("splat_g2", batch_cells=(40,), n_genes=30, seed=1)
    path = tmp_path / "mine.h5ad"
    anndata.AnnData(cells.X.copy(), var=pd.DataFrame(index=cells.var_names)).write_h5ad(path)
    found = experiments.row("denoising", str(path), "pca", 0, SETTINGS)
    assert found["status"] == "ok"
    assert set(found["scores"]) == {"mcv_mse", "mcv_poisson", "spurious"}
    typed = anndata.AnnData(cells.X.copy(), obs=pd.DataFrame({"kind": cells.obs["group"].to_numpy()}, cells.obs_names))
    typed.write_h5ad(path)
    assert "ari" in experiments.row("denoising", str(path), "pca", 1, SETTINGS | {"labels": "kind"})["scores"]


def test_what_an_experiment_was_designed_to_have_is_judged(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    share = np.repeat([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.33, 0.33, 0.33], [0.68, 0.16, 0.16]], 12, axis=0)
    profiles = rng.gamma(1, 40, (3, 30))
    molecules = np.array([200.0, 50.0, 5.0, 0.001])
    counts = rng.poisson(share @ profiles)
    obs = pd.DataFrame(share, columns=["H2228_prop", "H1975_prop", "HCC827_prop"], index=[f"c{i}" for i in range(60)])
    genes = [f"g{i}" for i in range(30)]
    cells = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=genes))
    cells.obsm["ercc"] = rng.poisson(np.tile(molecules, (60, 1)))
    cells.uns |= {"ercc_molecules": molecules, "bulk": pd.DataFrame({"a": profiles.mean(axis=0)}, index=genes)}
    monkeypatch.setattr(data, "load", lambda name, labels=None: cells.copy())
    monkeypatch.setitem(registry.DATASETS, "designed", None)
    case = cases.prepare("designed", 0, SETTINGS)
    assert case.columns("spike-in").sum() == 3  # one is never seen
    answers = {
        "truth": None,
        "observed": case.cells.X,
        "knn": comparison.EXPERIMENT.methods["knn"].run(case, 0, SETTINGS),
    }
    scores = {m: comparison.score(case, y, 0, SETTINGS) for m, y in answers.items()}
    known = set(comparison.GROUPS["designed"])
    assert known <= set(scores["truth"])
    best = {"proportions_r2": 1, "bulk_mean": 1, "bulk_cell": 1}
    assert {m: scores["truth"][m] for m in known} == pytest.approx({m: best.get(m, 0) for m in known}, abs=1e-9)
    for metric in ("mixture_mse", "spike_sd"):
        assert 0 < scores["knn"][metric] < scores["observed"][metric]
    # bulk samples that name transcripts, three of one gene, are joined by a table
    names = [f"NM_{i}" for i in range(30)]
    cells.uns["bulk"] = cells.uns["bulk"].set_axis(names)

    def absent():
        raise DataError("no table today")

    monkeypatch.setattr(data, "refseq_mm9", absent)
    for symbols, reason in ((None, "symbols names a file that joins the two"), ("refseq_mm9", "no table today")):
        (note,) = cases.prepare("designed", 1, SETTINGS | {"symbols": symbols}).notes
        assert note.startswith("bulk samples that name genes as NM_0 where the cells have g0: 0 of 30 genes")
        assert reason in note
    path = tmp_path / "refFlat.txt"
    path.write_text("".join(f"g{i if i > 2 else 0}\tNM_{i}\tchr1\n" for i in range(30)))
    monkeypatch.setattr(data, "refseq_mm9", lambda: sources.transcript_symbols(path))
    for settings in (SETTINGS, SETTINGS | {"symbols": str(path)}):
        joined = cases.prepare("designed", 1, settings)
        assert not joined.notes
        assert joined.bulk.loc["g0", "a"] == pytest.approx(profiles.mean(axis=0)[:3].sum())
        assert len(joined.bulk) == 28
        assert comparison.score(joined, None, 0, SETTINGS)["bulk_mean"] == pytest.approx(1)
    # a file of the user's joins them even where enough names match by chance
    cells.uns["bulk"] = cells.uns["bulk"].set_axis([*genes[:10], *names[10:]])
    assert len(cases.prepare("designed", 1, SETTINGS).bulk) == 10
    assert len(cases.prepare("designed", 1, SETTINGS | {"symbols": str(path)}).bulk) == 20
    # a file of the user's that cannot be read is no reason to go on without it
    with pytest.raises(DataError, match="expected a table of gene symbols"):
        cases.prepare("designed", 1, SETTINGS | {"symbols": str(tmp_path / "absent.txt")})


def test_unknown_settings_and_illegal_ones_are_refused_by_name():
    found = experiments.row("denoising", "splat_g6", "pca", 0, {"epoch": 3})
    assert found["reason"].endswith("got an unexpected keyword argument 'epoch'")
    found = experiments.row("denoising", "splat_g6", "pca", 0, {"p": 1.5})
    assert found["reason"].startswith("expected p to be float, in [0.1, 0.99], got 1.5")
    values = experiments.complete("denoising", {"datasets": ["a"], "methods": ["pca"], "seeds": [0]})
    assert list(comparison.asked(values)) == [("a", "pca", 0)]
    with pytest.raises(ParameterError, match=r"expected db_aae_layers to be three widths, got \[8, 4\]: give three"):
        comparison.asked(values | {"db_aae_layers": [8, 4]})
    with pytest.raises(ParameterError, match="expected at least one of seeds, got none"):
        comparison.asked(values | {"seeds": []})


def test_at_test_size_a_run_is_one_data_set_and_one_seed():
    values = {"datasets": ["a", "b"], "methods": ["pca", "truth"], "seeds": [3, 4], "fast": True, "decoys": 7}
    rows = experiments.plan("denoising", values)
    assert list(rows) == [("denoising", "a", "pca", 3), ("denoising", "a", "truth", 3)]
    assert {(of["genes"], of["decoys"], of["p"]) for of in rows.values()} == {(40, 7, 0.9)}


def test_every_method_has_words():
    assert set(comparison.NAMES) == set(comparison.EXPERIMENT.methods)
