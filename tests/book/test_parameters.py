import atexit
import json
import subprocess
import sys

import nbformat
import pytest

from scgen_book import cells, experiments, parameters, provenance
from scgen_book.experiments.protocol import Chapter
from scgen_lib import cli
from scgen_lib.errors import ParameterError
from scgen_lib.settings import Settings, declared, option

CELL = """\
# How long and how fast.
epochs: int = 300  # in [1, inf): epochs at most (dca -e)
learning_rate: float | None = None  # in (0, 0.1]: step size; None: 1e-3
activation: str = "relu"  # one of relu, selu, elu, linear: hidden units
variants: list[str] = ["faithful", "repaired"]  # subset of faithful, repaired: what to run
dropout: float | list[float] = 0.0  # in [0, 1): rate, or one a layer
dataset: str = "dca_student"  # any: preset, dataset name or path
seeds: list[int] = [0, 1, 2]  # in [0, inf): one run each
numbers: dict[str, int] | None = None  # in [0, inf): cells of a type
names: list[str] = []  # any: names
fast: bool = False  # any: test size
out: str | None = None  # any: folder of the records
"""


@pytest.fixture
def spec():
    return parameters.parse(CELL)


def test_a_cell_is_read_in_order_with_type_default_rule_and_meaning(spec):
    assert list(spec)[:2] == ["epochs", "learning_rate"]
    epochs = spec["epochs"]
    assert (epochs.type, epochs.default, epochs.rule) == (int, 300, "in [1, inf)")
    assert epochs.meaning == "epochs at most (dca -e)"
    assert spec["learning_rate"].meaning == "step size; None: 1e-3"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("epochs", 5, 5),
        ("epochs", "7", 7),
        ("epochs", "010", 10),
        ("epochs", "08", 8),
        ("epochs", "1_000", 1000),
        ("learning_rate", 0.1, 0.1),
        ("learning_rate", "1e-3", 0.001),
        ("learning_rate", "null", None),
        ("dropout", 0, 0.0),
        ("dropout", "[0, 0.5]", [0.0, 0.5]),
        ("activation", "elu", "elu"),
        ("variants", "[repaired]", ["repaired"]),
        ("seeds", "[0,1]", [0, 1]),
        ("seeds", "[064, 032]", [64, 32]),
        ("names", "[NO, 010, 1:30, 2024-01-01, null]", ["NO", "010", "1:30", "2024-01-01", "null"]),
        ("seeds", (4,), [4]),
        ("numbers", {"B": 3, 8: 0}, {"B": 3, "8": 0}),
        ("numbers", "{CD19+ B: 3, T: 0}", {"CD19+ B": 3, "T": 0}),
        ("numbers", "null", None),
        ("numbers", "{010: 08, NO: 1}", {"010": 8, "NO": 1}),
        ("fast", "true", True),
        ("fast", "False", False),
        ("dataset", "12", "12"),
        ("out", None, None),
        ("out", "None", None),
    ],
)
def test_legal_values_come_back_in_their_declared_type(spec, name, given, expected):
    value = parameters.check({name: given}, spec)[name]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("epochs", 0),
        ("epochs", True),
        ("epochs", 2.5),
        ("epochs", "many"),
        ("epochs", "1:30"),
        ("epochs", "1e3"),
        ("learning_rate", "0:00.05"),
        ("learning_rate", "nan"),
        ("seeds", "[1:30]"),
        ("numbers", "{B: 1, B: 2}"),
        ("epochs", None),
        ("learning_rate", 0),
        ("learning_rate", 0.2),
        ("learning_rate", float("nan")),
        ("learning_rate", False),
        ("activation", "tanh"),
        ("variants", []),
        ("variants", ["faithful", "faithful"]),
        ("variants", "faithful"),
        ("variants", "[faithful"),
        ("dropout", [0.1, 1.0]),
        ("numbers", {"B": -1}),
        ("numbers", {"B": 2.5}),
        ("numbers", [3]),
        ("seeds", [0, -1]),
        ("seeds", 3),
        ("fast", 1),
        ("dataset", 12),
    ],
)
def test_an_illegal_value_is_refused_in_one_line_with_the_legal_ones(spec, name, given):
    with pytest.raises(ParameterError) as error:
        parameters.check({name: given}, spec)
    message = str(error.value)
    assert message.startswith(f"expected {name} to be ")
    assert repr(given) in message
    assert spec[name].legal in message
    assert "\n" not in message


def test_an_unknown_name_gets_the_nearest_one(spec):
    with pytest.raises(
        ParameterError, match=r"^expected a parameter of this notebook, got epocs: did you mean epochs\?$"
    ):
        parameters.check({"epocs": 5}, spec)
    with pytest.raises(ParameterError, match="choose from epochs, learning_rate"):
        parameters.check({"zzz": 5}, spec)


