import json
import math
import re

import numpy as np
import pytest

from scgen_book import claim_tables, provenance, record, results, verdicts
from scgen_book import claims as claims_module
from scgen_book.claims import NOT_REPRODUCED, NOT_TESTED, PARTLY, REPRODUCED, Claim, claim, claims
from scgen_book.verdicts import verdict
from scgen_lib import files
from scgen_lib.errors import InputError, ParameterError


def number(**changes):
    facts = {"id": "x", "paper": "p", "where": "Fig. 1", "dataset": "d", "metric": "m", "value": 0.5, "tolerance": 0.1}
    return Claim(**facts | changes)


def relation(*parts, **changes):
    return number(value=None, tolerance=None, relation=parts, **changes)


def by_seed(*numbers):
    return dict(enumerate(numbers))


def spread(mean, sd):
    """Return three seeds of that mean and standard deviation."""
    return by_seed(mean - sd, mean, mean + sd)


@pytest.mark.parametrize(
    ("mean", "sd", "word"),
    [
        (0.55, 0.03, REPRODUCED),  # near, and within half = t(0.975, 2) sd sqrt(4 / 3) = 0.149
        (0.5, 0.0, REPRODUCED),
        (0.6, 0.03, REPRODUCED),  # just as far as the tolerance
        (0.55, 0.001, PARTLY),  # near, but no draw of ours would be so far off
        (0.8, 0.1, PARTLY),  # a plausible draw, but far
        (0.8, 0.01, NOT_REPRODUCED),
    ],
)
def test_a_number_is_to_be_near_and_a_plausible_draw(mean, sd, word):
    judged = verdict(number(seeds=3), {"x": spread(mean, sd)}, "d")
    assert (judged.word, judged.seeds) == (word, 3)


def test_the_interval_is_that_of_one_more_run():
    from scipy import stats

    own = np.random.default_rng(0).normal(0.4, 0.05, 5)
    half = stats.t.ppf(0.975, 4) * own.std(ddof=1) * (1 + 1 / 5) ** 0.5
    for factor, word in ((0.99, REPRODUCED), (1.01, PARTLY)):
        item = number(value=own.mean() + factor * half, tolerance=1, seeds=5)
        assert verdict(item, {"x": by_seed(*own)}, "d").word == word
    # of seeds of one law one run more lies in it as often as it says; three standard errors of a share of 95 %
    draws = np.random.default_rng(1).normal(size=(2000, 6))
    held = [verdict(number(value=d[0], tolerance=99, seeds=5), {"x": by_seed(*d[1:])}, "d").word for d in draws]
    assert held.count(REPRODUCED) / 2000 == pytest.approx(0.95, abs=3 * (0.05 * 0.95 / 2000) ** 0.5)


def test_what_a_number_is_rounded_to_counts_beside_the_spread():
    assert verdict(number(value=0.504, seeds=3), {"x": spread(0.5, 0)}, "d").word == PARTLY
    assert verdict(number(value=0.504, seeds=3, precision=0.005), {"x": spread(0.5, 0)}, "d").word == REPRODUCED


def test_without_a_spread_a_number_that_is_near_is_partly_so_unless_nothing_can_spread():
    assert verdict(number(seeds=2), {"x": by_seed(0.5, 0.5)}, "d").word == PARTLY
    assert verdict(number(seeds=2), {"x": by_seed(0.9, 0.9)}, "d").word == NOT_REPRODUCED
    assert verdict(number(), {"x": by_seed(0.6)}, "d").word == REPRODUCED
    assert verdict(number(), {"x": by_seed(0.61)}, "d").word == NOT_REPRODUCED


def test_kindred_data_are_judged_by_the_same_rule_and_the_verdict_says_so():
    item = number(kindred=("e",), seeds=3)
    judged = verdict(item, {"x": spread(0.55, 0.03)}, "e")
    assert (judged.word, judged.kindred) == (REPRODUCED, True)
    assert judged.reason.startswith("on kindred data: off by 0.05")
    assert not verdict(item, {"x": spread(0.55, 0.03)}, "d").kindred
    assert verdict(item, {"x": {0: 0.5}}, "f").reason == "stand-in data: f in place of d"


def test_trainings_that_end_are_a_finding_and_not_a_reason_not_to_judge():
    judged = verdict(number(seeds=3), {"x": by_seed(0.5, None, 0.5)}, "d")
    assert judged.word == NOT_REPRODUCED
    assert judged.reason == "1 of 3 seeds ended at a value that is not finite"


