"""What the peculiarities of DR-A's released code do: findings of a run, and the words beside them."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from scgen_book.chapters.dr_a.tables import guarded
from scgen_book.chapters.dr_a.trained import Trained
from scgen_book.experiments import defects as measured
from scgen_book.experiments.defects import Pair
from scgen_book.experiments.dr_a import codes, defects, guards, scores, training
from scgen_book.experiments.rows import Rows
from scgen_lib.errors import ParameterError
from scgen_lib.models.dr_a import DRA

if TYPE_CHECKING:
    from scgen_book.results import Run

SCORE = "NMI of clusters and labels, {data}, K = {k}"
ENDED = "share of trainings that end at values that are not finite, {data}, K = 2, {epochs} epochs"


def pairs(trained: Trained) -> dict[str, Pair]:
    """Return the deviations that are a difference between two trainings: which, by what, and in words."""
    k, least, values = trained.shown, min(trained.lengths), trained.values
    score = SCORE.format(data=trained.case.about["name"], k=k)
    nmi = codes.metric(values["nmi_average"], trained.case.judged or "")

    def pair(released: str, otherwise: str, metric: str, quantity: str, figure: str | None = None) -> Pair:
        length = least if metric == codes.DEPTH else k
        names = (training.named(method, length) for method in (released, otherwise))
        return Pair(*names, metric, quantity, part=metric != nmi, figure=figure)

    found = {
        "R1": pair(
            "faithful", "described game", codes.MOVED, "how far training moves the weights of x̃", "fig-dra-moved"
        ),
        "R2": pair("faithful", "described game", codes.AUC, codes.METRICS[codes.AUC].label, "fig-dra-logits"),
        "R1, R2": pair("faithful", "described game", nmi, score),
        "R3": pair("faithful", "absolute", nmi, score),
        "R5": pair("faithful, no adversary", "counts", nmi, f"{score}, no adversary"),
        "R6": pair("faithful", "no bottleneck", codes.DEPTH, f"{codes.DEPTH}, K = {least}"),
    }
    if not values["bn"]:
        # at codes of two numbers the port has another step size, too
        with_bn = training.PORT if values["port"] and k != 2 else "bn on"
        found["R11"] = pair(with_bn, "faithful", nmi, score)
    return found


def find(run: "Run", trained: Trained, of_guards: Rows, of_defects: Rows) -> None:
    """Record what every peculiarity does, as released and the other way, in the order of the paper's file.

    Parameters
    ----------
    run
        Of the chapter.
    trained
        Of the rows of the scores and the parts.
    of_guards, of_defects
        Rows of ``dr_a.guards`` and ``dr_a.defects``.
    """
    about = {"data": trained.case.about["name"], "k": trained.shown, "epochs": trained.values["epoch"]}
    apart = pairs(trained.apart)
    if trained.apart is not trained:
        apart = {name: dataclasses.replace(of, quantity=f"{of.quantity}, in the record") for name, of in apart.items()}
    measured.find_pairs(run, Rows(scores.EXPERIMENT, trained.apart.rows), apart)
    ends = [[float("ended" in one) for one in of.values()] for of in guarded(trained, of_guards).values()]
    run.finding("R4, R14", ENDED.format(**about), released=ends[0], otherwise=ends[1])
    kinds = [trained.score("faithful", kind=kind) for kind in ("sample", "mean")]
    run.finding("R10", SCORE.format(**about), released=kinds[0], otherwise=kinds[1])
    short = defects.short_epochs(trained.values)
    own = {
        name: dataclasses.replace(defect, quantity=defect.quantity.format(short=short))
        for name, defect in defects.DEFECTS.items()
        if name != defects.WITHOUT_D2
    }
    measured.find(run, of_defects, own)


def notes(trained: Trained, of_defects: Rows) -> dict[str, str]:
    """Return the words that follow the findings in the table of peculiarities.

    Parameters
    ----------
    trained, of_defects
        As in `find`.
    """
    case = trained.case
    beyond = (case.logs[case.test] > case.logs[case.train].max()).sum()
    found = {
        "R8": f"our faithful variant refuses it: {_refused()}",
        "R11": f"absl of this run reads the words --bn False as {_read()}",
        "R13": f"{beyond} test entries would exceed 1",
        "R4": f"largest share of ln v on its bounds: {_held(trained, 'clipped_v')}",
        "R14": f"largest share of ln l_v on its bounds: {_held(trained, 'clipped_l_v')}; of l: "
        f"{_held(trained, 'clipped_l')}",
    }
    for gap in of_defects.values(defects.WITHOUT_D2, "released"):
        epochs = defects.short_epochs(trained.values)
        found["R1"] = f"codes with and without D2 differ by at most {gap:.2g} ({epochs} epochs, no dropout)"
    return found | _of_the_game(trained)


def _of_the_game(trained: Trained) -> dict[str, str]:
    """Return what the losses of the game were in the first faithful training."""
    history = trained.history("faithful")
    if "d1" not in history:
        return {}
    lowest = [f"{name} {min(history[f'{name}_min']):.2f}" for name in ("d1", "encoder", "d2")
              if f"{name}_min" in history]  # fmt: skip
    mixed = f"mixed signs in {np.mean(history['d1_mixed']):.0%} of the steps of D1"
    bounded = trained.history("absolute")
    return {
        "R2": f"loss of D1 from {history['d1'][0]:.2f} to {history['d1'][-1]:.2f}, first seed",
        "R3": f"smallest loss of a mini-batch: {', '.join(lowest)}; {mixed}"
        + (f"; with absolute values smallest d1 {min(bounded['d1_min']):.2f}" if bounded else ""),
    }


def _held(trained: Trained, name: str) -> str:
    """Return the largest share of entries on a bound in an epoch, by length of the codes, first seed."""
    found = {k: trained.history("faithful", k) for k in trained.lengths}
    return ", ".join(f"K = {k}: {max(history[name]):.1%}" for k, history in found.items() if history) or "–"


def _read() -> bool:
    """Return what absl makes of the words ``--bn False``."""
    words = flags.FlagValues()
    flags.DEFINE_boolean("bn", False, "batch normalisation", flag_values=words)
    words(["main.py", "--bn", "False"])
    return words.bn


def _refused() -> str:
    """Return what the faithful variant says of another lam."""
    try:
        DRA.faithful(lam=10.0)
    except ParameterError as error:
        return str(error)
    raise AssertionError("the faithful variant takes lam")


def missing(trained: Trained) -> str:
    """Return what stands in the table where nothing was measured."""
    if trained.case.judged is None:
        return "not measured: needs labels, or further trainings"
    return f"not measured: {'run at test size' if trained.values['fast'] else 'needs the extra trainings'}"


def ends(trained: Trained, of_guards: Rows) -> dict[str, Any]:
    """Return how many trainings ended without the guards and with them, and how many the guards held something in.

    Returns
    -------
    dict
        "seeds", "lost", "kept" and "held", numbers of trainings.
    """
    found = guarded(trained, of_guards)
    lost, kept = (sum("ended" in one for one in found[name].values()) for name in (guards.WITHOUT, guards.WITH))
    bounds = ("clipped_v", "clipped_l_v", "clipped_l")
    bounded: list[Mapping] = [one["history"] for one in found[guards.WITH].values() if "ended" not in one]
    held = sum(max(max(of[name]) for name in bounds) > 0 for of in bounded)
    return {"seeds": len(found[guards.WITH]), "lost": lost, "kept": kept, "held": held}
