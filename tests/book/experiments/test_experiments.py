"""Which rows a chapter asks for with which settings, and what a row leaves when its process dies."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from scgen_book import experiments, notebooks, parameters
from scgen_book.cells import read_notebook
from scgen_book.experiments import rows
from scgen_book.experiments.protocol import Chapter, Experiment, Metric, NotApplicable, crossed
from scgen_lib.errors import ParameterError
from scgen_lib.settings import Settings, declared, option

each = pytest.mark.parametrize("name", experiments.CHAPTERS)


@declared
class First(Settings):
    """Arguments of a model."""

    epochs: int = option(300, "in [1, inf)", "epochs")
    widths: Sequence[int] = option((4, 2), "in [1, inf)", "widths", flat="hidden_size")
    keep: float = option(1.0, "in [0, 1]", "share kept", released=0.5)
    decay: bool = option(True, meaning="a decay", released=True)
    seed: int = option(0, "in [0, 9]", "of all", flat=None)


@declared
class Second(Settings):
    """Arguments of another one, which shares a name."""

    epochs: int = option(20, "in [1, inf)", "epochs")
    rate: float = option(0.1, "in (0, 1]", "step size")


def experiment(name, asked=crossed, settings=(First,)):
    return Experiment(name, {}, {"error": Metric("error", "lower")}, lambda *_: None, lambda *_: {}, settings, asked)


def nothing(values):
    raise NotApplicable("no part of this run")


@pytest.fixture
def toy(monkeypatch):
    """A chapter of two experiments, one of which has no rows."""
    found = {"toy.one": experiment("toy.one", settings=(First, "rate")), "toy.two": experiment("toy.two", nothing)}
    chapter = Chapter("toy", tuple(found), (First, Second), lambda values: {"epochs": 1, "seeds": values["seeds"][:1]})
    monkeypatch.setattr(experiments, "chapter", lambda name: chapter)
    monkeypatch.setattr(experiments, "get", found.__getitem__)


GIVEN = {"datasets": ["a"], "methods": ["m", "n"], "seeds": [0, 1], "hidden_size": [8]}


@pytest.mark.usefixtures("toy")
def test_all_parameters_of_a_chapter_are_those_of_the_run_and_declared_defaults():
    # what only one variant has is left to the variant, and of two models that share a name the first has it
    own = {"epochs": 300, "keep": None, "decay": True, "rate": 0.1}
    assert experiments.complete("toy", GIVEN) == GIVEN | own
    assert experiments.complete("toy", GIVEN | {"epochs": 7})["epochs"] == 7


@pytest.mark.usefixtures("toy")
def test_at_test_size_other_values_hold_than_those_that_are_asked_for():
    found = experiments.complete("toy", GIVEN | {"fast": True, "epochs": 9})
    assert (found["epochs"], found["seeds"], found["rate"]) == (1, [0], 0.1)
    # once more changes nothing: a notebook and its rows may both ask
    assert experiments.complete("toy", found) == found


@pytest.mark.usefixtures("toy")
def test_the_plan_has_every_row_with_the_settings_that_decide_it_and_nothing_of_what_has_no_rows():
    found = experiments.plan("toy", GIVEN | {"rate": 0.5, "out": "here"})
    assert list(found) == [("toy.one", "a", m, s) for s in (0, 1) for m in ("m", "n")]
    own = {"epochs": 300, "hidden_size": [8], "keep": None, "decay": True, "rate": 0.5}
    assert list(found.values()) == [own] * 4
    with pytest.raises(ParameterError, match="expected at least one of methods, got none: name one"):
        experiments.plan("toy", GIVEN | {"methods": []})


def test_a_chapter_names_experiments_that_are_there_under_their_names():
    chapter = experiments.chapter("denoising")
    assert chapter.name == "denoising"
    with pytest.raises(ParameterError, match="got 'dcaa': use one of them"):
        experiments.chapter("dcaa")
    with pytest.raises(ParameterError, match="got 'dcaa'"):
        notebooks.path("dcaa")


COMPARISONS = ("denoising", "simulation", "representation")


@pytest.mark.parametrize("name", COMPARISONS)
def test_the_settings_of_a_row_are_the_same_for_a_notebook_and_for_a_job(name):
    from scgen_book.batch import rows as jobs

    notebook = read_notebook(notebooks.path(name))
    values = parameters.check({}, parameters.from_notebook(notebook))
    (settings,) = {json.dumps(one, sort_keys=True) for one in experiments.plan(name, values).values()}
    assert json.loads(settings) == jobs.settings(name, {})


# A process that dies in a training ------------------------------------------------------------------------------------

TASK = ("splat_g2", "dca_nb", 0)
SETTINGS = {"max_cells": 60, "genes": 30, "dca_epochs": 14, "kmeans_seeds": 1, "decoys": 4}
KILLED = """
import os, signal, sys
from pathlib import Path
import keras
import tensorflow as tf
from scgen_book.experiments import rows
from scgen_lib.models.dca import DCA