def test_what_is_not_given_keeps_its_default(spec):
    assert parameters.check({}, spec) == {name: parameter.default for name, parameter in spec.items()}


@pytest.mark.parametrize(
    "line",
    [
        "epochs = 5  # any: no type",
        "epochs: int = 5",
        "epochs: int = 5  # a comment without a rule",
        "epochs: int = 5  # about 5: no such rule",
        "epochs: dict = {}  # any: no such type",
        "epochs: int = len([1])  # any: not a literal",
        "epochs: int = (",
    ],
)
def test_a_line_outside_the_grammar_is_refused(line):
    with pytest.raises(ParameterError, match="parameters cell"):
        parameters.parse(line)


def test_a_default_outside_its_own_range_is_refused():
    with pytest.raises(ParameterError, match="epochs to be int, in \\[1, inf\\), got 0"):
        parameters.parse("epochs: int = 0  # in [1, inf): epochs")


def test_a_file_that_is_no_notebook_is_refused(tmp_path):
    (tmp_path / "bad.ipynb").write_text("no json")
    for path in (tmp_path / "bad.ipynb", tmp_path / "absent.ipynb"):
        with pytest.raises(ParameterError, match="expected a Jupyter notebook"):
            parameters.from_notebook(path)


def test_a_notebook_without_the_tag_is_refused():
    with pytest.raises(ParameterError, match="tagged `parameters`"):
        parameters.from_notebook(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("a = 1")]))


def session(*cells):
    """Run cells as a notebook kernel does: each is in the history before it runs."""
    namespace = {"In": [""]}
    for cell in cells:
        namespace["In"].append(cell)
        exec(cell, namespace)
    return namespace


CHECK = "from scgen_book import parameters\nparameters.check_namespace(globals())"


def test_in_a_notebook_values_are_written_back_in_their_type():
    namespace = session(CELL, '# Parameters\nseeds = "[4, 5]"\nlearning_rate = 0.01', CHECK)
    assert namespace["seeds"] == [4, 5]


def test_in_a_notebook_an_unknown_or_illegal_parameter_stops_the_run():
    with pytest.raises(ParameterError, match="did you mean epochs"):
        session(CELL, "# Parameters\nepocs = 5", CHECK)
    with pytest.raises(ParameterError, match="expected epochs to be"):
        session(CELL, "# Parameters\nepochs = -1", CHECK)


def test_cells_can_be_run_again_in_a_live_session():
    later = "model = 3\nfigure: int = 2"
    namespace = session(CELL, CHECK, later, CHECK, CELL, "epochs = 9", CHECK, later, CHECK)
    assert namespace["epochs"] == 9


def test_outside_a_notebook_the_check_says_what_to_do():
    with pytest.raises(ParameterError, match="run it first"):
        parameters.check_namespace({"epochs": 3})


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["epocs", "5"], "ParameterError: expected a parameter of this notebook, got epocs: did you mean epochs?"),
        (["epochs", "-1"], "ParameterError: expected epochs to be int, in [1, inf), got -1: set a legal value"),
    ],
)
def test_plain_papermill_stops_in_one_line(tmp_path, given, line):
    cell = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(
        cells=[
            cell("epochs: int = 3  # in [1, inf): epochs", metadata={"tags": ["parameters"]}),
            cell(CHECK),
            cell("print('trained')"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, tmp_path / "in.ipynb")
    command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "-p", *given, "--no-progress-bar"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1] == line
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs == []


def executed(source):
    cell = nbformat.v4.new_code_cell
    tagged = cell(source, metadata={"tags": ["injected-parameters"]})
    return nbformat.v4.new_notebook(cells=[cell(CELL, metadata={"tags": ["parameters"]}), tagged, cell(CHECK)])


def test_the_values_of_an_executed_notebook_are_read_without_papermills_own():
    source = '# Parameters\nPAPERMILL_INPUT_PATH = "a.ipynb"\nepochs = 5\nnumbers = {"B": 3}\nlearning_rate = None\n'
    assert parameters.injected(executed(source)) == {"epochs": 5, "numbers": {"B": 3}, "learning_rate": None}
    assert parameters.injected(nbformat.v4.new_notebook()) == {}
    with pytest.raises(ParameterError, match=r"^expected the value of epochs itself .* got `2 \* 3`: write it out$"):
        parameters.injected(executed("epochs = 2 * 3"))


def test_the_paths_that_papermill_injects_are_no_parameters():
    namespace = session(
        CELL, '# Parameters\nPAPERMILL_INPUT_PATH = "a"\nPAPERMILL_OUTPUT_PATH = "b"\nepochs = 5', CHECK
    )
    assert namespace["epochs"] == 5


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda cell: cell.replace("epochs: int = 300", "epochs = 7"), "got `epochs = 7`: correct it"),
        (lambda cell: cell + "print('more')\n", r"got `print\('more'\)`: correct it"),
        (
            lambda cell: cell.replace("300  # in [1, inf): epochs at most (dca -e)", "7"),
            "got `epochs: int = 7`: correct",
        ),
        (
            lambda cell: cell.replace("= 300", "= 3 * 100"),
            r"^expected the value of epochs itself .* got `3 \* 100`: write",
        ),
        (lambda cell: cell.replace("= 300", "= 0"), "^expected epochs to be int, in"),
    ],
)
@pytest.mark.parametrize("before", [(), (CELL, CHECK)])
def test_an_edited_cell_that_cannot_be_read_is_refused_by_its_line(before, change, line):
    with pytest.raises(ParameterError, match=line):
        session(*before, change(CELL), CHECK)


