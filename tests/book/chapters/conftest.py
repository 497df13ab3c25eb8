import pytest

from scgen_book import experiments
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
