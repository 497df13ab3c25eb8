"""The answers of the chapters: decided by the record, and by nothing else."""

import re

import pytest

from scgen_book import answers
from scgen_book.answers import BETTER, EQUAL, NO, PARTLY, UNKNOWN, WORSE, YES, Seen


def around(mean):
    """Values near a mean, by seed."""
    return [mean + 0.01 * (seed % 3) for seed in range(5)]


def of(metric, **means):
    """Methods with values of one metric around their means."""
    return {method: {metric: around(mean)} for method, mean in means.items()}


def test_without_a_record_every_answer_is_that_nothing_is_known(told):
    for chapter in answers.CHAPTERS:
        found = answers.answer(chapter)
        assert found.word == UNKNOWN
        assert found.sentence.startswith("Unknown: ")
        assert found.takeaways == ()


def test_the_record_of_the_book_is_answered_in_words_for_people():
    for chapter in answers.CHAPTERS:
        found = answers.answer(chapter)
        assert found.sentence.split(",")[0].split(":")[0].lower().startswith(found.word)
        assert len(found.takeaways) <= answers.MOST
        for sentence in (found.sentence, *found.takeaways):
            assert sentence.endswith(".")
            assert "nan" not in sentence.split()
            assert not re.search(r"\w_\w|-0\.00", sentence), sentence
            # "ln(1 + x)", "0.5: it guesses; 1: ..." and "1 is perfect" say how to read a number
            numbers = re.findall(r"−?\d+\.\d+", re.sub(r"\([^)]*\)", "", sentence))
            assert len(numbers) <= 2, sentence


def test_fewer_than_three_common_seeds_decide_nothing(told):
    told("dca.figure2", {"dca_g2_fig2": {"zinb": {"silhouette": [0.5, 0.6]}, "observed": {"silhouette": [0.1] * 5}}})
    assert Seen("dca.figure2").contest("dca_g2_fig2", "zinb", "observed", "silhouette") is None
    assert answers.answer("dca").word == UNKNOWN


def test_a_comparison_goes_by_the_metric_and_by_chance(told):
    told("denoising", {"splat_g6": of("mse", dca_zinb=0.1, knn=0.3) | of("pearson_gene", pca=0.1, magic=0.5)})
    told("simulation", {"splat_g6": of("rf_auc", scgan=0.6, cvae_faithful=0.9)})
    rows = Seen("denoising")
    assert rows.contest("splat_g6", "dca_zinb", "knn", "mse") == BETTER
    assert rows.contest("splat_g6", "pca", "magic", "pearson_gene") == WORSE
    assert Seen("simulation").contest("splat_g6", "scgan", "cvae_faithful", "rf_auc") == BETTER  # 0.5 is best
    told("denoising", {"splat_g6": {"pca": {"mse": [0.1, 0.2, 0.3]}, "gene_mean": {"mse": [0.3, 0.2, 0.1]}}})
    assert Seen("denoising").contest("splat_g6", "pca", "gene_mean", "mse") == EQUAL


@pytest.mark.parametrize(("six", "word"), [(0.5, YES), (-0.1, PARTLY)])
def test_dca_gives_groups_back_where_silhouettes_rise(told, six, word):
    told("dca.figure2", {
        "dca_g2_fig2": of("silhouette", zinb=0.5, observed=0.1) | {"mse, one path": {"silhouette": around(0.1)}},
        "dca_g6_fig2": of("silhouette", zinb=six, observed=0.0),
    })  # fmt: skip
    found = answers.answer("dca")
    assert found.word == word
    assert "from 0.11 to 0.51" in found.takeaways[0] if word == PARTLY else "from 0.01 to 0.51" in found.takeaways[0]
    assert any("not the autoencoder" in takeaway for takeaway in found.takeaways)
    assert ("not on six simulated groups" in found.sentence) == (word == PARTLY)


