"""Rows of DR-A's chapter: scores of codes, other data, parts, guards and defects."""

import math

import numpy as np
import pandas as pd
import pytest

from scgen_book import claims as claims_of
from scgen_book import experiments
from scgen_book.experiments import arrays, rows
from scgen_book.experiments.dr_a import cases, codes, datasets, defects, guards, parts, scores, training
from scgen_book.experiments.protocol import NotApplicable
from scgen_lib.errors import TrainingError
from scgen_lib.models.dr_a import DRA

NMI = "NMI, geometric, cell types"


def settings(name, values):
    return experiments.settings_of(experiments.get(name), values)


def test_a_trained_row_has_the_scores_of_both_kinds_of_code_and_what_figures_need(mine, values, tmp_path):
    asked = settings("dr_a.scores", values())
    found = rows.compute("dr_a.scores", (mine, "repaired, K = 2", 1), asked, tmp_path / "rows" / "row.json")
    assert (found["status"], found["reason"], found["variant"]) == ("ok", None, "repaired")
    own = found["scores"]
    assert own[NMI] == own[f"{NMI}, of means"] != own[f"{NMI}, of samples"]
    assert 0 <= own["NMI, arithmetic, cell types"] <= own[NMI] <= 1
    assert own[codes.MOVED] > 0
    assert 0 <= own[codes.AUC] <= 1
    kept = arrays.unpacked(found["arrays"])
    assert kept["code"].shape == (12, 2)
    assert list(kept["moved_parts"]).index("reconstruction") >= 0
    assert kept["d1_code"].shape == (60,)
    assert len(codes.history(kept)["loss"]) == 1
    # the model lies beside the row, and gives the same codes again
    model = training.load(tmp_path / "rows" / "models", "repaired", 2, 1)
    case = cases.prepare(mine, 1, asked)
    np.testing.assert_allclose(model.embed(case.cells)[case.test], kept["code"], rtol=1e-6)
    # what the notebook has trained is scored alike
    again = experiments.row("dr_a.scores", mine, "repaired, K = 2", 1, asked, answer=training.answer(case, model))
    assert again["scores"] == pytest.approx(own)


def test_the_codes_of_the_parameter_latent_are_judged(mine, values):
    asked = settings("dr_a.scores", values(latent="sample"))
    own = experiments.row("dr_a.scores", mine, "faithful, no adversary, K = 3", 0, asked)
    assert own["scores"][NMI] == own["scores"][f"{NMI}, of samples"]
    assert codes.AUC not in own["scores"]
    assert "code" not in own["arrays"]


def test_other_methods_have_rows_and_scvi_says_that_it_is_missing(mine, values, monkeypatch):
    asked = settings("dr_a.scores", values())
    found = experiments.row("dr_a.scores", mine, "PCA, K = 5", 0, asked)
    assert (found["role"], found["claims"]) == ("baseline", {})
    assert found["scores"][NMI] > 0.5
    assert found["arrays"] == {}
    # a map of two numbers is drawn beside DR-A's
    of_two = experiments.row("dr_a.scores", mine, "PCA, K = 2", 0, asked)
    assert arrays.unpacked(of_two["arrays"])["code"].shape == (12, 2)
    monkeypatch.setattr(experiments, "installed", lambda method: not method.needs)
    assert "scvi" in experiments.row("dr_a.scores", mine, "scVI, K = 5", 0, asked)["reason"]


def test_a_method_that_compares_needs_labels(mine, values):
    case = cases.prepare(mine, 0, values())
    bare = cases.Case(case.cells, case.about, case.train, case.test, {}, "the cells have no labels", None)
    with pytest.raises(NotApplicable, match="the cells have no labels"):
        experiments.get("dr_a.scores").methods["PCA, K = 2"].run(bare, 0, values())


