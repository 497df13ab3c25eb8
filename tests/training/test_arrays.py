"""Which cells a training takes."""

import numpy as np

from scgen_lib import training


def test_split_takes_the_last_cells_or_a_seeded_draw():
    rows, validation = training.split(95, 0.1, shuffle=False, seed=0)
    assert validation.tolist() == list(range(85, 95))
    assert rows.tolist() == list(range(85))
    drawn = training.split(95, 0.1, shuffle=True, seed=0)
    assert drawn[1].tolist() != validation.tolist()
    assert sorted([*drawn[0], *drawn[1]]) == list(range(95))
    np.testing.assert_array_equal(drawn[1], training.split(95, 0.1, shuffle=True, seed=0)[1])
