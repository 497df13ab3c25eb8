"""What a command does: read cells, train a model or take a saved one, and write what it makes of them."""

import contextlib
import dataclasses
import errno
import inspect
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import tensorflow as tf

from scgen_lib import data
from scgen_lib.commands import cells as of_file
from scgen_lib.commands.options import of_cells, quiet
from scgen_lib.data import checks, writing
from scgen_lib.errors import ParameterError
from scgen_lib.files import refuse_overwriting, write_h5ad
from scgen_lib.models.base import wanted_cells

# Cells and genes that were written, and what is said of them.
Made = tuple[tuple[int, int], str]


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked of a command: its words in the order of the line, and its options.

    Attributes
    ----------
    kind, verb
        Class of the model, and the name of its method.
    counts, out
        Files; to simulate from a saved model, `counts` is the one to write.
    settings, training, choice
        What is given for the constructor, for `fit`, and for `cells.for_training`.
    labels, layer, transpose, genome, model, save, faithful, cells, only_genes, dtype, layer_out
        The command's own options.
    """

    kind: Any
    verb: str
    counts: str
    out: str | None
    settings: Mapping[str, Any]
    training: Mapping[str, Any]
    choice: Mapping[str, Any]
    labels: str | None
    layer: str | None
    transpose: bool
    genome: str | None
    model: str | None
    save: str | None
    faithful: bool
    cells: str = "1"
    only_genes: str | None = None
    dtype: str = "float32"
    layer_out: str | None = None


def run(asked: Request) -> None:
    """Do what is asked, and say on the standard output what was written where."""
    counts, out = _places(asked)
    wanted = number_of_cells(asked.cells)
    with _warnings_in_lines():
        # what is refused is refused before anything heavy begins
        model = (asked.kind.faithful if asked.faithful else asked.kind)(**({} if asked.model else asked.settings))
        with quiet():
            tf.config.list_logical_devices()
        if asked.model:
            model = asked.kind.load(asked.model)
        cells: Any = None
        used: Any = None
        if counts is not None:
            cells = of_file.load(
                counts, labels=asked.labels, transpose=asked.transpose, genome=asked.genome, layer=asked.layer
            )
            used = _suited(asked, model, cells, wanted)
        if not asked.model:
            model.fit(used, **asked.training, **_label_key(asked), progress=True)
            if asked.save:
                model.save(asked.save)
        (n, genes), words = _RESULTS[asked.verb](asked, model, cells, used, wanted, out)
    kept = f"; the model is in {asked.save}" if asked.save else ""
    print(f"{out}: {n:,} cells × {genes:,} genes, {words}{kept}")


# What is asked --------------------------------------------------------------------------------------------------------


def _places(asked: Request) -> tuple[str | None, str]:
    """Return the files to read and to write, or refuse what cannot go together."""
    counts, out = (None, asked.counts) if asked.out is None else (asked.counts, asked.out)
    if asked.verb == "simulate" and (counts is None) != (asked.model is not None):
        got = "both" if asked.model else f"{out} alone, the file to write"
        raise ParameterError(
            f"expected either COUNTS to train on or a saved model, got {got}: say `COUNTS OUT`, or `--model FILE OUT`"
        )
    of_verb = inspect.signature(getattr(asked.kind, asked.verb)).parameters
    trained = [*(name for name in asked.settings if name not in of_verb), *asked.training, *asked.choice]
    trained += [name for name in ("faithful", "save") if getattr(asked, name)]
    if asked.model and trained:
        raise ParameterError(
            f"expected a saved model as it is, got --{trained[0].replace('_', '-')} beside --model: leave one of them "
            "out"
        )
    targets = {"OUT": (out, ".h5ad"), "--save": (asked.save, ".keras")}
    for name, (path, ending) in targets.items():
        if path is not None and Path(path).suffix != ending:
            raise ParameterError(f"expected {name} to end in {ending}, got {path}: add the ending")
    written = [path for path in (out, asked.save, asked.training.get("checkpoint")) if path]
    refuse_overwriting([out, *filter(None, [asked.save])], {p: Path(p) for p in (counts, asked.model) if p})
    for path in written:
        _refuse_unwritable(Path(path).absolute())
    return counts, out


def _refuse_unwritable(path: Path) -> None:
    """Raise before a training what the system would after it."""
    there = next(parent for parent in path.parents if parent.exists())
    found = {
        errno.EISDIR: (path.is_dir(), path),
        errno.ENOTDIR: (not there.is_dir(), there),
        errno.EACCES: (not os.access(there, os.W_OK), there),
    }
    for number, (so, where) in found.items():
        if so:
            raise OSError(number, os.strerror(number), str(where))


def number_of_cells(text: str) -> int | dict[str, int]:
    """Return how many cells are asked for, of every type or in all, from ``TYPE=N,TYPE=N`` or ``N``.

    A comma in the name of a type is part of it where no number stands before.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    if text.strip().isdecimal():
        return int(text)
    found = list(re.finditer(r"\s*(.+?)\s*=\s*(\d+)\s*(?:,|$)", text))
    numbers = {piece[1]: int(piece[2]) for piece in found}
    if not found or found[-1].end() < len(text) or len(numbers) < len(found):
        raise ParameterError(
            f'expected --cells as one number, or as "TYPE=N,TYPE=N" with every type once, got {text!r}: correct it'
        )
    return numbers


