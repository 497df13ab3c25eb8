"""The parameter file of the released code as arguments of this project."""

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from scgen_lib.errors import ParameterError
from scgen_lib.models.scgan.cells import process
from scgen_lib.models.scgan.model import ScGAN
from scgen_lib.settings import arguments

_WITHOUT_EFFECT = ("exp_param.experiments_dir", "exp_param.GPU", "training.progress_freq", "training.validation_freq")


def params_from_json(source: str | os.PathLike | Mapping, experiment: str | None = None) -> dict[str, object]:
    """Read the parameter file of the released code as arguments of this project.

    Parameters
    ----------
    source
        A ``parameters.json``, or what is in it.
    experiment
        Which of its experiments; None: the only one.

    Returns
    -------
    dict
        "experiment", its name; "dataset", the path of the raw data; and the arguments of `process`, of
        `ScGAN.faithful` and of `ScGAN.fit` under "process", "model" and "fit".

    Raises
    ------
    ParameterError
        An unknown key, an illegal value, a missing file, or an experiment that is not named or not there.

    Warns
    -----
    UserWarning
        Keys without a meaning here, all of them by name.
    """
    name, content = _experiment(source, experiment)
    scale, lsn = content.get("input_ds.scale"), content.get("model.output_LSN")
    if scale is not None:
        content["input_ds.scale"] = scale = _last_number(scale)
    if None not in (scale, lsn) and float(lsn) != scale:
        raise ParameterError(
            f"expected model.output_LSN to equal the scale of the data, {scale:g}, got {lsn}: make them equal"
        )
    read: dict[str, dict] = {"process": {"cluster_first": True, "round_down": True}, "model": {}, "fit": {}}
    ignored, known = [], _known()
    for key, value in content.items():
        if key not in known:
            raise ParameterError(f"expected the keys of a parameters.json, got {key!r}: remove or correct it")
        for place, argument in known[key]:
            read[place][argument] = _VALUES.get(key, lambda v: v)(value)
        if not known[key] and key != "input_ds.raw_input":
            ignored.append(key)
    if not read["model"].get("conditional", True) and read["model"].pop("gen_norm", "batchnorm") != "batchnorm":
        ignored.append("model.gen_cond_type")
    if ignored:
        warnings.warn(f"These parameters have no effect here: {', '.join(ignored)}.", stacklevel=2)
    return {"experiment": name, "dataset": content.get("input_ds.raw_input"), **read}


def _experiment(source: str | os.PathLike | Mapping, asked: str | None) -> tuple[str, dict[str, object]]:
    """Name of the experiment, and its values by key, levels joined by dots."""
    if not isinstance(source, Mapping):
        try:
            source = json.loads(Path(source).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ParameterError(f"expected a JSON file of parameters in {source}, got {error}: check it") from error
    experiments = source.get("experiments", {})
    name = asked or (next(iter(experiments)) if len(experiments) == 1 else None)
    if name not in experiments:
        raise ParameterError(
            f"expected the name of one of the experiments {', '.join(experiments) or '(there is none)'}, got "
            f"{asked!r}: choose one"
        )
    content = {**source, **experiments[name]}
    # what `--process` writes back into the file
    return name, dict(
        _flat({key: value for key, value in content.items() if key not in ("experiments", "preprocessed")})
    )


def _flat(content: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in content.items():
        yield from _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]


def _known() -> dict[str, list[tuple[str, str]]]:
    """Key of the file → where its value goes: the arguments that have it for their origin, none without effect."""
    known: dict[str, list[tuple[str, str]]] = {key: [] for key in _WITHOUT_EFFECT}
    known |= {"input_ds.raw_input": [], "training.checkpoint": [("fit", "checkpoint")]}
    for place, of in {"process": process, "model": ScGAN, "fit": ScGAN.fit}.items():
        for argument in arguments(of).values():
            if argument.option.origin:
                # what the released code fixes, it does not read
                goes = [] if argument.deviates else [(place, argument.name)]
                known[argument.option.origin] = known.get(argument.option.origin, []) + goes
    return known


def _conditional(kind: str) -> bool:
    if kind not in ("scGAN", "cscGAN"):
        raise ParameterError(f"expected model.type scGAN or cscGAN, got {kind!r}: choose one of the two")
    return kind == "cscGAN"


_VALUES = {
    "input_ds.split.split_seed": lambda v: 0 if v == "default" else v,
    # any other name means Adam in the released code
    "training.optimizer.algorithm": lambda v: "amsgrad" if v == "AMSGrad" else "adam",
    "model.type": _conditional,
    "model.output_LSN": lambda v: v is not None,
    # any other name means no normalisation in the released code
    "model.gen_cond_type": lambda v: v if v in ("batchnorm", "layernorm") else "none",
}


def _last_number(scale: str) -> float:
    try:
        return float(str(scale).rpartition("_")[2])
    except ValueError:
        raise ParameterError(
            f"expected input_ds.scale to end in a number, as normalize_per_cell_LS_20000, got {scale!r}: correct it"
        ) from None