def test_an_unknown_kind_of_claim_is_refused():
    with pytest.raises(ParameterError, match=r"expected the kind of x to be one of result, sanity, .* got 'guess'"):
        number(kind="guess")


def test_a_relation_is_reproduced_when_all_parts_hold_and_partly_when_some_do():
    item = relation({"of": "a", "minus": "b", "above": 0}, {"of": "b", "minus": "c", "at_least": 0.1})
    high = {"a": by_seed(0.9, 0.8), "b": by_seed(0.5, 0.5)}
    assert verdict(item, high | {"c": by_seed(0.5, 0.3)}, "d").word == REPRODUCED
    assert verdict(item, high | {"c": by_seed(0.5, 0.4)}, "d").word == PARTLY
    assert (
        verdict(item, {"a": by_seed(0.4, 0.6), "b": by_seed(0.5, 0.5), "c": by_seed(1, 1)}, "d").word == NOT_REPRODUCED
    )


@pytest.mark.parametrize(
    ("part", "holds", "fails"),
    [
        ({"above": 0}, (0.1, 0.2), (0.9, 0.0)),
        ({"below": 0}, (-0.1, -0.2), (-0.9, 0.0)),
        ({"at_least": 0.1}, (0.0, 0.3), (0.0, 0.1)),
        ({"at_most": 3000}, (2000, 3000), (3000, 3500)),
        ({"within": 0.1}, (0.3, -0.2), (0.3, 0.2)),
    ],
)
def test_each_kind_of_part_is_judged_in_every_seed_or_on_the_mean(part, holds, fails):
    item = relation({"of": "a"} | part)
    assert verdict(item, {"a": by_seed(*holds)}, "d").word == REPRODUCED
    assert verdict(item, {"a": by_seed(*fails)}, "d").word == NOT_REPRODUCED


def test_too_few_seeds_cannot_do_better_than_partly():
    judged = verdict(number(seeds=5), {"x": spread(0.5, 0.01)}, "d")
    assert judged.word == PARTLY
    assert judged.reason.endswith("; 3 of the 5 seeds asked for")
    assert verdict(number(seeds=3), {"x": spread(0.5, 0.01)}, "d").word == REPRODUCED
    assert verdict(number(seeds=3), {"x": by_seed(0.9)}, "d").word == NOT_REPRODUCED


@pytest.mark.parametrize(
    ("item", "values", "dataset", "parameters", "reason"),
    [
        (number(reason="data not public"), {"x": {0: 0.5}}, "d", {}, "data not public"),
        (number(), {}, None, {}, "not run"),
        (number(), {"x": {0: 0.5}}, "other", {}, "stand-in data: other in place of d"),
        (number(), {"x": {0: 0.5}}, "d", {"fast": True}, "scale: run at test size"),
        (number(needs={"epochs": 300}), {"x": {0: 0.5}}, "d", {"epochs": 20}, "scale: epochs 20 of 300"),
        (number(needs={"epochs": 300}), {"x": {0: 0.5}}, "d", {}, "scale: epochs None of 300"),
        (relation({"of": "a", "minus": "b", "above": 0}), {"a": {0: 1}}, "d", {}, "not run"),
        (relation({"of": "a", "minus": "b", "above": 0}), {"a": {0: 1}, "b": {1: 0}}, "d", {}, "share no seed"),
    ],
)
def test_what_cannot_be_compared_is_not_tested_and_says_why(item, values, dataset, parameters, reason):
    judged = verdict(item, values, dataset, parameters)
    assert judged.word == NOT_TESTED
    assert reason in judged.reason


def test_a_verdict_shows_its_shape_and_word():
    assert str(verdict(number(), {"x": {0: 0.5}}, "d")) == "● reproduced"


def test_every_claim_can_be_judged_or_says_why_not():
    known = {item.id: item for item in claims()}
    assert len(known) == len(claims())
    for item in claims():
        assert item.where
        assert item.metric
        judgeable = item.relation or (item.value is not None and item.tolerance)
        assert bool(judgeable) != bool(item.reason or item.kind == claims_module.PART), item.id
        # what is no result and no check is never judged, and says why
        assert not judgeable or item.kind in (claims_module.RESULT, claims_module.SANITY), item.id
        for part in item.relation:
            for other in filter(None, (part["of"], part.get("minus"))):
                assert known[other].dataset == item.dataset
            assert len(set(part) & set(verdicts._HOLDS)) == 1


