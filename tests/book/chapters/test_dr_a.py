"""What DR-A's chapter shows and says of its rows: tables, figures, findings, takeaways, and what it writes."""

import dataclasses

import anndata
import matplotlib
import numpy as np
import pytest
from IPython.display import Markdown

from scgen_book import claims, experiments, notebooks, parameters, record, results
from scgen_book.chapters.dr_a import figures, files, findings, tables, trained
from scgen_book.chapters.dr_a.takeaways import caveats, steps, takeaways
from scgen_book.experiments import arrays
from scgen_book.experiments.dr_a import cases, codes, defects, guards, parts, training
from scgen_book.experiments.rows import Rows
from scgen_lib.errors import CheckpointError

pytestmark = pytest.mark.usefixtures("eager")

matplotlib.use("Agg")
HISTORY = {
    "loss": [3.0, 2.0], "v": [1.0, 0.1], "clipped_v": [0.0, 0.5], "clipped_l_v": [0.0, 0.0], "clipped_l": [0.0, 0.0],
}  # fmt: skip
GAME = {
    "d1": [-1.0, -2.0], "d1_min": [-3.0, -2.5], "encoder_min": [0.5, 0.25], "d2_min": [1.0, 1.5],
    "d1_mixed": [0.5, 1.0],
}  # fmt: skip


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    rng = np.random.default_rng(0)
    types = np.arange(60) % 3
    cells = anndata.AnnData(rng.poisson(rng.gamma(2, 2, (3, 25))[types]).astype("float32"))
    cells.obs["cell_type"] = np.array(["a", "b", "c"])[types]
    path = tmp_path_factory.mktemp("data") / "mine.h5ad"
    cells.write_h5ad(path)
    return str(path)


@pytest.fixture
def values(mine):
    def of(**given):
        tiny = {"dataset": mine, "batch_size": 16, "X_dim": 20, "z_dim": 10, "seeds": [0, 1, 2], "port": False}
        spec = parameters.declared("dr_a") | parameters.from_notebook(notebooks.path("dr_a"))
        return experiments.complete("dr_a", parameters.check(tiny | given, spec))

    return of


def row(experiment, method, seed, scores, kept=None, dataset="mine"):
    """A row as it would be computed."""
    chosen = experiments.get(experiment).methods[method]
    return {
        "experiment": experiment, "dataset": dataset, "method": method, "role": chosen.role, "variant": chosen.variant,
        "seed": seed, "settings": {}, "status": "ok", "reason": None, "duration_s": 1.0, "scores": scores, "claims": {},
        "arrays": arrays.packed(kept or {}),
    }  # fmt: skip


def code_row(method, seed, nmi, *, sample=None, ended=None, history=None, **scores):
    """A row of the scores or the parts, with one value for all measures of its code."""
    experiment = "dr_a.parts" if training.split(method)[0] in parts.PARTS else "dr_a.scores"
    if ended:
        names = [codes.metric(name, "cell types") for name in list(codes.SCORES)[:3]]
        return row(experiment, method, seed, dict.fromkeys(names), {"ended": np.array([ended])})
    found = {}
    for kind, value in ((None, nmi), ("mean", nmi), ("sample", nmi if sample is None else sample)):
        found |= {codes.metric(name, "cell types", kind): value for name in list(codes.SCORES)[:3]}
    found[codes.metric("k-means sd", "cell types")] = 0.02
    kept = codes.histories(HISTORY | (history or {})) | {
        "moved": np.array([0.5, 0.0]), "moved_parts": np.array(["z", "reconstruction"]),
        "sizes": np.array([3, 4]), "sizes_parts": np.array(["encoder", "total"]), "code": np.zeros((12, 2), "float32"),
        "d1_prior": np.arange(4, dtype="float32"), "d1_code": np.arange(4, dtype="float32"),
    }  # fmt: skip
    return row(experiment, method, seed, found | scores, kept)


def of_scores(*rows):
    return Rows(experiments.get("dr_a.scores"), rows)


