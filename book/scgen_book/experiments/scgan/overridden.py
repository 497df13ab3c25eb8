"""Parameters that a parameter file of the released code replaces."""

from collections.abc import Mapping
from typing import Any

#: The data of the chapter, which a file's own replace.
DATASET = "pbmc68k_reduced"


def overridden(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file of the parameter ``parameters_json`` says in place of a chapter's parameters.

    Data, filters, split, networks and training are those of the file, and the variant is the faithful one. The number
    of test cells stays where the file holds none out, and a user's data set stays. A file that asks for clusters gets
    them whatever labels its data have, unless ``label_key`` names a column.

    Parameters
    ----------
    values
        All parameters of the chapter.

    Returns
    -------
    dict
        The parameters that change, and ``parameters_json`` as None, since it has been read; empty without a file.

    Raises
    ------
    ParameterError
        If the file cannot be read, or has an unknown key or an illegal value.
    """
    path = values.get("parameters_json")
    if path is None:
        return {}
    from scgen_lib.models.scgan.parameters_json import params_from_json

    given = params_from_json(path)
    process, fit = dict(given["process"]), given["fit"]
    found: dict[str, Any] = {"parameters_json": None, "variants": ["faithful"]}
    if (resolution := process.pop("resolution", None)) is not None:
        found |= {"clusters": values["clusters"] or values["label_key"] is None, "resolution": resolution}
        if not found["clusters"]:
            print(f"clustering.res of {path} is without effect: the classes are those of label_key.")
    found |= {name: value for name, value in process.items() if name != "test_cells" or value}
    found |= given["model"] | {name: fit[name] for name in ("steps", "batch_size") if name in fit}
    return found | ({"dataset": given["dataset"]} if values["dataset"] == DATASET and given["dataset"] else {})
