# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""ATC (Agglomerative Token Clustering): tokens are merged bottom-up by the cosine distance of their keys.

Clustering runs on the CPU, image by image (scipy's linkage), and the way there and back is part of what the method costs.
"""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasktp_ros.errors import ModelError
from tasktp_ros.reduction.merging import MergingReducer
from tasktp_ros.reduction.registry import register

LINKAGES = ("complete", "average", "single")


@register("atc_average", linkage="average")
@register("atc_single", linkage="single")
@register("atc")
class ATC(MergingReducer):
    """As ToMe, with another partition: agglomerative clustering into exactly the number of groups that is wanted.

    Args:
        kept: share of the current tokens that stay at blocks 4, 7 and 10, 0 to 1.
        linkage: how far two clusters are apart: by their farthest members ("complete"), on average ("average") or by
            their nearest ones ("single").
    """

    static_shapes: ClassVar[bool] = False

    def __init__(self, kept: float = 0.5, linkage: str = "complete") -> None:
        super().__init__(kept)
        if linkage not in LINKAGES:
            raise ValueError(f"linkage must be one of {', '.join(LINKAGES)}, got {linkage!r}")
        self.linkage = linkage

    def group(self, metric: Tensor, count: int) -> Tensor:
        unit = metric / metric.norm(dim=-1, keepdim=True)
        distances = (1.0 - unit @ unit.transpose(1, 2)).cpu().numpy()
        labels = np.stack([clusters(image, count, self.linkage) for image in distances])
        return torch.from_numpy(labels).to(metric.device)


def clusters(distances: NDArray[np.floating], count: int, linkage: str) -> NDArray[np.int64]:
    """Agglomerative clustering.

    Args:
        distances: (T, T), symmetric.
        count: clusters to be left, 1 to T.
        linkage: one of `LINKAGES`.

    Returns:
        (T,) int64 cluster of each thing, numbered by first appearance.

    Raises:
        ModelError: scipy is not installed.
    """
    try:
        from scipy.cluster.hierarchy import linkage as merge_order
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components
    except ImportError as error:
        raise ModelError(f"the method atc clusters by scipy (pip install scipy): {error}") from error
    total = len(distances)
    if count >= total:
        return np.arange(total)
    above = np.ascontiguousarray(distances[np.triu_indices(total, 1)], dtype=np.float64)
    # Row i joins two clusters to one that is called total + i; the first rows are the nearest ones.
    joined = merge_order(above, linkage)[: total - count, :2].astype(np.int64)
    made = np.repeat(np.arange(total, total + len(joined)), 2)
    nodes = total + len(joined)
    edges = coo_array((np.ones(len(made), dtype=bool), (joined.ravel(), made)), shape=(nodes, nodes))
    found = connected_components(edges, directed=False)[1][:total]
    _, first, labels = np.unique(found, return_index=True, return_inverse=True)
    return first.argsort().argsort()[labels].astype(np.int64)
