import pytest

from scgen_book import experiments, record


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Put rows into a record that is made up: experiment, and values by data set, method and metric, a seed each."""
    kept = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: kept)

    def put(experiment, datasets):
        assert all(method in experiments.get(experiment).methods for of in datasets.values() for method in of)
        for dataset, methods in datasets.items():
            for method, metrics in methods.items():
                assert metrics.keys() <= experiments.get(experiment).metrics.keys()
                for seed in range(max(map(len, metrics.values()))):
                    scores = {name: values[seed] for name, values in metrics.items()}
                    scores |= {"groups": 2.0} if "groups" in experiments.get(experiment).metrics else {}
                    row = {
                        "experiment": experiment, "dataset": dataset, "method": method, "seed": seed, "settings": {},
                        "status": "ok", "reason": None, "scores": scores, "claims": {}, "variant": None,
                    }  # fmt: skip
                    kept.add(row, 1.0, {"batch": "made up"})

    return put
