import json
import math

import numpy as np
import pytest

from scgen_lib import findings, provenance, results


def finding(**changes):
    facts = {"name": "R1", "does": "never trains x", "instead": "x learns", "quantity": "score"}
    return facts | {"released": [1.0], "described": [2.0], "part": False, "figure": None} | changes


@pytest.mark.parametrize(
    ("released", "described", "share"),
    [([1.0], [1.0], 0.0), ([0.0], [0.0], 0.0), ([0.0], [0.3], 1.0), ([1.0], [2.0], 0.5), ([2.0], [1.0], 0.5),
     ([-0.1], [0.1], 2.0), ([1.0, 3.0], [4.0, 4.0], 0.5)],
)  # fmt: skip
def test_an_effect_is_the_difference_as_a_share_of_the_larger_mean(released, described, share):
    assert findings.effect(released, described) == pytest.approx(share)
    for scale in (1e-9, 1e9, -1):
        assert findings.effect([scale * x for x in released], [scale * x for x in described]) == pytest.approx(share)


def test_only_several_seeds_tell_an_effect_from_chance():
    assert findings.within_spread([1.0], [2.0, 2.1]) is None
    assert findings.within_spread([1.0, 2.0], [1.6, 2.4]) is True
    assert findings.within_spread([1.0, 1.1], [2.0, 2.1]) is False


def test_findings_are_ranked_by_effect_those_of_the_result_first():
    small, large = finding(name="small", released=[1.9]), finding(name="large", released=[0.1])
    part = finding(name="part", released=[0.0], part=True)
    ranked = findings.rank({"dca": {"findings": [part, small]}, "dr_a": {"findings": [large]}, "old": {}})
    assert [(entry["page"], entry["name"]) for entry in ranked] == [
        ("dr_a", "large"),
        ("dca", "small"),
        ("dca", "part"),
    ]


def test_a_run_keeps_its_findings_and_leaves_out_what_is_not_finite(tmp_path):
    run = results.Run("dr_a", out=str(tmp_path))
    run.finding("R1", "a", "b", "AUC", released=np.float32(0.5), described=np.array([0.5, 1.0]), figure="fig-x")
    run.finding("R2", "a", "b", "AUC", released=math.nan, described=1.0)
    run.finding("R3", "a", "b", "AUC", released=[], described=1.0)
    run.save()
    (kept,) = json.loads((tmp_path / "records.json").read_text())["findings"]
    assert kept == {"name": "R1", "does": "a", "instead": "b", "quantity": "AUC", "released": [0.5],
                    "described": [0.5, 1.0], "part": False, "figure": "fig-x"}  # fmt: skip


def test_a_finding_is_shown_with_its_numbers_its_figure_and_its_experiment(tmp_path):
    ranked = findings.rank({"dr_a": {"findings": [finding(figure="fig-dra-moved", described=[2.0, 2.2])]}})
    text = findings.listing(ranked, {"dr_a": {"fig-dra-moved"}})
    assert "**1** as released, **2.1 ± 0.14 (n = 2)** as described, an effect of 52% (one seed)" in text
    assert "{numref}`Fig. %s <fig-dra-moved>`" in text
    assert f'href="executed/dr_a.html#{findings.SECTION}"' in text
    assert "numref" not in findings.listing(ranked, {"dr_a": set()})
    row = "| {ref}`never trains x <finding-dr-a-r1>` | {doc}`DR-A R1 <executed/dr_a>` | score | 52% |"
    assert row in findings.overview(ranked)
    findings.draw(ranked, tmp_path)
    assert (tmp_path / "finding-dr-a-r1.svg").read_bytes().startswith(b"<?xml")
    assert findings.overview([]) == "No chapter of this edition has recorded a finding.\n"


def test_chapters_that_record_findings_have_the_section_that_the_page_links_to():
    heading = findings.SECTION.replace("-", " ")
    for path in (provenance.ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        if any("run.finding(" in "".join(cell["source"]) for cell in cells):
            headings = [line for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"]]
            assert f"## {heading.capitalize()}" in map(str.strip, headings), path.name