def test_every_reason_not_to_test_is_of_a_known_kind():
    assert {claims_module.kind(item.reason) for item in claims() if item.reason} <= set(claims_module.UNTESTED)
    with pytest.raises(InputError, match=r"begins with one of not run, .*, got 'because'"):
        claims_module.kind("because")


def test_every_figure_that_the_claims_name_is_one_of_its_chapter_and_shows_a_claim():
    for paper in claims_module.papers():
        notebook = json.loads((provenance.ROOT / "notebooks" / f"{paper.chapter}.ipynb").read_text())
        drawn = {cell["metadata"].get("mystnb", {}).get("figure", {}).get("name") for cell in notebook["cells"]}
        named = claims_module._files()[paper.chapter].get("figures", {})
        assert set(named.values()) <= drawn
        for begin, figure in named.items():
            assert figure in {item.figure for item in claims(paper.key) if item.id.startswith(begin)}, begin


def test_every_paper_has_a_question():
    assert all(paper.question.endswith("?") for paper in claims_module.papers())


def test_papers_of_the_claims_stand_in_the_bibliography():
    keys = re.findall(r"@\w+\{(\w+),", (provenance.ROOT / "book" / "references.bib").read_text())
    assert {item.paper for item in claims()} <= set(keys)


def test_an_unknown_claim_or_paper_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"id of a claim .*, got 'dca.nowhere'"):
        claim("dca.nowhere")
    with pytest.raises(InputError, match="eraslan2019"):
        claims("nobody1900")
    with pytest.raises(InputError, match="id of a claim"):
        results.Run("dca").add("dca.nowhere", "m", 1.0)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An empty record, in place of the book's."""
    found = record.Record(tmp_path / "record")
    monkeypatch.setattr(record, "current", lambda: found)
    return found


@pytest.fixture
def run(tmp_path, kept):
    parameters = {"epochs": 300, "edition": "quick", "size": np.int64(3)}
    run = results.Run("dca", parameters=parameters, seed=4, dataset={"name": "dca_g2_fig2"}, out=str(tmp_path / "new"))
    for seed in range(5):
        run.add("dca.fig2.g2.true", "silhouette", 0.6 + seed / 100, seed=seed)
        run.add("dca.fig2.g2.observed", "silhouette", 0.05, seed=seed)
        run.add("dca.fig2.g2.zinb", "silhouette", 0.35 + seed / 100, seed=seed, variant="faithful")
        run.add("dca.fig2.g2.zinb", "silhouette", 0.01, seed=seed, variant="repaired")
    return run


def test_the_table_sets_the_run_beside_the_paper(run):
    table = run.table("eraslan2019").set_index("claim")
    true = table.loc["dca.fig2.g2.true"]
    assert true["mean"] == pytest.approx(0.62)
    assert true["sd"] == pytest.approx(np.std([0.60, 0.61, 0.62, 0.63, 0.64], ddof=1))
    assert (true["published"], true["seeds"], true["verdict"]) == (0.60, 5, REPRODUCED)
    assert table.loc["dca.fig2.g6.true", "reason"] == "not run"


def test_each_variant_gets_its_own_row_and_verdict(run):
    table = run.table("eraslan2019").set_index(["claim", "variant"])["verdict"]
    assert table["dca.fig2.g2.zinb", "faithful"] == REPRODUCED
    assert table["dca.fig2.g2.zinb", "repaired"] == NOT_REPRODUCED
    assert table["dca.fig2.g2.order", "faithful"] == REPRODUCED
    assert table["dca.fig2.g2.order", "repaired"] == PARTLY


def test_values_on_other_data_stand_beside_the_claim_without_counting(run):
    run.add("dca.fig2.g2.mse", "silhouette", 0.03, seed=0, dataset="pbmc68k_reduced")
    row = run.table("eraslan2019").set_index("claim").loc["dca.fig2.g2.mse"]
    assert (row["mean"], row["dataset"], row["verdict"]) == (0.03, "pbmc68k_reduced", NOT_TESTED)


def test_the_shown_table_gives_the_verdict_by_shape_word_and_colour(run):
    html, folded = run.show("eraslan2019")._repr_html_().split("<details>")
    assert "● reproduced" in html
    assert f"var(--verdict-reproduced, {claim_tables.COLOURS[REPRODUCED]})" in html
    # what has no value is folded
    assert "not run" not in html
    assert "● reproduced" not in folded
    assert re.search(r"<summary>\d+ statements of which there is no value", folded)
    assert results.Run("dca").show("eraslan2019").html.startswith("<p>No claim of the paper was measured.</p><details>")


