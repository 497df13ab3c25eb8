import errno
import functools
import subprocess
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pytest

from scgen_lib import data
from scgen_lib.commands import cells as of_file
from scgen_lib.commands import work
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.models.dca import DCA
from scgen_lib.training.checkpoint import Checkpoint


def dense(x):
    return x.toarray() if hasattr(x, "toarray") else np.asarray(x)


# Results --------------------------------------------------------------------------------------------------------------


def test_denoised_cells_are_what_the_library_makes_beside_what_the_file_has(files, scgen, tmp_path):
    out = tmp_path / "new" / "denoised.h5ad"
    code, said, beside = scgen("denoise", "dca", files / "counts.h5ad", out, "--hidden", "4,2,4", "--epochs", 2)
    assert code == 0
    assert said == (
        f"{out}: 39 cells × 14 genes, denoised values in layers['dca'], codes in obsm['X_dca'], "
        "settings and history in uns['dca']\n"
    )
    assert "Uses 39 of 40 cells and 14 of 15 genes: what has counts." in beside
    assert "2/2" in beside  # the progress bar
    made, was = anndata.read_h5ad(out), anndata.read_h5ad(files / "counts.h5ad")
    was = was[made.obs_names, made.var_names]
    expected = DCA(hidden=(4, 2, 4)).fit(checks.drop_empty(data.load(files / "counts.h5ad")), epochs=2)
    assert np.array_equal(made.layers["dca"], expected.denoise(made))
    assert np.array_equal(made.obsm["X_dca"], expected.embed(made))
    assert made.uns["dca"]["hidden"].tolist() == [4, 2, 4]
    assert made.uns["dca"]["history"]["loss"].tolist() == expected.history["loss"]
    assert (dense(made.X) == dense(was.X)).all()
    assert made.obs.equals(was.obs)
    assert made.var.equals(was.var)
    assert made.uns["mine"] == {"a": 1}
    assert "X_mine" in made.obsm


def test_a_saved_model_makes_the_same_of_any_format(files, saved, scgen, tmp_path):
    model, first = saved("denoise", "dca")
    expected, out = anndata.read_h5ad(first), tmp_path / "out.h5ad"
    given = [("counts.h5ad",), ("counts.csv",), ("genes_by_cells.tsv.gz", "--transpose"), ("counts.loom",), ("tenx",)]
    for name, *more in [*given, ("two", "--genome", "mm10"), ("labelled.csv", "--labels", "kind")]:
        code, _, beside = scgen("denoise", "dca", "--model", model, files / name, out, *more)
        assert code == 0, beside
        assert beside == "Uses 39 of 40 cells and 14 of 15 genes: what has counts, of the genes of the saved model.\n"
        made = anndata.read_h5ad(out)
        assert np.array_equal(made.layers["dca"], expected.layers["dca"]), name
        assert np.array_equal(made.obsm["X_dca"], expected.obsm["X_dca"]), name
        assert ("kind" in made.obs) == (name in ("labelled.csv", "counts.h5ad"))


@pytest.mark.parametrize(
    ("name", "options", "layers"),
    [
        ("logs.h5ad", [], {"counts"}),
        ("umis.h5ad", ["--layer", "umis"], {"counts", "umis"}),
        ("raw.h5ad", [], {"counts", "scaled"}),
    ],
)
def test_what_a_file_has_beside_its_counts_is_left_as_it_is(files, saved, scgen, tmp_path, name, options, layers):
    out = tmp_path / "out.h5ad"
    model, first = saved("denoise", "dca")
    assert scgen("denoise", "dca", "--model", model, files / name, out, *options)[0] == 0
    made, was = anndata.read_h5ad(out), anndata.read_h5ad(files / name)
    assert np.array_equal(made.layers["dca"], anndata.read_h5ad(first).layers["dca"])
    was = was[made.obs_names]
    assert (dense(made.X) == dense(was[:, made.var_names].X)).all()
    assert set(made.layers) - {None} == layers | {"dca"}
    assert (dense(made.raw.X) == dense(was.raw.X)).all()
    assert list(made.raw.var_names) == list(was.raw.var_names)


def test_counts_of_raw_with_more_genes_than_the_file_come_alone(files, saved, scgen, tmp_path):
    model, out = saved("denoise", "dca")[0], tmp_path / "out.h5ad"
    code, _, beside = scgen("denoise", "dca", "--model", model, files / "few_of_raw.h5ad", out)
    assert code == 0
    assert beside.startswith("Takes the counts of raw, which has 15 genes, and leaves out X, which has 9.\n")
    made = anndata.read_h5ad(out)
    assert (dense(made.X) == dense(made.layers["counts"])).all()
    assert made.shape == (39, 14)