def test_a_takeaway_changes_when_the_numbers_do(told):
    told("dca.figure2", {"dca_g2_fig2": of("silhouette", zinb=0.0, observed=0.3)})
    found = answers.answer("dca")
    assert found.word == NO
    assert "falls from 0.31 to 0.01" in found.takeaways[0]


@pytest.mark.parametrize(("most", "dca", "word"), [(100.0, 0.1, NO), (90.0, 0.1, PARTLY), (90.0, 3.0, YES)])
def test_a_search_that_tells_nothing_apart_is_no_search(told, most, dca, word):
    search = {"released search": {"d_accuracy_least": [100.0], "d_accuracy_most": [most], "best": [16.0]}}
    search |= {"released search, genes permuted": {"best": [16.0 if most == 100 else 32.0]}}
    told("db_aae.search", {"splat_g6": search})
    errors = {"DB-AAE, faithful": 1.0, "DCA": dca, "observed": 5.0, "gene mean": 0.5}
    told("db_aae.denoising", {"splat_g2": {name: {"mse_dropped": around(x)} for name, x in errors.items()}})
    found = answers.answer("db_aae")
    assert found.word == word
    assert ("the same size" in found.takeaways[0]) == (most == 100)
    assert "It does fill in what dropout took" in found.takeaways[1]
    assert any("mean of the gene" in takeaway for takeaway in found.takeaways)


@pytest.mark.parametrize(
    ("alone", "adds"),
    [(None, "not measured yet"), (0.5, "add to it with 10 numbers."), (0.9, "add nothing to it with 10 numbers.")],
)
def test_dr_a_is_held_against_principal_components_and_itself_without_adversaries(told, alone, adds):
    metric = "NMI, geometric, group9"
    means = {"faithful, K = 10": 0.74, "PCA, K = 10": 0.56, "UMAP, K = 10": 0.9}
    means |= {} if alone is None else {"faithful, no adversary, K = 10": alone}
    told("dr_a.scores", {"zeisel_4000": {name: {metric: around(mean)} for name, mean in means.items()}})
    found = answers.answer("dr_a")
    assert found.word == YES
    assert adds in found.sentence
    assert "Against UMAP on the same cells DR-A is worse with 10 numbers." in found.takeaways


@pytest.mark.parametrize(
    ("pancreas", "words"),
    [
        (0.8, "better than principal components on both data sets"),
        (0.5, "better than principal components on 700 human blood cells, less well than these on mouse pancreas"),
        (None, "better than principal components on 700 human blood cells"),
    ],
)
def test_what_dr_a_does_on_other_cells_is_told_by_data_set(told, pancreas, words):
    metric, paper = "NMI, geometric", "NMI, geometric, group9"
    told("dr_a.scores", {"zeisel_4000": {name: {paper: around(0.7)} for name in ("faithful, K = 10", "PCA, K = 10")}})
    means = {"pbmc68k_reduced": 0.9} | ({} if pancreas is None else {"baron_mouse": pancreas})
    of = {name: {"faithful, K = 10": {metric: around(mean)}} for name, mean in means.items()}
    told("dr_a.datasets", {name: rows | {"PCA, K = 10": {metric: around(0.6)}} for name, rows in of.items()})
    (line,) = (line for line in answers.answer("dr_a").takeaways if "other studies" in line)
    assert line == f"On cells of other studies it finds types, with ten numbers, {words}."


@pytest.mark.parametrize(("alone", "words"), [(0.6, "add to"), (0.8, "take from"), (0.7, "change nothing")])
def test_what_the_described_game_does_is_told_of_the_repaired_dr_a(told, alone, words):
    metric = "NMI, geometric, group9"
    means = {"faithful, K = 10": 0.74, "PCA, K = 10": 0.56, "repaired, K = 10": 0.7}
    means |= {"repaired, no adversary, K = 10": alone}
    told("dr_a.scores", {"zeisel_4000": {name: {metric: around(mean)} for name, mean in means.items()}})
    (line,) = (line for line in answers.answer("dr_a").takeaways if "the repaired model" in line)
    assert words in line
    assert line.endswith(f": 0.71 with them, {alone + 0.008:.2f} without.")


