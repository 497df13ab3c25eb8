"""Arrays that a row keeps come back as they were, through JSON."""

import json

import numpy as np
import pytest

from scgen_book.experiments import arrays


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="float32").reshape(2, 3) / 7,
        np.array([[1, 300], [-5, 0]], dtype="int16"),
        np.array([True, False]),
        np.array([np.nan, np.inf, -0.0]),
        np.zeros((0, 4), "uint8"),
        np.float64(2.5),
        np.arange(12).reshape(3, 4)[:, ::2],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([1.5, 2.0], dtype=">f4"),
    ],
)
def test_numbers_come_back_to_the_bit_in_their_shape_and_type(array):
    content = json.loads(json.dumps(arrays.packed({"x": array})))
    found = arrays.unpacked(content)["x"]
    assert found.dtype == np.asarray(array).dtype.newbyteorder("<")
    assert found.shape == np.shape(array)
    np.testing.assert_array_equal(found, array)


def test_texts_come_back_as_texts():
    found = arrays.unpacked(
        json.loads(json.dumps(arrays.packed({"names": ["B", "CD4⁺ T"], "none": np.array([], str)})))
    )
    assert found["names"].tolist() == ["B", "CD4⁺ T"]
    assert found["none"].shape == (0,)


def test_what_repeats_itself_takes_little_room():
    codes = np.zeros((1000, 100), "float32")
    assert len(json.dumps(arrays.packed({"codes": codes}))) < codes.nbytes / 50