def test_codes_come_with_all_genes_of_the_file(files, small, scgen, tmp_path):
    out = tmp_path / "coded.h5ad"
    code, said, beside = scgen("embed", "dr_a", files / "counts.h5ad", out, *small["dr_a"], "--genes", 10)
    assert code == 0, beside
    assert said.startswith(f"{out}: 39 cells × 15 genes, codes of 2 numbers in obsm['X_dr_a'], ")
    assert "Uses 39 of 40 cells and 10 of 15 genes: what has counts, the genes by variance (--genes).\n" in beside
    made = anndata.read_h5ad(out)
    assert made.obsm["X_dr_a"].shape == (39, 2)
    assert set(made.layers) - {None} == {"counts"}
    assert np.isfinite(made.uns["dr_a"]["history"]["loss"]).all()


def test_the_genes_of_db_aae_are_those_that_it_chooses(files, saved):
    made = anndata.read_h5ad(saved("denoise", "db_aae", "--min-cells", "39")[1])
    assert 0 < made.n_vars < 14
    assert made.layers["db_aae"].shape == made.shape
    assert made.uns["db_aae"]["min_cells"] == 39


def test_cells_are_simulated_of_a_saved_model_without_data(files, saved, scgen, tmp_path):
    asked = ["--cells", "NK=3,B=2"]
    model, first = saved("simulate", "cvae", "--labels", "kind", *asked)
    made = anndata.read_h5ad(first)
    assert made.obs["kind"].tolist() == ["NK"] * 3 + ["B"] * 2
    out = tmp_path / "again.h5ad"
    code, said, beside = scgen("simulate", "cvae", "--model", model, out, *asked)
    assert (code, beside) == (0, "")
    assert said == f"{out}: 5 cells × 14 genes, NK=3, B=2; counts in layers['counts'], settings in uns['cvae']\n"
    assert (dense(anndata.read_h5ad(out).layers["counts"]) == dense(made.layers["counts"])).all()
    # what `simulate` takes can be chosen anew: here one number, in proportion, and another seed
    code, said, _ = scgen(
        "simulate", "cvae", "--model", model, out, "--cells", 10, "--seed", 1, "--z-source", "posterior"
    )
    assert "10 cells × 14 genes, B=5, NK=5; " in said
    assert anndata.read_h5ad(out).uns["cvae"]["z_source"] == "posterior"


@pytest.mark.parametrize("options", [("--labels", "kind"), ("--no-conditional",)])
def test_scgan_simulates_counts_with_and_without_types(files, small, scgen, tmp_path, options):
    out = tmp_path / "cells.h5ad"
    file = files / ("counts.h5ad" if "--labels" in options else "counts.csv")
    more = ["--min-genes", 3, "--cells", 4, *options]
    code, _, beside = scgen("simulate", "scgan", file, out, *small["scgan"], *more)
    assert code == 0, beside
    assert "what passes --min-genes, --min-cells and --min-class-size.\n" in beside
    made = anndata.read_h5ad(out)
    assert made.n_obs == 4
    assert (dense(made.layers["counts"]) >= 0).all()
    assert made.obs.to_dict("list") == ({"kind": ["B", "B", "NK", "NK"]} if "--labels" in options else {})


def test_the_faithful_model_and_the_settings_that_are_given_are_trained(files, scgen, tmp_path, monkeypatch):
    taken = {}

    @functools.wraps(DCA.fit.__wrapped__)  # whose arguments are declared
    def fit(self, adata, **given):
        taken.update(self.values(), **given)
        raise KeyboardInterrupt

    monkeypatch.setattr(DCA, "fit", fit)
    given = ["--clip-value", "none", "--no-batchnorm", "--faithful", "--checkpoint", tmp_path / "a.ckpt"]
    assert scgen("denoise", "dca", files / "counts.h5ad", tmp_path / "a.h5ad", *given)[0] == 130
    assert (taken["clip_value"], taken["batchnorm"], taken["loss"]) == (None, False, "released")
    assert (taken["checkpoint"], taken["progress"]) == (str(tmp_path / "a.ckpt"), True)
    assert "epochs" not in taken


# Trainings that are interrupted ---------------------------------------------------------------------------------------


