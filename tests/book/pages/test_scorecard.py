import re

import pytest

from scgen_book import claims
from scgen_book.claims import NOT_REPRODUCED, NOT_TESTED, REPRODUCED
from scgen_book.pages import scorecard
from scgen_book.record import Record


def record(claim, value, seed, variant=None):
    return {"claim": claim, "dataset": claims.claim(claim).dataset, "variant": variant, "seed": seed, "value": value}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The runs of two chapters, one of which has a claim in both variants, and a record of a third."""
    dca = [record("dca.fig2.g2.zinb", 0.35 + s / 100, s, "faithful") for s in range(5)]
    dca += [record("dca.fig2.g2.zinb", 0.0, s, "repaired") for s in range(5)]
    cvae = [record("cvae.split.train", 41147, 0)]
    kept = Record(tmp_path_factory.mktemp("record"))
    for seed in range(5):
        row = {"experiment": "dr_a.scores", "dataset": "zeisel_4000", "method": "faithful, K = 10", "seed": seed}
        row |= {"settings": {"epoch": 200}, "status": "ok", "reason": None, "variant": "faithful"}
        row |= {"scores": {"NMI": 0.78 + seed / 200}, "claims": {"NMI": "dra.table2.k10.zeisel.dra"}}
        kept.add(row, 1.0, {"batch": "made up"})
    runs = [{"records": cvae}, {"records": dca, "parameters": {"epochs": 300}}]
    return scorecard.collect("quick", runs, kept)


def stated(*kinds):
    return [item for item in claims.claims() if (item.kind in kinds if kinds else item.kind != claims.PART)]


def test_every_claim_stands_there_once_and_each_variant_in_a_row_of_its_own(table):
    assert set(table["claim"]) == {item.id for item in stated()}
    rows = table[table["claim"] == "dca.fig2.g2.zinb"].set_index("variant")["verdict"]
    assert dict(rows) == {"faithful": REPRODUCED, "repaired": NOT_REPRODUCED}
    judged = table[table["verdict"] != NOT_TESTED]
    assert set(judged["claim"]) == {"dca.fig2.g2.zinb", "cvae.split.train", "dra.table2.k10.zeisel.dra"}
    # a run that does not touch a claim does not speak of it
    assert not table.duplicated(["claim", "variant", "dataset"]).any()


def test_results_alone_are_counted_by_the_variant_of_the_released_code(table):
    found = scorecard.counts(table)
    assert sum(found.values()) == len(stated(claims.RESULT))
    assert {word: n for word, n in found.items() if n and word != NOT_TESTED} == {REPRODUCED: 1}
    sane = scorecard.counts(table, claims.SANITY)
    assert (sane[REPRODUCED], sum(sane.values())) == (1, len(stated(claims.SANITY)))
    chosen = scorecard.headline(table).set_index("claim")
    assert chosen.index.is_unique
    assert chosen.loc["dca.fig2.g2.zinb", "variant"] == "faithful"


def test_kindred_data_are_counted_apart_and_never_added_to_the_others(table):
    assert scorecard.on_kindred_data(table)[REPRODUCED] == 1
    dr_a = table[table["paper"] == "lin2020"]
    assert scorecard.counts(dr_a)[REPRODUCED] == 0
    line = next(line for line in scorecard.summary(table).splitlines() if "lin2020" in line)
    assert line.endswith("| 1&nbsp;● | – |")
    assert "on kindred data (the same cells, other genes): 1 reproduced." in scorecard.totals(table)


def test_a_claim_is_told_by_its_own_data_before_any_other(tmp_path):
    claim = "dca.fig2.g2.zinb"
    other = [record(claim, 0.1, s, "faithful") | {"dataset": "mine"} for s in range(5)]
    own = [record(claim, 0.35 + s / 100, s, "faithful") for s in range(5)]
    runs = [{"records": other}, {"records": own}]
    (row,) = (
        scorecard.headline(scorecard.collect("quick", runs, Record(tmp_path)))
        .query("claim == @claim")
        .to_dict("records")
    )
    assert (row["dataset"], row["verdict"]) == ("dca_g2_fig2", REPRODUCED)


def test_the_record_stands_between_what_was_published_and_this_build(table):
    text = scorecard.listing(table, {})
    assert "| claim | published | record | this build | verdict | why |" in text
    line = next(line for line in text.splitlines() if 'id="dra.table2.k10.zeisel.dra"' in line)
    assert line.split(" | ")[1:4] == ["0.7893", "0.79 ± 0.0079 (n = 5)", "–"]
    assert "on kindred data: off by" in line


def test_the_totals_say_why_claims_are_not_tested(table):
    text = scorecard.totals(table)
    kinds = dict(re.findall(r"([a-z-][a-z -]+) (\d+)[,.]", text.partition("by reason:")[2].partition("\n")[0]))
    assert set(map(str.strip, kinds)) <= set(claims.UNTESTED)
    own = scorecard.headline(table[table["kind"] == claims.RESULT])
    assert sum(map(int, kinds.values())) == (own["verdict"] == NOT_TESTED).sum()


def test_what_is_no_claim_is_folded_and_what_nobody_has_read_is_one_line_a_paper(table):
    text = scorecard.listing(table, {})
    folded = re.findall(r":::\{dropdown\} (\d+) statements that are no claims", text)
    assert sum(map(int, folded)) == len(stated()) - len(stated(claims.RESULT, claims.SANITY))
    idle = re.findall(r":::\{dropdown\} (\d+) claims and checks that are not tested, with the reason", text)
    # two claims of the runs and one of the record have values, one of them in two variants
    assert sum(map(int, idle)) == len(stated(claims.RESULT, claims.SANITY)) - 3
    summary = scorecard.summary(table)
    assert len(re.findall(r"help: open an issue with table and page", summary)) == 3


def test_a_reason_is_said_once_for_all_that_it_keeps_from_being_tested(table):
    text = scorecard.listing(table, {})
    idle = table[table["paper"].eq("marouf2020") & table["reason"].eq("another method: it is not run here")]
    assert len(idle) > 1
    (head,) = (k for k, line in enumerate(text.splitlines()) if line == "another method: it is not run here")
    rows = text.splitlines()[head + 2 :][: len(idle) + 2]
    assert rows[0] == "| claim | published | record | this build | verdict |"
    assert all("data-paper" in row and "another method" not in row for row in rows[2:])


def test_reasons_name_data_sets_for_people(table):
    rows = table.assign(reason="stand-in data: pbmc68k_reduced in place of zeisel_720")
    words = "stand-in data: 700 human blood cells in place of mouse cortex, the paper's genes"
    for reasons in (True, False):
        text = scorecard._table(rows.iloc[:1], None, set(), reasons=reasons)
        assert (words in text) == reasons
    assert words in scorecard._by_reason(rows, None, set()).splitlines()


def test_a_row_carries_what_it_is_filtered_by_and_one_place_to_link_to(table):
    text = scorecard.listing(table, {"dca": {"fig-dca-a1-bars"}})
    rows = [line for line in text.splitlines() if "data-paper" in line]
    assert len(rows) == len(table)
    assert {m for line in rows for m in re.findall(r'data-verdict="([^"]+)"', line)} <= set(claims.SHAPES)
    ids = re.findall(r' id="([^"]+)"', text)
    assert sorted(ids) == sorted(item.id for item in stated())
    # a chapter without a page has no link
    assert all(("executed/dca>" in line or "fig-dca" in line) == ('"eraslan2019"' in line) for line in rows)


def test_a_card_counts_claims_or_else_sanity_checks(table):
    dca, cvae, dr_a = (scorecard.marks(table[table["chapter"] == name]) for name in ("dca", "cvae", "dr_a"))
    assert dca.startswith(f"1&nbsp;{scorecard.badge(REPRODUCED)} ")
    checks = [item for item in stated(claims.SANITY) if item.paper == "sun2024"]
    assert cvae == f"no claim; 1 of {len(checks)} sanity checks hold"
    assert dr_a.endswith(f"on kindred data: 1&nbsp;{scorecard.badge(REPRODUCED)}")


def test_headlines_are_scores_with_a_spread_in_the_record_and_follow_it(table, tmp_path):
    found = scorecard.headlines(table)
    assert list(found) == ["DR-A"]
    line = found["DR-A"].iloc[0]
    assert (line["published"], line["seeds"]) == (0.7893, 5)
    assert line["mean"] == pytest.approx(0.79)
    text = scorecard.drawn(found, tmp_path / "headlines.png")
    assert (tmp_path / "headlines.png").stat().st_size > 5000
    assert "first 1 claims" in text
    assert scorecard.drawn({}, tmp_path / "none.png") == ""