def some(methods, seeds=(0, 1, 2)):
    """Rows of methods with a mean score each, which varies a little with the seed."""
    return [code_row(name, s, nmi + 0.01 * s) for name, nmi in methods.items() for s in seeds]


@pytest.fixture
def told(mine, values):
    """The trainings of rows, as the views take them."""

    def of(*rows, **given):
        asked = values(**given)
        return trained.Trained(cases.prepare(mine, 0, asked), asked, of_scores(*rows))

    return of


def test_a_training_that_ended_is_counted_and_told(told):
    rows = [code_row("faithful, K = 10", 0, 0.5), code_row("faithful, K = 10", 1, None, ended="got loss = nan")]
    of = told(*rows)
    table = tables.agreement(of)
    assert table.loc[(10, "cell types", "faithful"), "NMI, geometric"] == "0.500 (1 of 2 ended)"
    assert tables.endings(of_scores(*rows)) == "K = 10, faithful, seed 1 ended: got loss = nan\n"
    assert of.score("faithful").to_dict() == {0: 0.5}
    run = results.Run("dr_a", parameters={"dataset": "mine"}, dataset={"name": "mine of mine"})
    trained.record(run, of_scores(*rows))
    last = run.records[-1]
    assert (last["value"], last["note"]) == (None, "got loss = nan; value was nan")
    assert {record["dataset"] for record in run.records} == {"mine of mine"}


def test_a_row_that_failed_is_told_and_a_missing_package_is_not():
    failed, missing = code_row("faithful, K = 10", 0, 0.5), code_row("scVI, K = 10", 0, 0.5)
    failed |= {"status": "gap", "reason": "OSError: full"}
    missing |= {"status": "gap", "reason": "Not installed: the package scvi, which is an optional extra."}
    look = row("dr_a.defects", "R9", 0, {}) | {"status": "gap", "reason": "no data"}
    found = tables.endings(of_scores(failed, missing), Rows(experiments.get("dr_a.defects"), [look]))
    assert found.splitlines() == [
        "K = 10, faithful, seed 0 was not measured: OSError: full", "R9, seed 0 was not measured: no data",
    ]  # fmt: skip


def test_trained_methods_stand_before_others_length_by_length(told):
    methods = {"faithful, K = 2": 0.3, "PCA, K = 2": 0.4, "faithful, K = 10": 0.5, "PCA, K = 10": 0.4}
    table = tables.agreement(told(*some(methods), z_dims=[2, 10], baselines=["pca"]))
    assert [(k, method) for k, _, method in table.index] == [
        (2, "faithful"), (10, "faithful"), (2, "PCA"), (10, "PCA"),
    ]  # fmt: skip
    assert table.loc[(2, "cell types", "PCA"), "ARI"] == "0.410 ± 0.010"


def test_the_paper_has_the_published_numbers_and_bars_of_other_data_have_not(told):
    of = told(*some({"faithful, K = 10": 0.5, "repaired, K = 10": 0.6, "PCA, K = 10": 0.4}))
    bars = figures.bars(of).set_index("method")
    assert bars.loc["faithful", "value"] == pytest.approx(0.51)
    assert bars.loc["faithful", "sd"] == pytest.approx(0.01)
    assert bars["published"].isna().all()
    assert list(bars.index) == ["faithful", "repaired", "PCA"]
    paper = tables.paper(of).data.set_index(["K", "method"])
    assert paper.loc[(10, "DR-A"), ["Zeisel-3k", "this run: mine"]].tolist() == [0.7893, "0.510 ± 0.010"]
    assert paper.loc[(2, "DR-A"), "this run: mine"] == "–"
    assert len(paper) == 21
    of.case = dataclasses.replace(of.case, about={"name": "zeisel_4000"})
    bars = figures.bars(of).set_index("method")
    assert bars.loc["faithful", ["value", "published"]].tolist() == [pytest.approx(0.51), 0.7893]
    assert np.isnan(bars.loc["repaired", "published"])
    assert (bars.loc["ZIFA", "published"], np.isnan(bars.loc["ZIFA", "value"])) == (0.7807, True)