def entries(*values, dataset="d", **more):
    of = {"claim": "x", "dataset": dataset, "variant": None} | more
    return [of | {"seed": seed, "value": value} for seed, value in enumerate(values)]


def joined(item, build=(), recorded=()):
    return claim_tables.three([item], *(claim_tables.compare([item], side) for side in (build, recorded)))


def test_thousands_are_shown_in_full_and_other_numbers_rounded():
    table = joined(number(value=1503877, unit="parameters"))
    assert claim_tables.words(table)["published"].tolist() == ["1,503,877 parameters"]
    shown = claim_tables.words(joined(number(), entries(2e6, 2e6 + 2)))
    assert shown["this build"].tolist() == ["2,000,001 ± 1.4 (n = 2)"]
    assert claim_tables.words(joined(number(unit="silhouette")))["published"].tolist() == ["0.5"]


def test_the_record_gives_the_verdict_where_it_has_the_seeds():
    item = number(seeds=3)
    (row,) = joined(item, entries(0.9), entries(0.5, 0.52, 0.48)).to_dict("records")
    assert (row["verdict"], row["source"], row["seeds"], row["record_seeds"]) == (REPRODUCED, "record", 1, 3)
    assert (row["mean"], row["record_mean"]) == (0.9, pytest.approx(0.5))
    text = claim_tables.words(joined(item, entries(0.9), entries(0.5, 0.52, 0.48))).iloc[0]
    assert (text["record"], text["this build"]) == ("0.5 ± 0.02 (n = 3)", "0.9 (n = 1)")


def test_the_build_gives_it_where_the_record_has_fewer_seeds_or_nothing_that_can_be_judged():
    item = number(seeds=3, needs={"epochs": 300})
    enough = {"settings": {"epochs": 300}}
    own = entries(0.5, 0.52, 0.48, **enough)
    assert joined(item, own, entries(0.9, **enough)).loc[0, "source"] == "build"
    assert joined(item, own, entries(0.9, 0.9, 0.9, settings={"epochs": 20})).loc[0, "source"] == "build"
    assert joined(item, own, []).loc[0, "record_seeds"] == 0
    assert joined(item, entries(0.9, settings={"epochs": 20}), entries(0.5, **enough)).loc[0, "source"] == "record"


def test_kindred_data_stand_in_a_row_of_their_own():
    item = number(kindred=("e",), seeds=3)
    table = joined(item, entries(0.9), entries(0.5, 0.52, 0.48, dataset="e"))
    assert table["kindred"].tolist() == [False, True]
    assert table["source"].tolist() == ["build", "record"]


def test_saved_records_carry_their_provenance(run):
    content = json.loads(run.save().read_text())
    assert len(content["records"]) == 20
    assert content["records"][0] == {
        "claim": "dca.fig2.g2.true", "metric": "silhouette", "value": 0.6, "seed": 0, "dataset": "dca_g2_fig2",
        "variant": None, "method": None, "note": None,
    }  # fmt: skip
    assert content["parameters"]["size"] == 3
    facts = content["provenance"]
    assert facts["edition"] == "quick"
    assert facts["lock_sha256"] == provenance.sha256(provenance.ROOT / "requirements.lock")
    assert {"python", "tensorflow", "keras", "numpy", "scanpy", "anndata", "scgen_lib"} <= set(facts["versions"])
    assert facts["hardware"]["cpu"]
    assert facts["hardware"]["cores"] >= 1
    assert facts["duration_s"] >= 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_saved_as_null_with_a_note(tmp_path, value):
    run = results.Run("dca", out=str(tmp_path))
    run.add(None, "loss", value)
    record = json.loads(run.save().read_text())["records"][0]
    assert record["value"] is None
    assert record["note"] == f"value was {value}"


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = results.Run("dca")
    run.add(None, "loss", 1.0)
    assert run.save() is None
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "records.json"
    files.write_atomically(path, "old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_atomically(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["records.json"]
    assert path.read_text() == "old"


def test_the_hash_of_a_folder_follows_names_and_contents(tmp_path):
    (tmp_path / "a").write_text("1")
    first = provenance.sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = provenance.sha256(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, second, provenance.sha256(tmp_path)}) == 3