def test_agreement_leaves_out_cells_without_a_label_and_takes_seeds_of_its_own(values):
    rng = np.random.default_rng(0)
    code = np.repeat([[0.0, 0], [9, 9]], 10, axis=0) + rng.normal(size=(20, 2)) * 0.1
    labels = pd.Series(pd.Categorical(["a"] * 10 + ["b"] * 8 + [None] * 2))
    found = codes.agreement(code, labels, 1, values())
    assert found == {"geometric": 1.0, "arithmetic": 1.0, "ARI": 1.0, "k-means sd": 0.0}


def test_rows_are_asked_for_by_length_and_seed(mine, values):
    asked = scores.asked(values(z_dims=[2, 10], without_adversary=[10], baselines=["pca", "tsne"]))
    of_a_seed = [name for _, name, s in asked if s == 1]
    assert of_a_seed == [
        "faithful, K = 2", "repaired, K = 2", "faithful, K = 10", "repaired, K = 10", "faithful, no adversary, K = 10",
        "repaired, no adversary, K = 10", "PCA, K = 2", "t-SNE, K = 2", "PCA, K = 10",
    ]  # fmt: skip
    assert {task[0] for task in asked} == {mine}


@pytest.mark.parametrize(
    "dataset", ["Zeisel", "macosko_720.h5ad", "a/10x_68k_720.h5ad", "10x_73k_720", "rosenberg_720"]
)
def test_a_claim_of_a_row_is_one_of_the_paper(dataset):
    known, found = {claim.id for claim in claims_of.claims("lin2020")}, []
    for name in experiments.get("dr_a.scores").methods:
        held = dict.fromkeys(
            (codes.metric(s, k) for s in ("geometric", "arithmetic") for k in ("group9", "level1")), 0.5
        )
        row = {"method": name, "dataset": dataset, "scores": held, "settings": {"label_set": "level1"}}
        if training.split(name) != ("t-SNE", 10) and training.split(name) != ("t-SNE", 20):  # never asked for
            found += scores.claims(row).items()
    assert {claim for _, claim in found} <= known
    assert len(found) == 19
    assert {metric for metric, _ in found} == {"NMI, geometric, level1", "NMI, arithmetic, level1"}


def test_lengths_that_nobody_published_have_no_claim():
    row = {"method": "faithful, K = 3", "dataset": "Zeisel", "scores": {NMI: 0.5}, "settings": {}}
    assert scores.claims(row) == {}


def test_a_training_that_ended_is_a_row_with_its_reason_and_without_values(mine, values, monkeypatch):
    def fit(self, *args, **options):
        raise TrainingError("got loss = nan in epoch 47")

    monkeypatch.setattr(DRA, "fit", fit)
    for name, method in (("dr_a.scores", "faithful, K = 10"), ("dr_a.datasets", "faithful, K = 2")):
        found = experiments.row(name, mine, method, 0, settings(name, values()))
        assert (found["status"], found["reason"]) == ("ok", None)
        assert next(iter(found["scores"].values())) is None
        assert arrays.unpacked(found["arrays"])["ended"].tolist() == ["got loss = nan in epoch 47"]
    assert experiments.row("dr_a.scores", mine, "faithful, K = 10", 0, settings("dr_a.scores", values()))["claims"] == {
        NMI: "dra.table2.k10.zeisel.dra"
    }
    found = experiments.row("dr_a.guards", mine, "without guards", 0, settings("dr_a.guards", values()))
    assert found["scores"] == {guards.ENDED: 1.0}
    found = experiments.row("dr_a.defects", mine, "R7", 0, settings("dr_a.defects", values()))
    assert (found["status"], found["reason"]) == ("gap", "got loss = nan in epoch 47")


def test_further_data_are_scored_by_their_first_labels(mine, values):
    asked = settings("dr_a.datasets", values())
    found = {name: experiments.row("dr_a.datasets", mine, name, 0, asked) for name in ("faithful, K = 2", "PCA, K = 2")}
    for row in found.values():
        assert row["scores"].keys() == datasets.METRICS.keys()
        assert (row["scores"]["cells"], row["scores"]["classes"]) == (60, 3)
    gap = experiments.row("dr_a.datasets", "nothing_there", "PCA, K = 2", 0, asked)
    assert gap["status"] == "gap"
    assert "nothing_there" in gap["reason"]


