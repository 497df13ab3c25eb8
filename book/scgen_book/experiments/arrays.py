"""Arrays that a row keeps for the figures, as plain data inside the row's file: one file, whole or not at all."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def packed(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays of numbers and of texts as what JSON knows."""
    return {name: _packed(np.asarray(array)) for name, array in arrays.items()}


def unpacked(content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of `packed`."""
    return {name: _unpacked(entry) for name, entry in content.items()}


def _packed(array: np.ndarray) -> Any:
    if array.dtype.kind not in "biuf":
        return {"texts": array.astype(str).tolist()}
    array = array.astype(array.dtype.newbyteorder("<"))
    data = base64.b64encode(zlib.compress(array.tobytes())).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def _unpacked(entry: Mapping[str, Any]) -> np.ndarray:
    if "texts" in entry:
        return np.asarray(entry["texts"], dtype=object)
    data = zlib.decompress(base64.b64decode(entry["data"]))
    # a copy may be written to
    return np.frombuffer(data, entry["dtype"]).reshape(entry["shape"]).copy()
