import math

from scgen_book.chance import beyond_chance, spread


def test_three_seeds_at_least_tell_an_effect_from_chance_and_equal_seeds_are_paired():
    assert beyond_chance([1.0, 1.1], [2.0, 2.1]) is None
    assert beyond_chance([1.0, 2.0, 3.0], [1.6, 2.4, 2.0]) is False
    # the seeds differ more than the sides do, and every pair says the same
    assert beyond_chance([1.0, 5.0, 9.0], [1.1, 5.2, 9.1]) is True
    assert beyond_chance([1.0, 5.0, 9.0], [1.1, 5.2, 9.1, 5.0]) is False


def test_two_seeds_have_no_spread():
    assert math.isnan(spread([1.0, 2.0]))
    assert spread([1.0, 2.0, 3.0, math.nan]) == 1.0
