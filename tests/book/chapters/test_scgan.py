"""What the chapter on scGAN shows and says, of made-up rows: it changes where the numbers do."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scgen_book.chapters.scgan import figures, findings, tables
from scgen_book.chapters.scgan.scores import TOO_FEW, Scores
from scgen_book.chapters.scgan.scores import shown as shown_of
from scgen_book.chapters.scgan.takeaways import takeaways
from scgen_book.experiments import arrays
from scgen_book.experiments.rows import Rows
from scgen_book.experiments.scgan import augmentation, realism
from scgen_book.experiments.scgan.judge import PARAMETRIC
from scgen_book.results import Run

VALUES = {
    "variants": ["repaired"], "seeds": [0], "seed": 0, "fast": True, "unconditional": False, "conditional": True,
    "critic_input_scale": None, "bn_momentum": None, "dataset": "toy", "steps": 20, "by_class": True, "out": None,
    "min_test_cells": 10, "augment_class": None, "augment_steps": 5, "augment_seeds": [0], "critic_iters": 5,
    "gen_layers": [8], "critic_layers": [8], "latent_dim": 4, "library_size": 20000.0, "gen_norm": "batchnorm",
}  # fmt: skip
CONTROLS = {"real": 0.5, "bootstrap": 0.55, "permuted": 0.66, "poisson": 0.75, PARAMETRIC: 0.7}


class Toy:
    """What takeaways and tables ask of a case."""

    names, about, part = ["B", "NK"], {"name": "toy"}, np.array(["train", "test", "test"])
    labels = np.array(["B", "NK", "NK"])

    def wanted(self, part):
        return pd.Series(self.labels[self.part == part]).value_counts().to_dict()


def row(experiment, method, scores, kept=None, seed=0):
    chosen = experiment.methods[method]
    found = {
        "experiment": experiment.name, "dataset": "toy", "method": method, "role": chosen.role,
        "variant": chosen.variant, "seed": seed, "settings": {}, "status": "ok", "reason": None, "duration_s": 0.1,
        "scores": scores, "claims": {}, "arrays": arrays.packed(kept or {}),
    }  # fmt: skip
    return found | {"claims": dict(experiment.claims(found))}


def model(auc=0.9, slope=1.5):
    kept = {f"history {name}": np.array([1.0, slope]) for name in ("step", "slope", "critic", "generator", "penalty")}
    kept |= {"history learning_rate": np.array([1e-3, 1e-4])}
    kept |= {"classes": np.array(["B"]), "by class": np.array([[0.8, 0.01, 0.4]])}
    scores = {f"{name}, last block": slope for name in realism.LAST} | {"weights": 12, "seconds": 2.0}
    scores |= {"updates of critic": 100, "updates of generator": 20, "cells": 20}
    scores |= {"rf_auc": auc, "mmd2": 0.01, "logistic_accuracy": 0.95, "rf_auc, as counts": 0.97}
    return row(realism.EXPERIMENT, "repaired", scores, kept)


def real_rows(auc=0.9, slope=1.5):
    found = [model(auc, slope)]
    found += [
        row(realism.EXPERIMENT, name, {"rf_auc": value, "mmd2": value / 100, "logistic_accuracy": 0.8, "cells": 20})
        for name, value in CONTROLS.items()
    ]
    test = {"logistic_accuracy": 0.8, "cells": 20}
    return Rows(realism.EXPERIMENT, [*found, row(realism.EXPERIMENT, "test", test)])


def helped_rows(generated=0.9):
    def of(way, f1):
        kept = {"share": [0.2, 0.05], "cells": [4, 1], "precision": [f1, f1], "recall": [f1, f1], "F1": [f1, f1]}
        return row(augmentation.EXPERIMENT, way, dict.fromkeys(("precision", "recall", "F1"), f1), kept)

    f1 = {"no help": 0.2, "weights of classes": 0.3, "cells repeated": 0.5, augmentation.GENERATED: generated}
    return Rows(augmentation.EXPERIMENT, [of(way, value) for way, value in {**f1, augmentation.ALL: 0.8}.items()])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def said(realism_rows, augmentation_rows, values=VALUES):
    return "\n".join(takeaways(realism_rows, augmentation_rows, Toy(), values))


def test_takeaways_follow_the_numbers():
    lines = said(real_rows(), helped_rows())
    assert "AUC 0.90 repaired; controls: 0.50 real, 0.66 permuted, 0.75 poisson, 0.70 NB per class" in lines
    assert "slope 1.50 and penalty 1.5 in the repaired critic" in lines
    assert "generated cells are the more typical ones" in lines
    assert "One seed is no sample" in lines
    assert "**Not tested at this scale**" in lines
    assert "in 2 of 2 cases" in lines
    assert "With all of its cells: 0.80" in lines
    other = said(real_rows(0.6, 1.1), helped_rows(0.4))
    assert "AUC 0.60 repaired" in other
    assert "slope 1.10" in other
    assert "in 0 of 2 cases" in other
    assert "**repaired against poisson**, on the same seeds: not better: AUC +0.15" in lines
    # better by the one and not by the other: neither is left out
    assert "**the two measures disagree**: AUC -0.15" in other


def test_the_page_shows_the_record_where_it_has_the_seeds_and_follows_its_numbers(in_record):
    book = VALUES | {"edition": "quick", "fast": False}
    own, found = real_rows(), helped_rows()
    assert shown_of(own, book) == (own, book)
    for auc, f1 in ((0.8, 0.9), (0.6, 0.4)):
        plain = real_rows(auc).rows[0] | {"method": "scGAN"}
        in_record([*real_rows(auc, 1.2).rows, plain, *helped_rows(f1).rows], {"steps": 20_000})
        shown, page = shown_of(own, book)
        lines = said(shown, shown_of(found, book)[0], page)
        assert f"AUC {auc:.2f} repaired, {auc:.2f} scGAN; controls: 0.50 real" in lines
        assert "after 20,000 steps: slope 1.20" in lines
        assert f"in {3 if f1 > 0.5 else 0} of 3 cases (means over the shares, 3 seeds)" in lines
        assert f"seed 1: {f1:.2f} against 0.50 (cells repeated)" in lines
        assert "One seed is no sample" not in lines
        assert tables.realism(shown, page).loc[realism.LABELS["rf_auc"][0], "repaired"] == f"{auc:g} ± 0"
        figures.bars(shown, page, "rf_auc", "AUC", 0.5)
        bars = plt.gcf().axes[0]
        drawn = dict(zip([t.get_text() for t in bars.get_yticklabels()], bars.patches, strict=True))
        assert drawn["repaired"].get_width() == pytest.approx(auc)


def test_without_augmentation_nothing_is_said_of_it():
    assert "Augmentation" not in said(real_rows(), Rows(augmentation.EXPERIMENT, [], "not asked for"))


def test_where_cells_could_not_be_compared_a_line_says_so():
    one = model()
    one["scores"] = {name: value for name, value in one["scores"].items() if "rf_auc" not in name}
    rows = Rows(realism.EXPERIMENT, [one])
    assert not Scores(rows, VALUES).usable
    for view in (tables.realism, tables.by_class, figures.genes, figures.confusions):
        assert view(rows, VALUES) is TOO_FEW
    assert "Can a forest tell" not in said(rows, helped_rows())


def test_scores_as_counts_are_those_of_a_method_of_their_own():
    scores = Scores(real_rows(), VALUES)
    assert scores.by_method().loc["rf_auc", "repaired, as counts"] == 0.97
    assert math.isnan(scores.of("faithful", "rf_auc"))
    run = Run("scgan")
    tables.record(run, real_rows())
    found = {(r["metric"], r["variant"], r["method"]): r["value"] for r in run.records}
    assert found["rf_auc", "repaired", "scgan"] == 0.9
    assert found["rf_auc", "repaired, as counts", "scgan"] == 0.97
    assert found["rf_auc", None, "poisson"] == 0.75


def test_tables_have_a_line_a_training_a_metric_and_a_class():
    rows = real_rows()
    assert "slope" in tables.trainings(rows, VALUES).to_html()
    assert "small stand-in" in tables.scale(rows, VALUES).data
    published = VALUES | {"steps": 1_000_000, "gen_layers": [256, 512, 1024]}
    assert "the published size" in tables.scale(rows, published).data
    shown = tables.realism(rows, VALUES)
    assert shown.loc[realism.LABELS["rf_auc"][0], "repaired"] == "0.9"
    assert tables.by_class(rows, VALUES).loc[("B", realism.LABELS["mmd2"][0]), "repaired"] == "0.01"
    assert (
        "not asked for"
        in tables.by_class(Rows(realism.EXPERIMENT, [_without_classes()]), VALUES | {"by_class": False}).data
    )


def _without_classes():
    return model() | {"arrays": {}}


def test_the_course_of_all_trainings_is_written_into_the_folder_out(tmp_path):
    tables.trainings(real_rows(), VALUES | {"out": str(tmp_path)})
    course = pd.read_csv(tmp_path / "history.csv")
    assert course["slope"].tolist() == [1.0, 1.5]
    assert set(course["model"]) == {"repaired"}


def test_augmentation_is_recorded_by_seed_under_the_first_variant():
    run = Run("scgan")
    shown = tables.augmentation(helped_rows(), run, Toy(), VALUES)
    found = {(r["claim"], r["variant"]): r["value"] for r in run.records if r["claim"]}
    assert found == {
        ("scgan.augmentation.reduced", "repaired"): pytest.approx(0.2),
        ("scgan.augmentation.upsampled", "repaired"): pytest.approx(0.5),
        ("scgan.augmentation.augmented", "repaired"): pytest.approx(0.9),
    }
    assert shown.index[-1] == (1.0, 0, "all cells")
    # shares in the order in which they were asked for
    assert list(dict.fromkeys(shown.index.get_level_values("share"))) == [0.2, 0.05, 1.0]


def test_figures_are_drawn_from_what_rows_have_kept():
    rows = real_rows()
    figures.training(rows, VALUES)
    figures.bars(rows, VALUES, "rf_auc", "AUC", 0.5)
    bars = plt.gcf().axes[0]
    assert [t.get_text() for t in bars.get_yticklabels()] == [*CONTROLS, "repaired", "repaired, as counts"]
    figures.augmentation(helped_rows(), Toy(), VALUES)
    assert len(plt.get_fignums()) == 3


def test_effects_of_a_training_need_the_faithful_one():
    scores = Scores(real_rows(), VALUES)
    assert findings._of_training(scores) == {}
    # a kind whose first training failed is not shown
    failed = [model(), model() | {"method": "faithful", "status": "gap", "scores": {}, "reason": "not finite"}]
    both = VALUES | {"variants": ["repaired", "faithful"]}
    assert Scores(Rows(realism.EXPERIMENT, failed), both).kinds == ["repaired"]
