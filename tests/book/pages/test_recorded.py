"""What the book says of the record and of a build that computed a part of it once more."""

from scgen_book.pages import recorded
from scgen_book.record import Record
from scgen_book.record.agreement import DIFFERENT, IDENTICAL, WITHIN, Agreement

KEY = ("dca.figure2", "dca_g2_fig2", "zinb", 0, "0a0b0c0d")


def test_a_build_says_how_many_rows_agree_and_which_differ():
    found = [Agreement(KEY, IDENTICAL, {}), Agreement(KEY, WITHIN, {"silhouette": (0.4, 0.5)})]
    assert recorded.agreement_of(found) == (
        "This build computed **2** rows of the record once more: **1** identical, **1** within the spread; "
        "of the 1 not identical another processor recorded 0.\n"
    )
    differing = recorded.agreement_of([*found, Agreement(KEY, DIFFERENT, {"silhouette": (0.4, 9.0)})])
    assert "- dca.figure2 dca_g2_fig2 zinb 0: different (silhouette: 0.4 recorded, 9 now)" in differing.replace(
        "\\", ""
    )
    assert "and 5 more" in recorded.agreement_of([Agreement(KEY, DIFFERENT, {})] * 25)
    assert recorded.agreement_of([]).startswith("No row of this build")


def test_the_record_says_where_it_comes_from(tmp_path):
    kept = Record(tmp_path)
    assert recorded.batches(kept) == "The record has no rows yet.\n"
    row = {"experiment": "dca.figure2", "dataset": "d", "method": "zinb", "seed": 0, "settings": {}, "status": "ok"}
    batch = {"batch": "b", "commit": "0123456789ab", "lock": "ba98", "python": "3.12.1", "cpu": "made up", "cores": 2,
             "gpus": "", "started": "2026-01-01", "rows": 1, "core_s": 1800.0}  # fmt: skip
    kept.add(row | {"reason": None, "scores": {"r": 1.0}, "claims": {}, "variant": None}, 1800.0, batch)
    text = recorded.batches(kept)
    assert text.startswith("1 rows of 1 experiments, 0.5 core-hours.")
    assert "| 2026-01-01 | `0123456789ab` | `ba98` | 3.12.1 | made up | 2 | – | 1 | 0.50 |" in text
