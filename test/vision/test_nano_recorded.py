"""The nano network still computes what it computed when the published numbers were met; needs no other files."""

import numpy as np
import pytest
from golden import Golden
from record_nano import FILE, METHODS, values


@pytest.mark.parametrize("method", METHODS)
def test_nano_is_unchanged(method):
    with np.load(FILE) as file:
        recorded = {key.split("/")[1]: file[key] for key in file.files if key.startswith(f"{method}/")}
    found = values(method)
    assert found.keys() == recorded.keys() and len(found["labels"]) > 3
    for key, expected in recorded.items():
        if expected.dtype.kind in "bi":
            np.testing.assert_array_equal(found[key], expected, err_msg=key)
        else:
            np.testing.assert_allclose(found[key], expected, atol=0.05 if key == "boxes" else 1e-3, err_msg=key)
        Golden.compared += 1
