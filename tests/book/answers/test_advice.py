"""Whether to use a method: decided by the record, and by nothing else."""

from scgen_book.answers import advice

PHI = "mcv_poisson"


def values(mean):
    return [mean + 0.01 * (seed % 3) for seed in range(5)]


def of(**means):
    return {method: {PHI: values(mean)} for method, mean in means.items()}


def test_without_rows_nothing_is_advised(told):
    told("denoising", {})
    assert advice.lines("dca") == [advice.SILENT]


def test_a_method_that_beats_the_simple_ones_is_worth_a_try(told):
    told("denoising", {"goolam": of(dca_zinb=1.0, knn=2.0, pca=2.0, scvi=0.5)})
    (point, first), (beside, second) = advice.lines("dca")
    assert point == "DCA is worth a try"
    assert "than the mean of a cell's neighbours in 1 of 1; than principal components in 1 of 1." in first
    assert beside == "Beside scVI"
    assert second == ", of 1 comparison DCA is worse in 1."


def test_what_is_as_good_and_simpler_is_to_be_tried_first(told):
    better, worse = of(dca_zinb=1.0, knn=2.0, pca=2.0), of(dca_zinb=1.0, knn=0.5, pca=2.0)
    told("denoising", {"goolam": better, "splat_g6": worse})
    ((point, line),) = advice.lines("dca")
    assert point == "Try the mean of a cell's neighbours before DCA"
    assert line.endswith("better than the mean of a cell's neighbours in 1 of 2.")


def test_two_seeds_decide_nothing(told):
    told("denoising", {"goolam": {method: {PHI: [1.0, 2.0]} for method in ("dca_zinb", "knn")}})
    assert advice.lines("dca") == [advice.SILENT]