def test_an_edition_of_the_book_shows_the_record_of_the_papers_cells(told, tmp_path, monkeypatch):
    kept = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: kept)
    own = told(*some({"faithful, K = 10": 0.5}), edition="quick")
    metric = codes.metric("geometric", "group9")
    for seed, value in enumerate((0.7, 0.72, 0.77)):
        assert trained.of_the_paper(own) is own  # until there are three seeds
        for method, mean in (("faithful, K = 10", value), ("PCA, K = 10", 0.55), ("port's settings, K = 2", 0.4)):
            made = row("dr_a.scores", method, seed, {metric: mean}, dataset="zeisel_4000")
            kept.add(made, 1.0, {"batch": "made up"})
    bars = figures.bars(trained.of_the_paper(own)).set_index(["panel", "method"])
    assert bars.loc[("K = 10", "faithful"), ["value", "published"]].tolist() == [pytest.approx(0.73), 0.7893]
    assert bars.loc[("K = 2", training.PORT), "published"] == 0.464
    of_a_user = told(*some({"faithful, K = 10": 0.5}))
    assert trained.of_the_paper(of_a_user) is of_a_user


def test_figures_are_drawn_or_say_why_not(told):
    import matplotlib.pyplot as plt

    of = told(*[code_row(f"{name}, K = 2", 0, 0.5, history=GAME) for name in ("faithful", "repaired")], z_dim=2)
    code = np.random.default_rng(0).normal(size=(12, 2))
    clusters = figures.clusters(of, code)
    assert list(clusters.categories) == ["cluster 1", "cluster 2", "cluster 3"]
    for view in (figures.histories, figures.agreement, figures.flat_codes, figures.moved, figures.logits):
        plt.close("all")
        assert view(of) is None
        assert plt.get_fignums(), view.__name__
    assert figures.contingency(of, clusters) is None
    plt.close("all")
    ended = told(code_row("faithful, K = 10", 0, None, ended="nan"))
    for found, words in (
        (figures.maps(of, figures.layouts(of, code)), "maps of longer codes need codes of more than two numbers"),
        (figures.maps(ended, figures.layouts(ended, None)), "no training of this length came to its end"),
        (figures.contingency(ended, None), "no training of this length came to its end"),
        (figures.flat_codes(ended), "codes of two numbers were not asked for (parameter `z_dims`)"),
        (figures.histories(ended), "no training of this length came to its end"),
        (figures.logits(told(variants=["repaired"], adversarial="none")), "logits of D1 need an adversary"),
    ):
        assert isinstance(found, Markdown)
        assert found.data == f"*Not shown in this run: {words}.*"
    assert not plt.get_fignums()


def test_maps_are_laid_out_of_longer_codes_and_drawn_by_class_and_by_cluster(told, monkeypatch):
    of = told(code_row("faithful, K = 10", 0, 0.5))
    monkeypatch.setattr(figures.scores, "umap", lambda x, seed: x[:, :2])
    monkeypatch.setattr(figures.clustering, "tsne", lambda x, seed: x[:, 2:4])
    drawn = []
    monkeypatch.setattr(figures.plots, "embedding_panels", lambda *asked: drawn.append(asked))
    code = np.random.default_rng(0).normal(size=(12, 10))
    flat = figures.layouts(of, code)
    figures.maps(of, flat)
    figures.maps(of, flat, by="clusters")
    assert list(flat) == ["t-SNE of z, K = 10", "UMAP of z, K = 10"]
    assert drawn[0][1].tolist() == of.case.test_labels.tolist()
    assert drawn[1][1] == "clusters"


def of_guards(*fates):
    """Rows of the guards: method, seed and whether the training ended."""
    rows = []
    for method, seed, ended in fates:
        scores = {guards.ENDED: float(ended)} | ({} if ended else {guards.LOSS: 2.0})
        kept = {"ended": np.array(["got loss = nan in epoch 47"])} if ended else codes.histories(HISTORY)
        rows.append(row("dr_a.guards", method, seed, scores, kept))
    return Rows(experiments.get("dr_a.guards"), rows)