def test_an_interrupted_training_goes_on_to_the_same_bits(files, scgen, tmp_path, monkeypatch):
    def train(name, *more):
        small = ["--hidden", "2", "--ae-type", "poisson", "--batch-size", 64, "--validation-split", 0, "--epochs", 11]
        given = [*small, *more]
        return scgen("denoise", "dca", files / "counts.h5ad", tmp_path / f"{name}.h5ad", *given)[0]

    assert train("whole") == 0
    done = Checkpoint.on_epoch_end

    def interrupted(self, epoch, logs=None):
        done(self, epoch, logs)
        if epoch == 9:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "on_epoch_end", interrupted)
    assert train("parts", "--checkpoint", tmp_path / "a.ckpt") == 130
    assert not (tmp_path / "parts.h5ad").exists()
    monkeypatch.undo()
    assert train("parts", "--checkpoint", tmp_path / "a.ckpt") == 0
    whole, parts = (anndata.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("whole", "parts"))
    assert len(parts.uns["dca"]["history"]["loss"]) == 11
    assert np.array_equal(whole.layers["dca"], parts.layers["dca"])
    assert np.array_equal(whole.obsm["X_dca"], parts.obsm["X_dca"])


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_bits_and_says_nothing_of_tensorflow(files, tmp_path):
    def start(name, *more):
        given = ["--hidden", "4,2,4", "--epochs", "300", "--early-stop", "0", *more]
        command = [sys.executable, "-m", "scgen_lib.cli", "denoise", "dca", files / "counts.h5ad", name, *given]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    said, beside = start("whole.h5ad").communicate()
    assert said.startswith("whole.h5ad: 39 cells × 14 genes, ")
    lines = [line for line in beside.replace("\r", "\n").splitlines() if line and "epoch" not in line]
    assert lines == ["Uses 39 of 40 cells and 14 of 15 genes: what has counts."]
    killed = start("parts.h5ad", "--checkpoint", "a.ckpt")
    while not (tmp_path / "a.ckpt").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert not (tmp_path / "parts.h5ad").exists()
    again = start("parts.h5ad", "--checkpoint", "a.ckpt")
    again.communicate()
    assert again.returncode == 0
    whole, parts = (anndata.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("whole", "parts"))
    assert np.array_equal(whole.layers["dca"], parts.layers["dca"])


# Refusals -------------------------------------------------------------------------------------------------------------

REFUSED = {
    "denoise dca absent.h5ad OUT": "expected counts in absent.h5ad, got no such file or folder: correct the path",
    "denoise dca no_counts.h5ad OUT": "no_counts.h5ad, got no integers: they look log-transformed or normalised",
    "denoise dca damaged.h5ad OUT": "expected an .h5ad file in damaged.h5ad, got what cannot be read as one",
    "denoise dca labelled.csv OUT": "(first: 'kind'): name the column of the labels with --labels NAME",
    "denoise dca counts.csv OUT --labels kind": "name the column of the labels, with --labels NAME",
    "denoise dca counts.h5ad OUT --labels type": "expected the types of the cells in the column 'type', got kind, n:",
    "denoise dca logs.h5ad OUT --layer umis": "expected the layer 'umis' in logs.h5ad, got 'counts': name one of them",
    "denoise dca counts.csv OUT --layer umis": "expected an .h5ad file with the layer 'umis', got counts.csv, which",
    "denoise dca two OUT": "expected one of the genomes of two, hg19, mm10, got None: choose with --genome NAME\n",
    "denoise dca counts.loom OUT --transpose": "expected transpose with .csv, .tsv and .h5ad files alone",
    "denoise dca counts.h5ad out.csv": "expected OUT to end in .h5ad, got out.csv: add the ending",
    "denoise dca counts.h5ad OUT --save model.h5": "expected --save to end in .keras, got model.h5: add the ending",
    "denoise dca counts.h5ad ./counts.h5ad": "expected to write to another file than what is read",
    "denoise dca counts.h5ad": "Missing argument 'OUT'.",
    "denoise dca counts.h5ad OUT --epocs 3": "No such option '--epocs'. (Did you mean one of: '--epochs'",
    "denoise dca counts.h5ad OUT --hidden 4,2": "expected hidden to be an odd number of widths, got [4, 2]",
    "denoise dca counts.h5ad OUT --epochs many": "expected --epochs to be int, in [1, inf), got 'many': set a legal",
    "denoise dca counts.h5ad OUT --faithful --loss log_space": "expected loss = 'released', as in the released code",
    "denoise dac counts.h5ad OUT": "No such command 'dac'. Did you mean 'dca'?",
    "denoise dca counts.h5ad OUT --model absent.keras": "expected a model saved by DCA.save in absent.keras, got",
    "denoise dca counts.h5ad OUT --model counts.h5ad": "expected a model saved by DCA.save in counts.h5ad, got",
    "denoise db_aae counts.h5ad OUT --model DCA": "saved by DBAAE.save in denoise_dca.keras, got a DCANet",
    "denoise dca few_genes.csv OUT --model DCA": "got cells without 6 of them (first: 'g9'): give a file that has them",
    "denoise dca counts.h5ad OUT --model DCA --epochs 3": "a saved model as it is, got --epochs beside --model: leave",
    "denoise dca counts.h5ad OUT --model DCA --clip-value 3": "a saved model as it is, got --clip-value beside",
    "denoise dca counts.h5ad OUT --model DCA --faithful": "a saved model as it is, got --faithful beside --model",
    "simulate cvae counts.h5ad OUT": "in the column 'cell_type', got kind, n: name theirs with --labels COLUMN",
    "simulate scgan tenx OUT": "expected the types of the cells in the column 'cell_type', got no column at all: name",
    "simulate cvae OUT": "expected either COUNTS to train on or a saved model, got",
    "simulate cvae counts.h5ad OUT --model DCA": "expected either COUNTS to train on or a saved model, got both: say",
    "simulate cvae counts.h5ad OUT --labels kind --cells T=3": "expected types among B, NK, got 'T': choose from these",
    "simulate cvae counts.h5ad OUT --labels kind --cells B=3,B=2": "expected --cells as one number, or as",
}


