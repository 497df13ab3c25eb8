import pytest

from scgen_book import experiments, record
from scgen_book.experiments.rows import Rows


@pytest.fixture(scope="session")
def made_up():
    """Rows of an experiment with made-up scores: {data set: {method: {metric: values by seed, or the reason}}}."""

    def make(name, scores, settings=None, **changes):
        experiment = experiments.get(name)
        rows = []
        for dataset, methods in scores.items():
            for method, of in methods.items():
                values = {} if isinstance(of, str) else of
                for seed in range(max([len(v) for v in values.values()], default=1)):
                    own = {metric: v[seed] for metric, v in values.items() if seed < len(v)}
                    rows.append({
                        "experiment": name, "dataset": dataset, "method": method,
                        "role": experiment.methods[method].role, "variant": experiment.methods[method].variant,
                        "seed": seed, "settings": settings or {}, "key": "", "status": "gap" if of != values else "ok",
                        "reason": of if of != values else None, "duration_s": 30.0, "scores": own, "claims": {},
                        "arrays": {},
                    })  # fmt: skip
        return Rows(experiment, rows)

    return make


@pytest.fixture
def in_record(tmp_path, monkeypatch):
    """Rows that the record has from now on: a function of rows, settings and seeds; a later call replaces them."""

    def keep(rows, settings, seeds=range(3)):
        kept = record.Record(tmp_path / "record")
        monkeypatch.setattr(record, "current", lambda: kept)
        for seed in seeds:
            for row in rows:
                kept.add(row | {"seed": seed, "settings": settings}, 1.0, {"batch": "made up"})

    return keep