def test_what_the_guards_hide_is_told_seed_by_seed(told):
    of = told(code_row("faithful, K = 2", 0, 0.5), z_dim=2, seeds=[0], unguarded=2)
    found = of_guards(("without guards", 0, True), ("without guards", 1, False), ("with guards", 1, False))
    table = tables.fates(found, of).data
    assert table["without guards"].tolist() == ["got loss = nan in epoch 47", "finite, last loss 2.0"]
    # the guarded training of the first seed is one of the scores
    assert table["with guards"].tolist() == ["finite, last loss 2.0"] * 2
    assert table.loc[0, "ln v on its bounds"] == "50.0%"
    assert table.loc[0, "smallest mean v"] == "1.0e-01"
    assert findings.ends(of, found) == {"seeds": 2, "lost": 1, "kept": 0, "held": 2}


def test_further_data_are_compared_on_the_seeds_that_came_to_their_end(values):
    rows = []
    for s, (own, other) in enumerate([(0.6, 0.5), (0.7, 0.4), (None, 0.9)]):
        for method, value in (("faithful, K = 10", own), ("PCA, K = 10", other)):
            scores = {"NMI, geometric": value, "cells": 2000.0, "classes": 6.0}
            kept = {"simulated": np.array([1])} | ({"ended": np.array(["nan"])} if value is None else {})
            rows.append(row("dr_a.datasets", method, s, scores, kept, "splat"))
    rows.append(row("dr_a.datasets", "PCA, K = 10", 0, {}, dataset="nope") | {"status": "gap", "reason": "got 'nope'"})
    asked = values(more_datasets=["splat", "nope"])
    table = tables.further_data(Rows(experiments.get("dr_a.datasets"), rows), asked).data.set_index("data")
    line = table.loc["splat (simulated)"]
    assert line[["cells", "classes", "DR-A", "PCA"]].tolist() == ["2,000", "6", "0.650", "0.450"]
    assert line["DR-A − PCA"] == "+0.200, above in 2 of 3 seeds"
    assert table.loc["nope", "DR-A − PCA"] == "not run: got 'nope'"


def test_where_no_further_data_were_asked_for_those_of_the_record_are_shown(values):
    scores = {"cells": 700.0, "classes": 10.0}
    of = [("faithful, K = 10", 0, 0.6), ("faithful, K = 10", 1, 0.7), ("PCA, K = 10", 0, 0.5)]
    kept = [
        row("dr_a.datasets", m, s, scores | {"NMI, geometric": v}, dataset="blood") | {"arrays": {}} for m, s, v in of
    ]
    rows = Rows(experiments.get("dr_a.datasets"), [], "none were asked for", kept)
    line = tables.further_data(rows, values(more_datasets=None)).data.set_index("data").loc["blood"]
    # the second seed of DR-A has nothing beside it yet
    assert line[["cells", "DR-A", "PCA"]].tolist() == ["700", "0.600", "0.500"]
    assert line["DR-A − PCA"] == "+0.100, above in 1 of 1 seed"


def of_defects(**sides):
    rows = [row("dr_a.defects", n, 0, dict(zip(("released", "otherwise"), v, strict=True))) for n, v in sides.items()]
    return Rows(experiments.get("dr_a.defects"), rows)


def everything(told, game=0.5, **given):
    """Rows of all trainings of which findings are differences."""
    moved = {codes.MOVED: 0.0, codes.AUC: 0.6, codes.DEPTH: 0.1}
    rows = [code_row("faithful, K = 10", s, 0.6, sample=0.55, history=GAME, **moved) for s in (0, 1, 2)]
    rows += [code_row("described game, K = 10", s, game, **moved | {codes.MOVED: 0.3}) for s in (0, 1, 2)]
    others = {"repaired": 0.7, "repaired, no adversary": 0.65, "faithful, no adversary": 0.62, "counts": 0.61,
              "absolute": 0.4, "no bottleneck": 0.6, "bn on": 0.3, "one Adam": 0.2}  # fmt: skip
    rows += [code_row(f"{n}, K = 10", s, v, history=GAME, **moved) for n, v in others.items() for s in (0, 1, 2)]
    rows += [code_row("PCA, K = 10", s, 0.5) for s in (0, 1, 2)]
    return told(*rows, **{"unguarded": 2} | given)


