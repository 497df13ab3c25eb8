import re

import pytest

from scgen_book import claims
from scgen_book.claims import NOT_REPRODUCED, NOT_TESTED, REPRODUCED
from scgen_book.pages import scorecard


def record(claim, value, seed, variant=None):
    return {"claim": claim, "dataset": claims.claim(claim).dataset, "variant": variant, "seed": seed, "value": value}


@pytest.fixture(scope="module")
def table():
    """The runs of two chapters: one has a claim in both variants, the other has another claim."""
    dca = [record("dca.fig2.g2.zinb", 0.37, s, "faithful") for s in range(5)]
    dca += [record("dca.fig2.g2.zinb", 0.0, s, "repaired") for s in range(5)]
    cvae = [record("cvae.split.train", 41147, 0)]
    return scorecard.collect("quick", [{"records": cvae}, {"records": dca, "parameters": {"epochs": 300}}])


def test_every_claim_stands_there_once_and_each_variant_in_a_row_of_its_own(table):
    assert set(table["claim"]) == {item.id for item in claims.claims()}
    rows = table[table["claim"] == "dca.fig2.g2.zinb"].set_index("variant")["verdict"]
    assert dict(rows) == {"faithful": REPRODUCED, "repaired": NOT_REPRODUCED}
    judged = table[table["verdict"] != NOT_TESTED]
    assert set(judged["claim"]) == {"dca.fig2.g2.zinb", "cvae.split.train"}
    # a run that does not touch a claim does not speak of it
    assert not table.duplicated(["claim", "variant", "dataset"]).any()


def test_a_claim_counts_by_the_variant_of_the_released_code(table):
    found = scorecard.counts(table)
    assert sum(found.values()) == len(claims.claims())
    assert {word: n for word, n in found.items() if n and word != NOT_TESTED} == {REPRODUCED: 2}
    chosen = scorecard.headline(table).set_index("claim")
    assert chosen.index.is_unique
    assert chosen.loc["dca.fig2.g2.zinb", "variant"] == "faithful"


def test_the_totals_say_why_claims_are_not_tested(table):
    text = scorecard.totals(table)
    kinds = dict(re.findall(r"([a-z-][a-z -]+) (\d+)[,.]", text.partition("by reason:")[2]))
    assert set(map(str.strip, kinds)) <= set(claims.UNTESTED)
    assert sum(map(int, kinds.values())) == scorecard.counts(table)[NOT_TESTED]


def test_a_row_carries_what_it_is_filtered_by_and_one_place_to_link_to(table):
    text = scorecard.listing(table, {"dca": {"fig-dca-a1-bars"}})
    rows = [line for line in text.splitlines() if "data-paper" in line]
    assert len(rows) == len(table)
    assert {m for line in rows for m in re.findall(r'data-verdict="([^"]+)"', line)} <= set(claims.SHAPES)
    ids = re.findall(r' id="([^"]+)"', text)
    assert sorted(ids) == sorted(item.id for item in claims.claims())
    # a chapter without a page has no link
    assert all(("executed/dca>" in line or "fig-dca" in line) == ('"eraslan2019"' in line) for line in rows)