@pytest.mark.parametrize("line", REFUSED)
def test_bad_input_is_one_line_before_any_training(line, files, saved, scgen, tmp_path, monkeypatch):
    words = [{"OUT": tmp_path / "out.h5ad", "DCA": "denoise_dca.keras"}.get(word, word) for word in line.split()]
    if "DCA" in line:
        saved("denoise", "dca")
    monkeypatch.chdir(files)
    before = sorted(path.name for path in files.iterdir())
    code, said, beside = scgen(*words)
    assert (code, said) == (2, "")
    assert beside.count("\n") == 1
    assert REFUSED[line] in beside
    assert sorted(path.name for path in files.iterdir()) == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("100", 100),
        ("CD19+ B=100,CD4+ T Helper2=50", {"CD19+ B": 100, "CD4+ T Helper2": 50}),
        (" a = 1 , b=2,", {"a": 1, "b": 2}),
        ("T cells, CD4+=3,x=y=4", {"T cells, CD4+": 3, "x=y": 4}),
    ],
)
def test_numbers_of_cells_are_read(text, cells):
    assert work.number_of_cells(text) == cells


@pytest.mark.parametrize("text", ["", "B", "B=", "B=-3", "B=1.5", "=3", "B=3 NK", "B=1,B=2"])
def test_what_names_no_numbers_of_cells_is_refused(text):
    with pytest.raises(ParameterError, match=r"^expected --cells as one number, or as"):
        work.number_of_cells(text)


def test_cells_are_shared_in_proportion_with_none_left_over():
    assert work.shared(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert work.shared(7, {"a": 5, "b": 0, "c": 2}) == {"a": 5, "b": 0, "c": 2}
    assert work.shared(1, {"a": 1, "b": 99}) == {"a": 0, "b": 1}


def test_a_warning_that_the_file_is_turned_names_the_option(tmp_path, files, scgen):
    (tmp_path / "turned.csv").write_text("gene,A,B\n" + "".join(f"ENSG0000000000{i},{i},1\n" for i in range(5)))
    code, _, beside = scgen("denoise", "dca", tmp_path / "turned.csv", tmp_path / "out.h5ad", "--validation-split", 0.9)
    assert code == 2  # a cell is too few for anything
    assert "turned.csv was read as cells × genes, but looks like genes × cells: " in beside
    assert "; set --transpose if it is.\n" in beside


def test_cells_without_a_type_are_left_out_of_what_needs_one(files):
    cells = anndata.read_h5ad(files / "counts.h5ad")
    cells.obs.loc["c7", "kind"] = None
    assert of_file.labelled(cells, "kind").n_obs == 39


# Failures -------------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_older_output_and_the_model(files, small, scgen, tmp_path, monkeypatch):
    out, model = tmp_path / "out.h5ad", tmp_path / "model.keras"
    out.write_text("older")

    def full(self, path, **given):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(anndata.AnnData, "write_h5ad", full)
    code, said, beside = scgen("denoise", "dca", files / "counts.h5ad", out, "--save", model, *small["dca"])
    assert (code, said) == (1, "")
    assert beside.splitlines()[-1] == (
        f"expected to read or write {out}, got 'No space left on device' from the system: make room there, or write to "
        "another folder"
    )
    assert out.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.keras", "out.h5ad"]
    assert DCA.load(model).history["loss"]


def test_a_place_that_cannot_be_written_to_is_refused_before_the_training(files, scgen, tmp_path, monkeypatch):
    monkeypatch.setattr(DCA, "fit", functools.wraps(DCA.fit.__wrapped__)(lambda *_, **__: pytest.fail("a training")))
    (tmp_path / "a").write_text("a file")
    (tmp_path / "b.h5ad").mkdir()
    for out, what in ((tmp_path / "a" / "out.h5ad", "Not a directory"), (tmp_path / "b.h5ad", "Is a directory")):
        code, said, beside = scgen("denoise", "dca", files / "counts.h5ad", out)
        assert (code, said) == (1, "")
        assert f"got '{what}' from the system" in beside
        assert beside.count("\n") == 1
