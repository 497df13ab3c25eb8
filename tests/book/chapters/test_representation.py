"""What the comparison of embeddings says follows from its rows."""

import pytest

from scgen_book import record
from scgen_book.chapters import representation
from scgen_book.experiments import recorded
from scgen_book.experiments.representation.cases import PUBLISHED, RepresentationSettings
from scgen_book.experiments.representation.comparison import EXPERIMENT

SETTINGS = RepresentationSettings(epochs={"dca": 5, "db_aae": 3}).values()
KINDS = {"blood": "read from expression", "sim": "simulated"}


def scores(*values):
    return {"nmi": list(values), "ari": [v - 0.1 for v in values], "silhouette": [v / 2 for v in values]}


@pytest.fixture
def found(made_up):
    return made_up("representation", {
        "blood": {
            "labels": scores(1.1, 1.1, 1.1), "dca": scores(0.5, 0.6, 0.7), "cvae_blind": scores(0.3, 0.3, 0.3),
            "cvae_told": scores(0.9, 0.8, 0.9), "pca": scores(0.4, 0.4, 0.5), "log_counts": scores(0.45, 0.45, 0.45),
            "chance": scores(0.1, 0.1, 0.1),
        },
        "sim": {"labels": scores(1.1), "dca": scores(0.2), "pca": scores(0.6), "log_counts": scores(0.5)},
        "gone": {"labels": "the file is absent", "dca": "the file is absent"},
    }, SETTINGS)  # fmt: skip


def test_every_method_has_words_and_its_values_the_variant_that_it_is_run_with():
    assert set(representation.NAMES) == set(EXPERIMENT.methods)
    assert set(representation.RIVALS) < set(EXPERIMENT.methods)
    of = {name: EXPERIMENT.methods[name].variant for name in representation.MODELS}
    assert of == {name: variant for name, (_, variant) in representation.MODELS.items()}
    assert set(PUBLISHED) <= set(representation.NETS)


def test_data_sets_are_described_with_where_their_labels_come_from():
    given = {"datasets": ["splat_g2", "absent.h5ad"], "methods": [], "seeds": [0], "max_cells": 100, "genes": 40}
    table, kinds = representation.described(given)
    assert kinds == {"splat_g2": "simulated"}
    assert table.loc["splat_g2", ["labels", "types", "training cells", "test cells", "genes"]].tolist() == [
        "simulated", "2", "80", "20", "40",
    ]  # fmt: skip
    assert table.loc["absent.h5ad", "labels"].startswith("not run: ")
    assert table.loc["absent.h5ad", "types"] == "–"


def test_a_page_of_the_book_shows_further_data_sets_of_the_record(made_up, tmp_path, monkeypatch):
    kept = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: kept)
    asked = {"datasets": ["blood"], "methods": ["dca", "pca", "scvi"], "edition": "quick"}
    assert recorded.further("representation", asked) == []
    three = {"dca": scores(0.5, 0.6, 0.7), "pca": scores(0.4, 0.4, 0.5)}
    two = {"dca": scores(0.5, 0.6), "pca": scores(0.4, 0.4, 0.5)}
    for row in made_up("representation", {"blood": three, "sim": three, "few": two}, SETTINGS).rows:
        kept.add(row, 1.0, {"batch": "made up"})
    assert recorded.further("representation", asked) == ["sim"]
    assert recorded.further("representation", asked | {"edition": "own"}) == []
    found, kinds = made_up("representation", {"blood": {"dca": scores(0.1)}}, SETTINGS), KINDS | {"few": "simulated"}
    rows, of = representation.shown(found, asked, kinds)
    assert ({row["dataset"] for row in rows.rows}, of) == ({"blood", "sim"}, KINDS)
    rows, of = representation.shown(found, asked | {"edition": "own"}, kinds)
    assert (rows, of) == (found, {"blood": KINDS["blood"]})


def test_data_sets_stand_by_where_their_labels_come_from(found, monkeypatch):
    assert representation.drawn(found, KINDS) == ["sim", "blood"]
    assert representation.drawn(found, {}) == ["blood"]
    many = {f"s{i}": "simulated" for i in range(5)} | {"own": "own labels"}
    assert representation.drawn(found, many) == ["s0", "own", "s1", "s2"]
    drawn = []
    monkeypatch.setattr(representation.plots, "comparison_dots", lambda *of, **how: drawn.append((of, how)))
    assert found.show(representation.dots, KINDS, "silhouette") is None
    (((_, metrics), how),) = drawn
    assert (list(metrics), how["datasets"]) == (["silhouette"], ["sim", "blood"])
    assert how["names"]["blood"] == "blood (read from expression)"
    table = representation.scores(found, KINDS)
    assert [name for name, _ in table.index.unique()][::4][:2] == ["sim (simulated)", "blood (read from expression)"]
    wide = representation.glance(found, KINDS).data
    assert list(wide.columns) == [("sim", "simulated"), ("blood", "read from expression"), ("gone", "–")]
    assert wide.loc["PCA", ("sim", "simulated")] == 0.6


def test_rows_and_trainings_are_counted(found):
    told = representation.counted(found).data
    assert "3 seeds of split and training, 5 of k-means; codes of 10 numbers; epochs: DCA 5, DB-AAE 3." in told


def test_who_is_told_the_types_is_no_rival_and_no_control_is_held_against_it(found):
    assert "CVAE told" not in representation.controls_table(found).data["best"].tolist()
    told = representation.controls(found).data
    assert told.startswith("The positive control is not beaten in 6 of 6 places")
    assert "- **sim**, NMI" not in told
    (line,) = [line for line in representation.takeaways(found, KINDS) if line.startswith("**blood** (labels")]
    assert "CVAE told" not in line


def test_the_takeaways_follow_from_the_numbers(found, made_up):
    lines = representation.takeaways(found, KINDS)
    assert lines[0] == (
        "**sim** (labels simulated): NMI PCA 0.60, DCA bottleneck 0.20; doing nothing: log counts 0.50. "
        "Highest by NMI and by ARI: PCA."
    )
    assert any(line.startswith("**blood**, CVAE told types, same seeds: ") for line in lines)
    (beside,) = [line for line in lines if line.startswith("**DCA bottleneck beside PCA**")]
    assert "NMI of k-means clusters higher on 1 of 2 data sets" in beside
    assert "beyond two standard errors over seeds: NMI of k-means clusters higher on 1 and lower on 0" in beside
    assert "**Gaps**: 2 of" in lines[-2]
    assert lines[-1].startswith("**Short trainings**: DCA 5 of 300 epochs. ")
    better = {"log_counts": scores(0.9), "dca": scores(0.3), "pca": {"nmi": [0.2], "ari": [0.6]}}
    lines = representation.takeaways(made_up("representation", {"sim": better}), {"sim": "simulated"})
    assert "**The measures disagree** on the highest: DCA bottleneck by NMI, PCA by ARI." in lines[0]
    assert "measures disagree" not in lines[1]
    assert lines[1].endswith("ARI of k-means clusters: none.")
    assert lines[-1].startswith("**Fewer than three seeds**")