def test_why_there_are_no_rows(values):
    for asked, given, reason in (
        (datasets.asked, {}, "no further data sets were asked for"),
        (datasets.asked, {"more_datasets": ["x"], "train": False}, "nothing is trained on further data"),
        (parts.asked, {"experiments": False}, "further trainings were not asked for"),
        (parts.asked, {"fast": True}, "left out at test size"),
        (parts.asked, {"part_seeds": []}, "parameter part_seeds"),
        (guards.asked, {"unguarded": 0}, "no seeds, or no further trainings"),
        (guards.asked, {"train": False}, "no seeds, or no further trainings"),
    ):
        with pytest.raises(NotApplicable, match=reason):
            asked(values(**given))


def test_parts_are_trained_at_the_length_shown_and_the_bottleneck_at_the_shortest(mine, values):
    asked = parts.asked(values(z_dims=[10, 2], z_dim=10, seeds=[3]))
    assert {seed for *_, seed in parts.asked(values(seeds=[3], part_seeds=[4, 5]))} == {4, 5}
    assert [name for _, name, _ in asked] == [
        f"{name}, K = {2 if name == 'no bottleneck' else 10}" for name in parts.PARTS
    ]
    found = experiments.row("dr_a.parts", mine, "no bottleneck, K = 2", 0, settings("dr_a.parts", values()))
    assert found["scores"][codes.DEPTH] > 0


def test_a_guarded_training_that_the_scores_have_is_not_asked_for_again(values):
    asked = values(seeds=[0, 7], unguarded=3)
    assert guards.risked(asked) == [0, 7, 1]
    assert guards.known(asked) == [0, 7]
    tasks = [(name, s) for _, name, s in guards.asked(asked)]
    assert tasks == [("without guards", 0), ("without guards", 7), ("without guards", 1), ("with guards", 1)]
    for given in ({"guards": False}, {"variants": ["repaired"]}, {"z_dim": 10}):
        assert guards.known(values(seeds=[0], unguarded=2, **given)) == []


def test_the_guards_of_a_row_are_those_of_its_name(mine, values, monkeypatch):
    built = []
    build = training.build
    monkeypatch.setattr(training, "build", lambda *a: built.append(build(*a)) or built[-1])
    found = [
        experiments.row("dr_a.guards", mine, name, 0, settings("dr_a.guards", values()))["scores"]
        for name in ("without guards", "with guards")
    ]
    assert [(model.guards, model.latent_dim) for model in built] == [(False, 2), (True, 2)]
    assert all(own[guards.ENDED] == 0 and math.isfinite(own[guards.LOSS]) for own in found)


def test_defects_are_measured_both_ways(mine, values):
    asked = settings("dr_a.defects", values())

    def sides(name):
        return list(experiments.row("dr_a.defects", mine, name, 0, asked)["scores"].values())

    assert sides(defects.WITHOUT_D2) == [0.0, 0.0]  # nothing learns from the released D2
    released, otherwise = sides("R7")
    assert released == 0.0 < otherwise
    released, otherwise = sides("R8")
    assert released == 0.0 < otherwise
    case = cases.prepare(mine, 0, values())
    assert sides("R9") == [pytest.approx((case.counts > 1).mean()), 0.0]
    assert sides("R13") == pytest.approx([case.logs.max(), case.logs[case.train].max()])


def test_the_data_are_looked_at_where_nothing_more_is_trained(values):
    assert [name for _, name, _ in defects.asked(values(experiments=False))] == ["R9", "R13"]
    assert [name for _, name, _ in defects.asked(values())] == list(defects.DEFECTS)