def test_every_measured_peculiarity_is_a_finding_both_ways(told):
    of = everything(told)
    run = results.Run("dr_a", parameters=of.values, dataset={"name": "mine"})
    fates = [(name, s, name == "without guards") for s in (0, 1) for name in ("without guards", "with guards")]
    looked = of_defects(**dict.fromkeys(defects.DEFECTS, (1.0, 2.0)))
    findings.find(run, of, of_guards(*fates), looked)
    found = {one["name"]: one for one in run.findings}
    assert set(found) == set(claims.deviations("dr_a")) - {"R4", "R14"}
    assert (found["R1"]["released"], found["R1"]["otherwise"], found["R1"]["part"]) == ([0.0] * 3, [0.3] * 3, True)
    assert found["R1, R2"]["otherwise"] == [0.5] * 3
    assert found["R4, R14"]["released"] == [1.0, 1.0]
    assert (found["R10"]["released"], found["R10"]["otherwise"]) == ([0.55] * 3, [0.6] * 3)
    assert found["R11"]["released"] == [0.3] * 3
    assert found["R7"]["quantity"] == "largest mean that batch normalisation has learned, 3 epochs"
    assert found["R3"]["quantity"] == "NMI of clusters and labels, mine, K = 10"
    assert all("{" not in one["quantity"] for one in run.findings)
    assert not any(one["figure"] for one in run.findings if not one["part"])


def test_with_the_port_at_hand_its_settings_are_what_bn_is_measured_by(told):
    assert findings.pairs(everything(told))["R11"].released == "bn on, K = 10"
    assert findings.pairs(everything(told, port=True))["R11"].released == "port's settings, K = 10"
    assert "R11" not in findings.pairs(everything(told, bn=True))
    assert findings.pairs(everything(told, z_dims=[10, 2]))["R6"].otherwise == "no bottleneck, K = 2"


def test_words_beside_the_findings(told):
    found = findings.notes(everything(told), of_defects(**{defects.WITHOUT_D2: (0.25, 0.0)}))
    assert found["R1"] == "codes with and without D2 differ by at most 0.25 (3 epochs, no dropout)"
    assert found["R2"] == "loss of D1 from -1.00 to -2.00, first seed"
    assert found["R3"] == (
        "smallest loss of a mini-batch: d1 -3.00, encoder 0.25, d2 1.00; mixed signs in 75% of the steps of D1; with "
        "absolute values smallest d1 -3.00"
    )
    assert found["R4"] == "largest share of ln v on its bounds: K = 10: 50.0%"
    assert found["R11"] == "absl of this run reads the words --bn False as True"
    assert "expected lam = 1.0" in found["R8"]
    assert findings.notes(told(), of_defects())["R4"].endswith("bounds: –")


def test_what_stands_where_nothing_was_measured(told, mine, values):
    assert findings.missing(told()) == "not measured: needs the extra trainings"
    asked = values(fast=True, dataset=mine)
    fast = trained.Trained(cases.prepare(mine, 0, asked | {"batch_size": 16}), asked, of_scores())
    assert findings.missing(fast) == "not measured: run at test size"


def said(of, fates=(), effects=None):
    lines = takeaways(of, of_guards(*fates), of_defects(**{defects.WITHOUT_D2: (0.0, 0.0)}), effects or {"R1": "none"})
    return "\n".join(lines)