@pytest.mark.parametrize(("auc", "word"), [(0.55, YES), (0.99, NO)])
def test_cells_pass_for_real_where_a_forest_guesses(told, auc, word):
    means = {"faithful": auc, "NB per type": 0.8, "real": 0.5}
    told("cvae.realism", {"pbmc68k_reduced": {name: {"rf_auc": around(mean)} for name, mean in means.items()}})
    found = answers.answer("cvae")
    assert found.word == word
    assert f"AUC is {auc + 0.008:.2f}" in found.takeaways[0]
    assert ("harder" if word == YES else "easier") in found.takeaways[1]


def test_generated_cells_help_or_harm_a_rare_class(told):
    told("scgan.realism", {"pbmc68k_reduced": of("rf_auc", faithful=0.99, real=0.5)})
    told("scgan.augmentation", {"pbmc68k_reduced": {
        "no help": {"F1": around(0.5)}, "cells generated": {"F1": around(0.8)},
    }})  # fmt: skip
    found = answers.answer("scgan")
    assert "do help" in found.takeaways[0]
    # nothing is known of what is cheaper
    assert found.word == NO


@pytest.mark.parametrize(("cheaper", "word"), [(0.6, PARTLY), (0.9, NO)])
def test_cells_for_a_rare_class_count_where_they_help_more_than_what_costs_nothing(told, cheaper, word):
    told("scgan.realism", {"pbmc68k_reduced": of("rf_auc", faithful=0.99, real=0.5)})
    ways = {"no help": 0.5, "cells generated": 0.8, "weights of classes": cheaper, "cells repeated": 0.55}
    told("scgan.augmentation", {"pbmc68k_reduced": {way: {"F1": around(mean)} for way, mean in ways.items()}})
    found = answers.answer("scgan")
    assert (found.word, "learns a rare class better" in found.sentence) == (word, word == PARTLY)
    assert found.takeaways[0].endswith(f"F1 on held-out cells 0.81, with class weights {cheaper + 0.008:.2f}.")


def test_the_comparisons_count_and_rank(told):
    told("denoising", {"splat_g6": of("mse_cell", dca_zinb=0.1, db_aae_faithful=0.5, gene_mean=0.3, knn=0.05, pca=0.4)})
    found = answers.answer("denoising")
    assert found.word == YES
    assert "DCA comes nearer to the truth than DB-AAE in 1 of 1 comparisons" in found.sentence
    assert "DCA beats the mean of a cell's neighbours in 0 of 1 comparisons with a truth." in found.takeaways
    told("representation", {"pbmc68k_reduced": of("nmi", dca=0.7, pca=0.6, db_aae=0.4)})
    found = answers.answer("representation")
    assert (found.word, "codes of DCA find" in found.sentence) == (YES, True)
    assert "NMI 0.71" in found.takeaways[0]
    told("representation", {"pbmc68k_reduced": of("nmi", dca=0.5, pca=0.6)})
    # of the data and the models that there are
    found = answers.answer("representation").sentence
    assert found.startswith("No: on 700 human blood cells the code of no model (DCA; DB-AAE) finds")
    given = of("nmi", dca=0.5, db_aae=0.4, dr_a_faithful=0.02, pca=0.6, pca_depth=0.1, scvi=0.7)
    told("representation", {"pbmc68k_reduced": given})
    _, together, of_scvi, depth = answers.answer("representation").takeaways
    assert together == "Against principal components DR-A; DCA and DB-AAE are worse on 700 human blood cells."
    assert of_scvi == "Against principal components scVI is better on 700 human blood cells."
    assert depth.startswith("On 700 human blood cells the depth of the cells decides: ")
    assert depth.endswith("have an NMI of 0.11, of scaled ones 0.61.")
    told("simulation", {"splat_g6": of("rf_auc", scgan=0.99, cvae_faithful=0.6, nb_per_type=0.7, real=0.5)})
    assert answers.answer("simulation").word == PARTLY
