import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import conditional


@pytest.fixture
def groups():
    """Three groups of 40 cells and 30 genes, of which each has five genes of its own."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["x", "y", "z"], 40)
    level = np.full((3, 30), 1.0)
    for group in range(3):
        level[group, 5 * group : 5 * group + 5] = 8
    return np.log1p(rng.poisson(np.repeat(level, 40, axis=0)).astype(float)), labels


@pytest.mark.parametrize("classifier", ["forest", "logistic"])
def test_classifier_recognises_labels_and_counts_the_confusion(groups, classifier):
    x, labels = groups
    settings = {"classifier": classifier, "trees": 50}
    right = conditional.label_fidelity(x, labels, x, labels, **settings)
    assert right["accuracy"] == right["f1"] == 1
    swapped = np.where(labels == "x", "y", np.where(labels == "y", "x", "z"))
    wrong = conditional.label_fidelity(x, labels, x, swapped, **settings)
    assert wrong["accuracy"] == pytest.approx(1 / 3)
    assert wrong["f1"] == pytest.approx(1 / 3)
    assert wrong["confusion"].loc["x"].to_dict() == {"x": 0, "y": 40, "z": 0}
    again = conditional.label_fidelity(x, labels, x, swapped, **settings)
    pd.testing.assert_frame_equal(again["confusion"], wrong["confusion"])


def test_f1_counts_only_labels_that_were_asked_for(groups):
    x, labels = groups
    only = labels == "x"
    found = conditional.label_fidelity(x, labels, x[only], labels[only], trees=20)
    assert found["f1"] == 1
    assert found["confusion"].to_numpy().sum() == 40


def test_fidelity_refuses_missing_and_single_labels(groups):
    x, labels = groups
    with pytest.raises(DataError, match="label every cell"):
        conditional.label_fidelity(x, labels, x, [None, *labels[1:]])
    with pytest.raises(DataError, match="expected two labels"):
        conditional.label_fidelity(x, ["x"] * 120, x, labels)
    with pytest.raises(ParameterError, match="forest or logistic"):
        conditional.label_fidelity(x, labels, x, labels, classifier="svm")


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_markers_are_the_genes_of_each_group(groups, kind):
    x, labels = groups
    table = conditional.marker_table(kind(x), labels)
    for number, label in enumerate("xyz"):
        top = table[table["label"] == label].head(5)
        assert set(top["gene"]) == set(range(5 * number, 5 * number + 5))
        # means 8 against 1 for the logarithm of counts: between 2 and 4 doublings
        assert top["lfc"].between(2, 4).all()
    assert conditional.marker_agreement(table, table, n=5) == {"markers_jaccard": 1, "markers_lfc": pytest.approx(1)}
    other = conditional.marker_table(kind(x), np.roll(labels, 40))
    found = conditional.marker_agreement(table, other, n=5)
    assert found["markers_jaccard"] == 0
    assert found["markers_lfc"] < 0.5


def test_rare_labels_have_no_markers(groups):
    x, labels = groups
    assert set(conditional.marker_table(x[:85], labels[:85])["label"]) == {"x", "y"}
    nothing = conditional.marker_table(x[:40], labels[:40])
    assert nothing.empty
    assert np.isnan(conditional.marker_agreement(nothing, nothing)["markers_jaccard"])


def test_diversity_is_the_ratio_of_spreads_within_labels(groups):
    x, labels = groups
    assert conditional.diversity(x, labels, x, labels)["sd_ratio"] == pytest.approx(1)
    centre = pd.DataFrame(x).groupby(labels).transform("mean").to_numpy()
    assert conditional.diversity(x, labels, centre + 0.25 * (x - centre), labels)["sd_ratio"] == pytest.approx(0.25)
    assert conditional.diversity(sp.csr_matrix(x), labels, centre, labels)["sd_ratio"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(conditional.diversity(x, labels, x, labels, min_cells=41)["sd_ratio"])


def test_distinct_rows_are_counted_whatever_the_storage():
    counts = np.array([[1, 0, 2], [1, 0, 2], [0, 1, 2], [0, 0, 0]])
    stored = sp.csr_matrix(counts)
    stored.data[0] = 0  # a stored zero is a zero
    assert conditional.distinct(counts) == 0.75
    assert conditional.distinct(stored) == 1
    stored.data[stored.indptr[1]] = 0
    assert conditional.distinct(stored) == 0.75
