"""Arrays of figures that the record keeps beside its tables: of those that a quick build cannot draw from its own rows.

A row has a table of its own in ``book/record/drawn``, which is named by the row's key: an array (N,) is a column, one
of (N, k) stands in k columns, "name 0" to "name k-1". Arrays are finite numbers, or texts that are no numbers; a
shorter one ends earlier.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from scgen_book.experiments import arrays
from scgen_book.experiments.protocol import Experiment
from scgen_lib import files

if TYPE_CHECKING:
    from scgen_book.record import Key

FOLDER = "drawn"
#: The seed of the rows whose arrays are kept; a figure shows one.
SEED = 0
#: Significant digits, as much as a figure can show.
DIGITS = 4


def names(experiment: Experiment, key: "Key") -> Sequence[str]:
    """Return which arrays of a row are kept."""
    return experiment.drawn(key[1], key[2]) if key[3] == SEED else ()


def table(folder: Path, key: "Key") -> Path:
    """Return the file of a row's arrays, whether there is one or not."""
    return folder / FOLDER / f"{files.named('__'.join(map(str, key)))}.csv"


def write(folder: Path, key: "Key", packed: Mapping) -> None:
    """Write the arrays of a row, as `arrays.packed` has them."""
    columns = {}
    for name, values in arrays.unpacked(packed).items():
        columns |= {name: values} if values.ndim == 1 else {f"{name} {i}": x for i, x in enumerate(values.T)}
    path = table(folder, key)
    path.parent.mkdir(exist_ok=True)
    lines = pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})
    files.write_atomically(path, lines.to_csv(index=False, float_format=f"%.{DIGITS}g", lineterminator="\n"))


def read(folder: Path, key: "Key") -> dict:
    """Return the arrays of a row as `arrays.packed` has them; none where the record has none."""
    path = table(folder, key)
    if not path.exists():
        return {}
    columns = pd.read_csv(path)
    of = {column: re.sub(r" \d+$", "", column) for column in columns}
    parts = {name: columns[[c for c in of if of[c] == name]].dropna() for name in dict.fromkeys(of.values())}
    found = {name: part.infer_objects().to_numpy() for name, part in parts.items()}
    return arrays.packed({name: values[:, 0] if name in columns else values for name, values in found.items()})