def test_takeaways_follow_the_numbers(told):
    one, other = said(everything(told, game=0.5)), said(everything(told, game=0.8))
    assert "**What the description asks for** (K = 10, means of codes): NMI: −0.10" in one
    assert "**What the description asks for** (K = 10, means of codes): NMI: +0.20" in other
    assert "**What we added** (K = 10, means of codes): NMI: +0.03" in one
    assert "The highest by NMI and by ARI is repaired." in one
    assert "**K = 10, repaired**, on the same seeds: NMI: +0.05 ± 0.00 against repaired, no adversary, +0.20" in one
    assert "went from 1 to 0.1 in the first seed; NMI 0.550 of samples and 0.600 of means." in one
    assert "moves the NMI of one and the same code by 0.020" in one
    assert "**mine stands in** for the paper's data" in one
    assert "**Dual matching**: none." in one
    assert "Fewer than three seeds" not in one


@pytest.mark.parametrize(
    ("name", "line"),
    [("zeisel_4000", "**zeisel_4000 is kindred data**"), ("macosko_720", None), ("zeisel_720", None)],
)
def test_the_papers_cells_are_not_called_a_stand_in(told, name, line):
    of = everything(told)
    lines = caveats(trained.Trained(dataclasses.replace(of.case, about={"name": name}), of.values))
    assert not any("stands in" in text for text in lines)
    assert [text for text in lines if "kindred" in text and text.startswith(line or "-")] == lines[: bool(line)]


def test_the_cells_of_a_map_can_be_asked_for_their_class(told):
    of = everything(told)
    shown = np.random.default_rng(0).normal(size=(len(of.case.test), 2))
    html = figures.named(of, {"t-SNE": (-shown, np.nan), "UMAP": (shown, np.nan)}).data
    for name in set(of.case.test_labels):
        assert html.count(f"test cells: {name}<") == (of.case.test_labels == name).sum()
    assert "no training of this length came to its end" in figures.named(of, {}).data


def test_the_guards_and_too_few_seeds_are_told(told):
    of = everything(told, seeds=[0, 1], guards=False)
    lost = said(of, [("without guards", 0, True), ("with guards", 0, False)])
    assert "1 of 1 trainings ended at values that are not finite without them, 0 with them, which held" in lost
    assert "What the faithful variant shows of such a seed, the released formulas do not reach." in lost
    none = said(of, [("without guards", 0, False), ("with guards", 0, False)])
    assert "the guards hide no such end" in none
    assert "**Guards**" not in said(of)
    assert "**Fewer than three seeds** of the model" in none
    assert "**Scale**: 600 updates of the autoencoder" in none
    assert "X_dim 20 (published 720)" in none


def test_the_parts_are_compared_with_the_release_on_the_same_seeds(told):
    table = tables.parts(everything(told)).data.set_index("model")
    assert table.loc["as released", "NMI, less as released"] == "–"
    assert table.loc["the described game alone", "NMI, less as released"] == "−0.100 ± 0.000"
    assert list(table.index) == [*tables.MODELS.values()]


def test_a_run_without_parts_shows_those_of_the_record_among_its_trainings(told, tmp_path, monkeypatch):
    kept = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: kept)
    own = told(*some({"faithful, K = 10": 0.5}), edition="quick", part_seeds=[])
    nothing = Rows(experiments.get("dr_a.parts"), [], "not asked for")
    assert own.with_parts(nothing).apart.of("described game") == {}
    metrics = [codes.metric("geometric", "group9", kind) for kind in (None, "mean")] + ["ARI, group9, of means"]
    for seed in range(3):
        for name, value in {"faithful": 0.6, "described game": 0.4, "PCA": 0.3}.items():
            made = row("dr_a.parts" if name == "described game" else "dr_a.scores", f"{name}, K = 10", seed,
                       dict.fromkeys(metrics, value), dataset="zeisel_4000")  # fmt: skip
            kept.add(made, 1.0, {"batch": "made up"})
    found = own.with_parts(Rows(nothing.experiment, [], "not asked for", kept.of(nothing.experiment)))
    assert found.of("described game") == {}
    assert found.score("faithful").mean() == pytest.approx(0.51)
    table = tables.parts(found).data.set_index("model")
    assert table.loc["the described game alone", "NMI, less as released"] == "−0.200 ± 0.000"
    run = results.Run("dr_a", parameters=found.values, dataset={"name": "mine"})
    findings.find(run, found, of_guards(), of_defects())
    quantities = {one["name"]: one["quantity"] for one in run.findings}
    assert quantities["R1, R2"] == "NMI of clusters and labels, zeisel_4000, K = 10, in the record"
    lines = "\n".join(steps(found))
    assert "**What the description asks for** (K = 10, means of codes, zeisel_4000 in the record)" in lines
    with_own = own.with_parts(Rows(nothing.experiment, some({"described game, K = 10": 0.2})))
    assert with_own.apart is with_own
    assert with_own.score("described game").mean() == pytest.approx(0.21)