def shared(n: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return how many of n cells every type gets, in proportion to its size; rounding leaves none over."""
    quota = n * np.array(list(sizes.values())) / sum(sizes.values())
    cells = np.floor(quota).astype(int)
    cells[np.argsort(cells - quota, kind="stable")[: n - cells.sum()]] += 1
    return dict(zip(sizes, cells.tolist(), strict=True))


def _label_key(asked: Request) -> dict[str, str]:
    """Return the argument of `fit` that names the column of the types, where it has one."""
    there = "label_key" in inspect.signature(asked.kind.fit).parameters
    return {"label_key": asked.labels or "cell_type"} if there else {}


@contextlib.contextmanager
def _warnings_in_lines() -> Iterator[None]:
    """Show the warnings of this project as lines, and none of other packages, which are not for users."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"scgen_lib\b")
        warnings.showwarning = lambda message, *_: of_file.say(of_file.in_options(str(message)))
        yield


# What is made of it ---------------------------------------------------------------------------------------------------


def _suited(asked: Request, model: Any, cells: anndata.AnnData, wanted: int | Mapping[str, int]) -> anndata.AnnData:
    """Return the cells and genes that the model takes, and say where these are not all."""
    key, with_types = _label_key(asked).get("label_key"), getattr(model, "conditional", True)
    of_model = model.fitted().note.get("label_key") if asked.model else None
    key = of_model if of_model and not asked.labels else key
    clusters = asked.choice.get("resolution") is not None
    known = of_file.labelled(cells, key) if key and with_types and not clusters else cells
    if asked.model:
        used, why = of_file.for_model(known, model), "what has counts, of the genes of the saved model"
        if of_model:
            used.obs[of_model] = used.obs[key]
    else:
        choice = {name: argument.default for name, argument in of_cells(model.key).items()} | dict(asked.choice)
        used, why = of_file.for_training(known, model, choice, key)
        if isinstance(wanted, dict) and asked.verb == "simulate":
            wanted_cells(wanted, list(checks.texts(used.obs[key]).categories), "types")
    _refuse_results(asked, used)
    if used.shape != cells.shape:
        parts = zip(("cells", "genes"), used.shape, cells.shape, strict=True)
        here = " and ".join(f"{n:,} of {of:,} {what}" for what, n, of in parts if n != of)
        of_file.say(f"Uses {here}: {why}{'' if known is cells else ', and cells with a type'}.")
    return used


def _refuse_results(asked: Request, used: anndata.AnnData) -> None:
    """Refuse before a training genes that are not there, and a layer that would be lost."""
    genes = _only(asked)
    if genes == []:
        raise ParameterError(f"expected names of genes with --only-genes, got {asked.only_genes!r}: name some")
    for name in genes or ():
        if name not in used.var_names:
            raise ParameterError(
                f"expected --only-genes of genes that the model takes, got {name!r}, which is none of "
                f"{used.n_vars:,}: correct it"
            )
    if asked.layer_out and asked.layer_out in used.layers:
        raise ParameterError(
            f"expected a new name with --layer-out, got {asked.layer_out!r}, which the cells have already: choose "
            "another"
        )


def _only(asked: Request) -> list[str] | None:
    if asked.only_genes is None:
        return None
    return [name.strip() for name in asked.only_genes.split(",") if name.strip()]


def _denoised(
    asked: Request, model: Any, cells: anndata.AnnData, used: anndata.AnnData, wanted: object, out: str
) -> Made:
    genes, layer = _only(asked), asked.layer_out or model.key
    model.denoise_to(used, out, genes=genes, dtype=asked.dtype, layer=layer, annotate=True)
    words = f"denoised values in layers[{layer!r}], codes in obsm['X_{model.key}'], {_how(model)}"
    return (used.n_obs, len(genes or model.genes)), words


def _embedded(
    asked: Request, model: Any, cells: anndata.AnnData, used: anndata.AnnData, wanted: object, out: str
) -> Made:
    name, given = f"X_{model.key}", dict(asked.settings) if asked.model else {}
    codes = model.embed(used, **given)
    # with the genes that the model does not take
    made = data.selected(cells, cells.obs_names.get_indexer(used.obs_names))
    made.obsm[name], made.uns[model.key] = codes, model.about() | given
    writing.write(made, out)
    return made.shape, f"codes of {codes.shape[1]} numbers in obsm[{name!r}], {_how(model)}"


def _sizes(model: Any) -> dict[str, int]:
    """Return the number of training cells of every type, from what a model keeps of them."""
    note = model.fitted().note
    if "totals" in note:
        return {name: len(of) for name, of in zip(note["labels"] or ["all"], note["totals"], strict=True)}
    codes = np.asarray(note["cells"]["code"])
    return dict(zip(note["labels"], np.bincount(codes, minlength=len(note["labels"])).tolist(), strict=True))


def _simulated(
    asked: Request, model: Any, cells: object, used: object, wanted: int | Mapping[str, int], out: str
) -> Made:
    given = dict(asked.settings) if asked.model else {}
    if "counts" in inspect.signature(model.simulate).parameters:
        given["counts"] = True
    numbers = shared(wanted, _sizes(model)) if isinstance(wanted, int) else wanted
    made = model.simulate(numbers, **given)
    write_h5ad(made, out)
    types = ", ".join(f"{name}={n}" for name, n in numbers.items() if n)
    return made.shape, f"{types}; counts in layers['counts'], settings in uns[{model.key!r}]"


def _how(model: Any) -> str:
    return f"settings and history in uns[{model.key!r}]"


_RESULTS = {"denoise": _denoised, "embed": _embedded, "simulate": _simulated}
