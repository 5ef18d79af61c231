# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Nano and a small ViT-Adapter network still compute what they computed when the published numbers were met; no other files are needed."""

import numpy as np
import pytest
from golden import Golden
from record_nano import FILE, NETWORKS, values


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_are_unchanged(network):
    with np.load(FILE) as file:
        recorded = {key.split("/")[1]: file[key] for key in file.files if key.startswith(f"{network}/")}
    found = values(network)
    assert found.keys() == recorded.keys() and len(found["labels"]) > 3
    for key, expected in recorded.items():
        if expected.dtype.kind in "bi":
            np.testing.assert_array_equal(found[key], expected, err_msg=key)
        else:
            np.testing.assert_allclose(found[key], expected, atol=0.05 if key == "boxes" else 1e-3, err_msg=key)
        Golden.compared += 1
