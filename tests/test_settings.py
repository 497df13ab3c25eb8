"""Arguments that are declared once: checks, variants, signatures, docstrings, lines of notebooks, what is saved."""

import ast
import dataclasses
import inspect
import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from scgen_book import experiments, parameters
from scgen_lib import values
from scgen_lib.errors import ParameterError
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.cvae.cells import split
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA
from scgen_lib.models.dca.students import Student
from scgen_lib.models.dr_a import DRA
from scgen_lib.models.scgan import ScGAN
from scgen_lib.models.scgan.cells import process
from scgen_lib.settings import Option, Settings, arguments, checked, chosen, declared, option

ROOT = Path(__file__).resolve().parent.parent


@declared
class ThingSettings(Settings):
    """Arguments of `Thing`."""

    hidden: Sequence[int] = option((8, 4), "in [1, 4096]", "widths", origin="thing -s", flat="hidden_size")
    learning_rate: float = option(1e-3, "in (0, 1]", "step size")
    clip_norm: float | None = option(5.0, "in (0, inf)", "largest norm; None: any", released=None)
    loss: Literal["stable", "released"] = option("stable", meaning="the loss", released="released", finding="T1")
    on: bool = option(True, meaning="a switch")
    decay: bool = option(True, meaning="a decay", released=True)
    seed: int = option(0, "in [0, 9]", "of everything", flat=None)

    def check(self):
        if len(self.hidden) > 3:
            raise ParameterError("expected three widths at most")


class Thing(ThingSettings):
    """A thing.

    Notes
    -----
    It does nothing.
    """

    @checked
    def fit(
        self, data: object, *, epochs: Annotated[int, Option("in [1, inf)", "passes")] = 3, progress: bool = False
    ) -> int:
        """Fit it.

        Parameters
        ----------
        data
            Any.

        Returns
        -------
        int
            The epochs.
        """
        return epochs


def test_values_come_in_their_declared_types():
    thing = Thing(hidden=[np.int64(2)], learning_rate=1, clip_norm=None)
    assert (thing.hidden, thing.learning_rate, thing.clip_norm) == ((2,), 1.0, None)
    assert type(thing.hidden[0]) is int
    assert type(thing.learning_rate) is float
    assert Thing(hidden=np.array([3, 4])).hidden == (3, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": (0,)}, r"expected hidden to be list\[int\], in \[1, 4096\], got \(0,\): set a legal value"),
        ({"hidden": "8"}, "expected hidden"),
        ({"hidden": (2.5,)}, "expected hidden"),
        ({"learning_rate": True}, "expected learning_rate to be float"),
        ({"learning_rate": float("nan")}, "expected learning_rate"),
        ({"learning_rate": None}, "expected learning_rate"),
        ({"loss": "best"}, "expected loss to be str, one of stable, released, got 'best'"),
        ({"on": 1}, "expected on to be bool, got 1"),
        ({"hidden": (1, 2, 3, 4)}, "three widths at most"),
    ],
)
def test_illegal_values_are_refused_by_name(values, message):
    with pytest.raises(ParameterError, match=message):
        Thing(**values)


def test_settings_are_frozen_and_what_a_model_learns_is_not():
    thing = Thing()
    thing.net = "a net"
    with pytest.raises(dataclasses.FrozenInstanceError):
        thing.learning_rate = 1.0


def test_the_faithful_model_has_every_released_value_and_refuses_a_change_of_one_by_name():
    assert Thing.faithful(hidden=(2,)).values() == {
        "hidden": [2], "learning_rate": 1e-3, "clip_norm": None, "loss": "released", "on": True, "decay": True,
        "seed": 0,
    }  # fmt: skip
    with pytest.raises(ParameterError, match="expected loss = 'released', as in the released code"):
        Thing.faithful(loss="stable")
    # what the released code fixes whatever is asked, the repaired model has too, unless asked
    with pytest.raises(ParameterError, match="expected decay = True, as in the released code"):
        Thing.faithful(decay=False)
    assert not Thing(decay=False).decay
    assert Thing.faithful(loss="released").loss == "released"
    assert Thing.faithful(loss="stable", except_for=["loss"]).loss == "stable"
    with pytest.raises(ParameterError, match="'repaired' or 'faithful', got 'both'"):
        Thing.variant("both")
    assert Thing.variant("repaired").values() == Thing().values()
    # one defect put back is one argument
    assert repr(Thing(loss="released")) == "Thing(loss='released')"


def test_arguments_of_a_method_are_checked_like_those_of_the_constructor():
    assert Thing().fit(0, epochs=np.int32(2)) == 2
    with pytest.raises(ParameterError, match=r"expected epochs to be int, in \[1, inf\), got 0"):
        Thing().fit(0, epochs=0)
    with pytest.raises(TypeError, match="epoch"):
        Thing().fit(0, epoch=1)


def test_docstring_and_signature_follow():
    doc = inspect.getdoc(Thing)
    assert "hidden\n    Widths (``thing -s``). Legal: in [1, 4096]." in doc
    assert "Released code: released, finding T1." in doc
    assert doc.index("Parameters") < doc.index("Notes")
    doc = inspect.getdoc(Thing.fit)
    assert doc.index("data\n") < doc.index("epochs\n    Passes. Legal: in [1, inf).") < doc.index("Returns")
    assert inspect.signature(Thing).parameters["learning_rate"].default == 1e-3
    assert inspect.signature(Thing.fit).parameters["epochs"].annotation is int


