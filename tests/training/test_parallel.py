"""Independent calls beside each other."""

from scgen_lib import training


def test_calls_in_parallel_come_back_in_order(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert training.in_parallel(divmod, [(7, 2), (9, 4), (5, 5)]) == [(3, 1), (2, 1), (1, 0)]
    assert training.in_parallel(divmod, []) == []