def test_a_cell_that_was_mended_after_a_mistake_is_the_one_that_counts():
    history = ["", CELL + "print('more')\n", CELL.replace("300", "5")]
    namespace = {"In": history}
    exec(history[-1], namespace)
    history.append(CHECK)
    exec(CHECK, namespace)
    assert namespace["epochs"] == 5


@pytest.fixture
def shell():
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.history_manager.enabled = False
    yield shell
    shell._atexit_once()
    atexit.unregister(shell.atexit_operations)


def run_cells(shell, *cells):
    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()


@pytest.mark.parametrize("magic", ["%%time\n", "%%capture\n"])
def test_a_magic_above_the_cell_changes_nothing(shell, magic):
    run_cells(shell, CELL, CHECK, magic + CELL.replace("300", "5"), "values = 1;" + CHECK)
    assert shell.user_ns["epochs"] == 5
    assert parameters.parse(magic + CELL) == parameters.parse(CELL)


def test_a_value_edited_in_a_live_session_is_checked_and_recorded_without_the_cell_of_the_check(
    shell, tmp_path, capsys
):
    from scgen_book import results

    run_cells(shell, CELL, CHECK.replace("\np", "\nsettings = p"))
    run = results.Run("a", parameters=shell.user_ns["settings"], out=str(tmp_path))
    run_cells(shell, CELL.replace("300", "5"))
    assert run.parameters["epochs"] == 5
    run_cells(shell, CELL.replace("300", "7"), CHECK, CELL.replace("300", "9"))
    assert run.parameters["epochs"] == 7  # the last before the check, which begins another record
    capsys.readouterr()
    run_cells(shell, CELL.replace("300", "0"))
    assert "expected epochs to be int, in [1, inf), got 0" in capsys.readouterr().out


# What a chapter declares beside its cell ------------------------------------------------------------------------------


@declared
class First(Settings):
    """Arguments of a model."""

    epochs: int = option(300, "in [1, inf)", "epochs at most", origin="dca -e")
    ridge: float = option(0.0, "in [0, inf)", "penalty")
    keep: float = option(1.0, "in [0, 1]", "share kept", released=0.5)
    seed: int = option(0, "in [0, 9]", "of all", flat=None)


@declared
class Second(Settings):
    """Arguments of another one, which shares a name."""

    ridge: float = option(0.1, "in [0, inf)", "penalty of another model")
    by_method: dict[str, int] = option({}, "in [1, inf)", "epochs by method")


@pytest.fixture
def chapter(monkeypatch):
    """A chapter that declares two models."""
    monkeypatch.setattr(experiments, "chapter", lambda name: Chapter(name, (), (First, Second)))


OF_A_CHAPTER = 'from scgen_book import parameters\nsettings = parameters.check_namespace(globals(), "toy")'


@pytest.mark.usefixtures("chapter")
def test_what_a_chapter_declares_are_parameters_like_those_of_a_cell():
    found = parameters.declared("toy")
    assert set(found) == {"epochs", "ridge", "keep", "by_method"}
    epochs = found["epochs"]
    assert (epochs.type, epochs.default, epochs.rule, epochs.meaning) == (
        int, 300, "in [1, inf)", "epochs at most (dca -e)",
    )  # fmt: skip
    # of two models that share a name the first has it; what variants differ in is left to them
    assert found["ridge"].default == 0.0
    assert found["keep"].default is None
    assert found["by_method"].check("{dca: 3}") == {"dca": 3}


def test_a_notebook_names_its_chapter_where_it_checks_its_parameters():
    def of(*sources):
        return parameters.chapter_of(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources]))

    assert of("x = 1", OF_A_CHAPTER) == "toy"
    assert of("parameters.check_namespace(globals(), 'dca')") == "dca"
    assert of(CHECK) is None
    assert of("# check_namespace(globals(), 'dca')", "not Python at all") is None