def test_the_line_of_a_notebook_follows():
    lines = {name: argument.line() for name, argument in arguments(Thing).items()}
    assert lines["hidden"] == "hidden_size: list[int] = [8, 4]  # in [1, 4096]: widths (thing -s)"
    assert lines["learning_rate"] == "learning_rate: float = 1e-3  # in (0, 1]: step size"
    assert lines["loss"] == (
        "loss: str | None = None  # one of stable, released: the loss; None: released if faithful, stable if repaired"
    )
    assert lines["on"] == "on: bool = True  # any: a switch"
    assert lines["decay"] == "decay: bool = True  # any: a decay; always True if faithful"
    assert arguments(Thing)["seed"].flat is None
    own = arguments(Thing.fit)["epochs"].line(20)
    assert own == "epochs: int = 20  # in [1, inf): passes; elsewhere 3"


def test_flat_parameters_give_the_arguments_and_none_leaves_the_choice_to_the_variant():
    flat = {"hidden_size": [3], "loss": None, "on": False, "epochs": 9, "unknown": 1, "seed": 5}
    assert chosen(Thing, flat) == {"hidden": [3], "on": False}
    assert chosen(Thing, {"learning_rate": None}) == {}
    assert chosen(Thing.fit, {"epochs": None}) == {}
    assert chosen(Thing.fit, flat) == {"epochs": 9}


@pytest.mark.parametrize(
    ("value", "legal", "follows"),
    [
        (0, "in [0, 1)", True), (1, "in [0, 1)", False), (float("inf"), "in [0, inf)", False),
        (["a", "b"], "subset of a, b", True), (["a", "a"], "subset of a, b", False), ([], "subset of a", False),
        ({"x": 2}, "in [2, 3]", True), ({"x": 4}, "in [2, 3]", False), (None, "one of a", True), ("c", "any", True),
    ],
)  # fmt: skip
def test_legal_values(value, legal, follows):
    assert values.follows(value, legal) is follows
    assert values.is_rule(legal)


def test_types_are_told_as_a_parameters_cell_spells_them():
    told = values.type_told
    assert told(Sequence[int]) == "list[int]"
    assert told(Mapping[str, float] | None) == "dict[str, float] | None"
    assert told(Literal["a", "b"] | None) == "str | None"


# The models and functions of a paper, whose arguments are parameters of its chapter.
MODELS = {"cvae": (CVAE, split), "db_aae": (DBAAE,), "dca": (DCA, Student), "dr_a": (DRA,), "scgan": (ScGAN, process)}


def lines_of(chapter):
    """The lines of the parameters cell of a chapter by name."""
    notebook = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text(encoding="utf-8"))
    cell = next("".join(c["source"]) for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", ()))
    return {line.partition(":")[0]: line for line in cell.splitlines()}


@pytest.mark.parametrize("chapter", experiments.CHAPTERS)
def test_the_parameters_cells_have_the_declared_lines(chapter):
    lines, found = lines_of(chapter), {}
    for of in experiments.chapter(chapter).declared:
        for argument in arguments(of).values():
            found.setdefault(argument.flat, argument)  # of two models that share a name, the first
    shown = set(found) & set(lines)
    assert shown
    for name in shown:
        line, argument = lines[name], found[name]
        # a line of the chapter's own says so
        if ": here " in line:
            continue
        default = ast.literal_eval(ast.parse(line).body[0].value)
        own = () if default is None and argument.deviates else (default,)
        assert line == argument.line(*own)


@pytest.mark.parametrize("chapter", MODELS)
def test_every_argument_of_a_papers_model_is_a_parameter_of_its_chapter(chapter):
    known = lines_of(chapter) | parameters.declared(chapter)
    for of in MODELS[chapter]:
        for one in (of, *(getattr(of, name) for name in ("fit", "tune") if hasattr(of, name))):
            assert {a.flat for a in arguments(one).values() if a.flat is not None} <= set(known)


def test_a_mapping_may_be_a_default_and_belongs_to_nobody():
    @declared
    class Epochs(Settings):
        """Epochs by method."""

        epochs: Mapping[str, int] = option({}, "in [1, inf)", "epochs by method")

    first, second = Epochs(), Epochs(epochs={"dca": 3})
    first.epochs["dca"] = 9
    assert (Epochs().values(), second.values()) == ({"epochs": {}}, {"epochs": {"dca": 3}})
    assert arguments(Epochs)["epochs"].line() == "epochs: dict[str, int] = {}  # in [1, inf): epochs by method"


def test_a_type_checker_knows_the_constructor(tmp_path):
    pytest.importorskip("mypy", reason="mypy is an extra for development")
    source = tmp_path / "user.py"
    source.write_text(
        textwrap.dedent("""
        from scgen_lib.models.dca import DCA
        DCA(hidden=(64, 32, 64), seed=0, loss="log_space")
        DCA(hiden=(64, 32, 64))
        DCA(hidden="64")
        DCA(loss="best")
        reveal_type(DCA.faithful(ridge=0.1))
        """)
    )
    config = tmp_path / "mypy.ini"
    config.write_text(
        "[mypy]\nfollow_imports = skip\nignore_missing_imports = True\n[mypy-scgen_lib.*]\nfollow_imports = silent\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", config, "--cache-dir", tmp_path / "cache", source]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    wrong = {int(line.split(":")[1]): line for line in found if ": error:" in line}
    assert set(wrong) == {4, 5, 6}, found
    assert '"hiden"' in wrong[4]
    assert '"hidden"' in wrong[5]
    assert '"loss"' in wrong[6]
    assert any("DCA" in line for line in found if "Revealed type" in line)
