import dataclasses
import json
import math

import numpy as np
import pytest

from scgen_book import claims, provenance, results
from scgen_book.pages import findings
from scgen_lib.errors import ParameterError


def finding(**changes):
    facts = {"name": "R1", "does": "never trains x", "instead": "x learns", "quantity": "score"}
    sides = {"owner": "paper", "kind": "contradicts", "released": [1.0], "otherwise": [2.0]}
    return facts | sides | {"part": False, "figure": None} | changes


@pytest.mark.parametrize(
    ("released", "otherwise", "share"),
    [([1.0], [1.0], 0.0), ([0.0], [0.0], 0.0), ([0.0], [0.3], 1.0), ([1.0], [2.0], 0.5), ([2.0], [1.0], 0.5),
     ([-0.1], [0.1], 2.0), ([1.0, 3.0], [4.0, 4.0], 0.5)],
)  # fmt: skip
def test_an_effect_is_the_difference_as_a_share_of_the_larger_mean(released, otherwise, share):
    assert findings.effect(released, otherwise) == pytest.approx(share)
    for scale in (1e-9, 1e9, -1):
        assert findings.effect([scale * x for x in released], [scale * x for x in otherwise]) == pytest.approx(share)


def test_findings_stand_by_owner_and_kind_then_those_of_the_result_then_by_effect():
    small, large = finding(name="small", released=[1.9]), finding(name="large", released=[0.1])
    part = finding(name="part", released=[0.0], part=True)
    silent = finding(name="silent", kind="undescribed", released=[0.0])
    students = finding(name="students", owner="reproduction", kind="numerical", released=[0.0])
    ranked = findings.rank(
        {"dca": {"findings": [students, silent, part, small]}, "dr_a": {"findings": [large]}, "old": {}}
    )
    assert [entry["name"] for entry in ranked] == ["large", "small", "part", "silent", "students"]


def test_what_was_measured_has_names_for_people():
    (ranked,) = findings.rank({"dca": {"findings": [finding(quantity="MSE of splat_g6, cells kept apart")]}})
    assert "MSE of six simulated groups, cells kept apart" in findings.listing([ranked], {})


def test_a_run_keeps_its_findings_and_leaves_out_what_is_not_finite(tmp_path):
    run = results.Run("dr_a", out=str(tmp_path))
    run.finding("R1, R2", "AUC", released=np.float32(0.5), otherwise=np.array([0.5, 1.0]), figure="fig-x")
    run.finding("R2", "AUC", released=math.nan, otherwise=1.0)
    run.finding("R3", "AUC", released=[], otherwise=1.0)
    run.save()
    (kept,) = json.loads((tmp_path / "records.json").read_text())["findings"]
    words = dataclasses.asdict(claims.deviations("dr_a")["R1, R2"])
    assert kept == {"name": "R1, R2", **words, "quantity": "AUC", "released": [0.5], "otherwise": [0.5, 1.0],
                    "part": False, "figure": "fig-x"}  # fmt: skip
    with pytest.raises(ParameterError, match=r"expected a deviation in scgen_book/papers/dr_a.yml, got 'R99'"):
        run.finding("R99", "AUC", released=1.0, otherwise=2.0)


def test_several_quantities_of_a_deviation_have_its_words():
    run = results.Run("dr_a")
    run.finding("R3, K = 2", "AUC", released=1.0, otherwise=2.0)
    assert run.findings[0]["does"] == claims.deviations("dr_a")["R3"].does
    run.finding("R1, R2", "NMI", released=[0.5, 0.7], otherwise=[0.7, 0.7])
    table = run.deviations({"R2": "said so"}, notes={"R3": "seen once"}, missing="not seen")
    effects = table.data.set_index("")["measured effect"]
    assert effects["R3"] == "AUC: 1, other way 2; seen once"
    assert effects["R1, R2"] == "NMI: 0.6, other way 0.7 (2 seeds)"
    assert effects[["R2", "R1"]].tolist() == ["said so", "not seen"]
    assert list(effects.index) == list(claims.deviations("dr_a"))


def test_a_deviation_has_an_owner_and_a_kind():
    with pytest.raises(ParameterError, match=r"expected owner to be one of paper, figure, .* got 'us'"):
        claims.Deviation("us", "numerical", "a", "b")


def test_a_finding_is_shown_with_its_owner_its_numbers_its_figure_and_its_experiment():
    ranked = findings.rank(
        {"dr_a": {"findings": [finding(figure="fig-dra-moved", released=[1.0, 1.0], otherwise=[2.0, 2.1, 2.2])]}}
    )
    text = findings.listing(ranked, {"dr_a": {"fig-dra-moved"}})
    assert (
        "**1 (n = 2)** in the paper's code, **2.1 ± 0.1 (n = 3)** as described; an effect of 52%, too few seeds" in text
    )
    assert "{numref}`Fig. %s <fig-dra-moved>`" in text
    assert f'href="executed/dr_a.html#{findings.SECTION}"' in text
    assert "numref" not in findings.listing(ranked, {"dr_a": set()})
    title = "The paper's code contradicts its description"
    assert f"| {{ref}}`{title} <findings-paper-contradicts>` | 1 | 1 | DR-A R1, 52% |" in findings.overview(ranked)
    assert findings.overview([]) == "No chapter of this edition has recorded a finding.\n"


def test_as_described_is_said_only_where_something_is_described():
    ranked = findings.rank(
        {"dr_a": {"findings": [finding(kind="undescribed"), finding(owner="stack", kind="numerical")]}}
    )
    text = findings.listing(ranked, {})
    assert "as described" not in text.lower().replace("neither side is as described", "")
    assert text.count("The other way: x learns") == 2


def test_findings_without_an_effect_are_one_folded_list():
    same = [finding(name=f"R{i}", released=[2.001]) for i in range(3)]
    text = findings.listing(findings.rank({"dr_a": {"findings": same}}), {})
    assert "Without an effect on what was measured (3)" in text
    assert "###" not in text


def test_chapters_that_record_findings_have_the_section_that_the_page_links_to():
    heading = findings.SECTION.replace("-", " ")
    for path in (provenance.ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        if any("run.finding(" in "".join(cell["source"]) for cell in cells):
            headings = [line for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"]]
            assert f"## {heading.capitalize()}" in map(str.strip, headings), path.name