def test_models_of_a_finished_run_are_loaded_or_missed_by_name(mine, values, tmp_path):
    asked = values(z_dim=2, n_l=1, g_h_l1=4, d_h_l1=4, variants=["faithful"], without_adversary=[9], seeds=[0])
    case = cases.prepare(mine, 0, asked)
    assert files.loaded(case, asked) == {}
    again = asked | {"train": False, "checkpoint_dir": str(tmp_path)}
    with pytest.raises(CheckpointError, match="dr_a_faithful_z2_seed0"):
        files.loaded(case, again)
    missing = files.loaded(case, again | {"guards": False})
    assert "dr_a_faithful_z2_seed0" in missing[mine, "faithful, K = 2", 0]["ended"]
    assert not files.model(again | {"guards": False}, "faithful", 0).history
    made = files.model(asked, "faithful", 0).fit(case.cells, epochs=1, batch_size=16, train_rows=case.train)
    files.save(asked | {"out": str(tmp_path)}, made, "faithful", 0)
    (found,) = files.loaded(case, again).values()
    np.testing.assert_array_equal(found["codes"]["mean"], made.embed(case.cells, "mean"))
    # rows of loaded models are written nowhere
    placed = files.placed(again | {"out": "mine", "rows": "rows"})
    assert (placed["out"], placed["rows"]) == (None, None)


def test_models_that_rows_leave_are_collected_and_their_codes_written(mine, values, tmp_path):
    asked = values(z_dims=[2, 3], z_dim=2, n_l=1, g_h_l1=4, d_h_l1=4, variants=["faithful"], out=str(tmp_path))
    case = cases.prepare(mine, 0, asked)
    (tmp_path / "rows" / "models").mkdir(parents=True)
    made = {}
    for k in (2, 3):
        made[k] = training.build("faithful", k, 0, asked).fit(case.cells, epochs=1, batch_size=16)
        made[k].save(tmp_path / "rows" / "models" / training.file_name("faithful", k, 0))
    files.collect(asked)
    assert sorted(p.name for p in tmp_path.glob("*.keras")) == [
        "dr_a_faithful_z2_seed0.keras", "dr_a_faithful_z3_seed0.keras",
    ]  # fmt: skip
    assert not list((tmp_path / "rows" / "models").iterdir())
    rows = [code_row(f"faithful, K = {k}", 0, 0.5) for k in (2, 3)]
    of = trained.Trained(case, asked, of_scores(*rows))
    path = files.save_codes(of, made[2], "faithful")
    cells = anndata.read_h5ad(path)
    np.testing.assert_array_equal(cells.obsm["X_dr_a"], made[2].embed(case.cells))
    np.testing.assert_array_equal(cells.obsm["X_dr_a_faithful_z3"], made[3].embed(case.cells))
    assert cells.obs["dr_a_split"].value_counts().to_dict() == {"train": 48, "test": 12}
    assert cells.uns["dr_a"]["variant"] == "faithful"
    assert files.save_codes(of, None, None) is None
    assert files.placed(values(checkpoint_dir="there"))["rows"] == "there/rows"