@pytest.mark.usefixtures("chapter")
def test_those_that_are_given_are_known_beside_those_of_the_cell():
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("epochs: int = 5  # in [1, inf): epochs", metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(OF_A_CHAPTER),
        ]
    )
    assert list(parameters.known(notebook, [])) == ["epochs"]
    assert list(parameters.known(notebook, ["ridge"])) == ["epochs", "ridge"]
    # the chapter's own default stands in its cell
    assert parameters.known(notebook, ["ridge", "epochs"])["epochs"].default == 5
    with pytest.raises(ParameterError, match=r"^expected a parameter of this notebook, got rigde: did you mean ridge"):
        parameters.known(notebook, ["rigde"])
    with pytest.raises(ParameterError, match=r"got seed: "):
        parameters.known(notebook, ["seed"])


SHOWN = "epochs: int = 300  # in [1, inf): epochs at most\nfast: bool = False  # any: test size"


@pytest.mark.usefixtures("chapter")
def test_a_chapter_gets_all_its_parameters_and_its_names_stay_those_of_the_cell():
    namespace = session(SHOWN, OF_A_CHAPTER)
    assert namespace["settings"] == {
        "epochs": 300, "fast": False, "ridge": 0.0, "keep": None, "by_method": {},
    }  # fmt: skip
    assert "ridge" not in namespace


@pytest.mark.usefixtures("chapter")
def test_what_is_injected_reaches_the_settings_whether_the_cell_shows_it():
    namespace = session(SHOWN, '# Parameters\nridge = "0.5"\nepochs = 7\nby_method = {"dca": 2}', OF_A_CHAPTER)
    assert namespace["settings"] == {
        "epochs": 7, "fast": False, "ridge": 0.5, "keep": None, "by_method": {"dca": 2},
    }  # fmt: skip
    assert namespace["ridge"] == 0.5
    with pytest.raises(ParameterError, match=r"^expected ridge to be float, in \[0, inf\), got -1: set a legal value$"):
        session(SHOWN, "ridge = -1", OF_A_CHAPTER)
    with pytest.raises(ParameterError, match=r"got rigde: did you mean ridge\?$"):
        session(SHOWN, "rigde = 1", OF_A_CHAPTER)
    # without its chapter a notebook has the parameters of its cell
    with pytest.raises(ParameterError, match="got ridge: choose from epochs, fast"):
        session(SHOWN, "ridge = 1", CHECK)


@pytest.mark.usefixtures("chapter")
def test_a_cell_that_is_run_again_keeps_what_it_does_not_show(shell):
    run_cells(shell, SHOWN, "ridge = 0.5", OF_A_CHAPTER, "keep = 'a name of something else'")
    run_cells(shell, SHOWN.replace("300", "7"))
    settings = shell.user_ns["settings"]
    assert (settings["epochs"], settings["ridge"], settings["keep"]) == (7, 0.5, None)
    assert shell.user_ns["keep"] == "a name of something else"


def test_a_parameter_that_the_cell_does_not_show_is_given_as_all_others_are(tmp_path, write_notebook, capsys):
    path = write_notebook(
        tmp_path / "a.ipynb", "print(json.dumps(settings))",
        parameters="genes: int | None = 30  # in [2, inf): genes", chapter="denoising",
    )  # fmt: skip
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].source = "import json\nfrom scgen_book import parameters\n" + (
        "settings = parameters.check_namespace(globals(), 'denoising')"
    )
    nbformat.write(notebook, path)
    out = tmp_path / "out.ipynb"
    command = ["run", str(path), str(out), "--run-dir", str(tmp_path / "run")]
    assert cli.main([*command, "-p", "decoys", "7"]) == 0
    (printed,) = nbformat.read(out, as_version=4).cells[-1].outputs
    settings = json.loads(printed["text"])
    assert (settings["decoys"], settings["genes"], settings["p"]) == (7, 30, 0.9)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["parameters"]["decoys"] == 7
    capsys.readouterr()
    assert cli.main([*command, "-p", "decoy", "7"]) == 2
    assert capsys.readouterr().err == "expected a parameter of this notebook, got decoy: did you mean decoys?\n"
    assert cli.main([*command, "-p", "decoys", "-1"]) == 2
    assert capsys.readouterr().err.startswith("expected decoys to be int, in [0, inf), got '-1'")


@pytest.mark.parametrize("name", experiments.CHAPTERS)
def test_the_notebook_of_a_chapter_names_it(name):
    path = provenance.ROOT / "notebooks" / f"{name}.ipynb"
    assert parameters.chapter_of(cells.read_notebook(path)) == name