fit = DCA.fit


class Dies(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 12:
            os.kill(os.getpid(), signal.SIGKILL)


DCA.fit = lambda self, adata, **of: fit(self, adata, callbacks=[Dies()], **of)
tf.config.run_functions_eagerly(True)
rows.compute("denoising", {task}, {settings}, Path({path!r}))
"""


@pytest.mark.slow
def test_a_row_that_is_killed_in_a_training_goes_on_from_there_and_is_the_same_to_the_bit(tmp_path, monkeypatch):
    import keras
    import tensorflow as tf

    from scgen_lib.models.dca import DCA

    epochs, fit = [], DCA.fit
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    monkeypatch.setattr(DCA, "fit", lambda self, adata, **of: fit(self, adata, callbacks=[watch], **of))

    def compute(path):
        epochs.clear()
        tf.config.run_functions_eagerly(True)
        try:
            return rows.compute("denoising", TASK, SETTINGS, path) | {"duration_s": 0, "core_s": 0}
        finally:
            tf.config.run_functions_eagerly(False)

    killed, whole = tmp_path / "killed" / "a.json", tmp_path / "whole" / "a.json"
    code = KILLED.format(task=TASK, settings=SETTINGS, path=str(killed))
    assert (
        subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode
        == -signal.SIGKILL
    )
    assert not killed.exists()
    (state,) = killed.parent.iterdir()
    assert [path.name for path in state.iterdir()] == ["training.state"]
    # a state is written every ten epochs
    first = compute(killed)
    assert epochs == [10, 11, 12, 13]
    second = compute(whole)
    assert epochs == list(range(14))
    assert first["status"] == "ok"
    assert first == second
    # the state has served
    assert [path.name for path in killed.parent.iterdir()] == ["a.json"]


def test_states_of_trainings_have_names_of_their_own_and_no_place_outside_of_a_row(tmp_path):
    assert experiments.checkpoint() is None
    with experiments.state(tmp_path / "of the row"):
        first, second = experiments.checkpoint(), experiments.checkpoint("second")
        assert first != second
        assert {os.path.dirname(path) for path in (first, second)} == {str(tmp_path / "of the row")}
        with experiments.state(None):
            assert experiments.checkpoint() is None
    assert experiments.checkpoint() is None


def test_the_state_of_other_settings_is_not_that_of_a_row(tmp_path, monkeypatch):
    folders = []

    def row(experiment, dataset, method, seed, settings, answer):
        folders.append(experiments.checkpoint())
        if settings["epochs"] == 1:
            raise KeyboardInterrupt
        return {"settings": dict(settings)}

    monkeypatch.setattr(experiments, "row", row)
    (tmp_path / ".a.2.0123456789ab").mkdir()
    with pytest.raises(KeyboardInterrupt):
        rows.compute("denoising", ("a", "b", 0), {"epochs": 1}, tmp_path / "a.json")
    assert os.path.isdir(os.path.dirname(folders[0]))
    for _ in range(2):
        rows.compute("denoising", ("a", "b", 0), {"epochs": 2}, tmp_path / "a.json")
    assert folders[0] != folders[1] == folders[2]
    # what was left of the first has gone, and what is another row's has stayed
    (tmp_path / ".a.2.0123456789ab").rmdir()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@each
def test_a_chapter_is_named_as_its_module(name):
    if name in COMPARISONS:
        assert experiments.chapter(name).name == name
