"""What an edition asks for and the record lacks: planned with its cost, computed, and written down row by row."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from scgen_book import experiments
from scgen_book.batch import plan, recording
from scgen_book.record import Record
from scgen_lib.errors import ParameterError

EDITION = """\
denoising:
  notebook: notebooks/denoising.ipynb
  page: denoising
  sweep: true
  parameters: {datasets: [splat_g6], methods: [observed, gene_mean, scvi], seeds: [0, 1], max_cells: 60, genes: 40}
"""
SETTINGS = {"epochs": 3}


@pytest.fixture
def edition(tmp_path, monkeypatch):
    """An edition of few rows, computed in threads and into a folder of its own."""
    (tmp_path / "editions").mkdir()
    (tmp_path / "editions" / "full.yml").write_text(EDITION)
    monkeypatch.setattr(recording, "_pool", ThreadPoolExecutor)
    folder = tmp_path / "editions"
    (tmp_path / "notebooks").symlink_to(experiments.provenance.ROOT / "notebooks")
    monkeypatch.chdir(tmp_path)
    return str(folder)


def test_rows_are_written_down_one_by_one_and_not_computed_again(edition, tmp_path):
    record, lines = Record(tmp_path / "record"), []
    asked = plan.rows("full", record, editions=edition)
    assert len(asked) == 6
    assert not any(one.recorded for one in asked)
    assert recording.record("full", record, only=["observed"], editions=edition, jobs=1, told=lines.append) == 2
    assert len(lines) == 2
    assert lines[0].startswith("denoising splat_g6 observed 0: ok (")
    # a package that is not installed says nothing about its method
    expected = 4 if experiments.installed(experiments.get("denoising").methods["scvi"]) else 2
    assert (
        recording.record("full", Record(tmp_path / "record"), editions=edition, jobs=2, told=lines.append) == expected
    )
    again = Record(tmp_path / "record")
    assert {(key[2], key[3]) for key in again.rows} >= {
        ("observed", 0),
        ("observed", 1),
        ("gene_mean", 0),
        ("gene_mean", 1),
    }
    assert sum(int(batch["rows"]) for batch in again.batches.values()) == len(again.rows)
    left = [one for one in plan.rows("full", again, editions=edition) if not one.recorded]
    assert {one.method for one in left} <= {"scvi"}
    table = plan.table(plan.rows("full", again, editions=edition)).splitlines()
    assert table[0].split() == ["run", "experiment", "rows", "done", "core-h", "left", "core-h"]
    assert table[1].split()[:4] == ["denoising", "denoising", "6", str(2 + expected)]
    (line,) = [line for line in plan.listed(left).splitlines() if line.split()[2:5] == ["splat_g6", "scvi", "1"]]
    assert line.split()[5] == "left"


def test_no_row_is_begun_when_the_time_is_over_and_unknown_names_are_refused(edition, tmp_path):
    record = Record(tmp_path / "record")
    assert recording.record("full", record, hours=0, editions=edition, jobs=1, told=str) == 1
    with pytest.raises(ParameterError, match=r"expected experiments, data sets, methods or runs .* got nonsense"):
        recording.record("full", record, only=["nonsense"], editions=edition)


def test_the_cost_of_a_row_is_that_of_those_most_alike(tmp_path):
    record = Record(tmp_path)
    for seed, method, core_s in ((0, "zinb", 10.0), (1, "zinb", 20.0), (0, "mse", 90.0)):
        row = {"experiment": "dca.figure2", "dataset": "dca_g2_fig2", "method": method, "seed": seed, "variant": None}
        row |= {"settings": SETTINGS, "status": "ok", "reason": None, "scores": {}, "claims": {}}
        record.add(row, core_s, {"batch": "made up"})
    costs = plan.Costs(record)
    assert costs.of("dca.figure2", "dca_g2_fig2", "zinb", SETTINGS) == 15.0
    assert costs.of("dca.figure2", "dca_g6_fig2", "mse", SETTINGS) == 90.0
    assert costs.of("dca.figure2", "dca_g2_fig2", "nb", SETTINGS) == 40.0
    assert costs.of("dca.figure2", "dca_g2_fig2", "zinb", {"epochs": 300}) is None


def test_a_recorded_row_is_computed_once_more_and_a_difference_fails_with_its_name(edition, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from scgen_book import cli, record

    kept = Record(tmp_path / "record")
    recording.record("full", kept, only=["observed"], editions=edition, jobs=1, told=str)
    monkeypatch.setattr(record.Record.__init__, "__defaults__", (tmp_path / "record",))
    done = CliRunner().invoke(cli.verify, ["--rows", "1", "--seed", "0"])
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "1 identical"
    assert CliRunner().invoke(cli.plan, ["full", "--editions-dir", edition]).output.splitlines()[1].split()[3] == "2"

    for row in kept.rows.values():
        metric = next(name for name, value in row["scores"].items() if value)
        row["scores"][metric] = None
    kept.write("denoising")
    done = CliRunner().invoke(cli.verify, ["--rows", "1", "--experiment", "denoising"])
    assert str(done.exception).splitlines()[0].startswith("expected the recorded numbers, got others")
    assert f"({metric}: not finite recorded," in str(done.exception)

    done = CliRunner().invoke(cli.verify, ["--experiment", "dr_a.scores"])
    assert str(done.exception).startswith("expected rows in ")


def test_a_recorded_row_is_computed_once_more_by_a_process_of_one_thread(edition, tmp_path, monkeypatch):
    kept = Record(tmp_path / "record")
    recording.record("full", kept, only=["observed"], editions=edition, jobs=1, told=str)
    asked = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, jobs):
            asked.append((jobs, os.environ["OMP_NUM_THREADS"], os.environ["TF_NUM_INTRAOP_THREADS"]))
            super().__init__(jobs)

    monkeypatch.setattr(recording, "_pool", Pool)
    found = list(recording.again(kept, list(kept.rows.values()), jobs=2))
    assert [one.word for one in found] == ["identical"] * 2
    assert asked == [(2, "1", "1")]
