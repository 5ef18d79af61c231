# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Reads COCO 2017, and any data set in its layout, one image at a time. Every complaint names the image it is about.

COCO's training set has 860,000 annotations: as Python objects 2.5 GiB, and again in every process that touches them. So
they are kept in a few arrays, outlines as the JSON text they came in, which is read when its image is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from tasktp_ros.datasets.coco_file import Annotations, corners, is_crowd, read_annotations
from tasktp_ros.datasets.coco_masks import decode_outline
from tasktp_ros.datasets.exports import find_export
from tasktp_ros.datasets.label_scope import chosen_scope, read_scopes
from tasktp_ros.datasets.pictures import decode_picture, orientation, read_bytes, upright
from tasktp_ros.datasets.yolo import PARTS
from tasktp_ros.errors import DataError, PictureError


@dataclass(frozen=True)
class Sample:
    """One image and its objects.

    Attributes:
        image_id: COCO's number of the image.
        image: (H, W, 3) uint8 RGB.
        boxes: (M, 4) float32 xyxy px, inside the image.
        labels: (M,) int64 index into the data set's vocabulary.
        masks: (M, H, W) bool.
        crowd: (M,) bool: a region holding many objects of its category.
        has_mask: (M,) bool: the outline is known; elsewhere the mask is the box. None = all are.
        labelled: (C,) bool: categories of the vocabulary whose objects are all listed; others may be on the image, too.
            None = all are.
        squashed: the image's aspect ratio is not the camera's.
    """

    image_id: int
    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.bool_]
    crowd: NDArray[np.bool_]
    has_mask: NDArray[np.bool_] | None = None
    labelled: NDArray[np.bool_] | None = None
    squashed: bool = False


class CocoDataset(Dataset[Sample]):
    """Images and instance annotations in COCO's layout.

    Args:
        images: folder of the pictures.
        annotations: the JSON file, or what it would hold.
        vocabulary: category names in the order of the labels; None = the file's, by their number. Categories that are
            not named are left out.
        allow_missing: the file may lack categories of `vocabulary`, though not all of them; they are not labelled then.
        labelled: "all" or names: what is labelled on every image, whatever the file says (see `label_scope.chosen_scope`).
        only: the only categories that are read, and labelled at most; the others of the vocabulary may be on any image. None = all.

    Attributes:
        vocabulary: names in the order of `Sample.labels`.
        category_ids: the file's number of each name.
        image_ids: in the order of the indices.
        left_out: number of annotations whose category is not in the vocabulary.

    Raises:
        DataError: an annotation file that is missing, not COCO's layout, or lacks a category of `vocabulary`; a label
            scope that does not exist.
    """

    def __init__(
        self,
        images: str | Path,
        annotations: str | Path | Annotations,
        vocabulary: Sequence[str] | None = None,
        allow_missing: bool = False,
        labelled: str | Sequence[str] | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        self.folder = Path(images)
        self.file = annotations if isinstance(annotations, Annotations) else Path(annotations)
        content = read_annotations(self.file)
        names = {row["id"]: row["name"] for row in content["categories"]}
        self.category_ids = {name: number for number, name in names.items()}
        own = tuple(names[number] for number in sorted(names))
        if lacking := [name for name in only or () if name not in self.category_ids]:
            raise DataError(f"{self.file} has no category {lacking[0]!r}; it has {', '.join(own[:8])}")
        self.vocabulary = self._checked(vocabulary, own, allow_missing)
        self._scopes = (
            read_scopes(self.file, content, self.vocabulary)
            if labelled is None
            else chosen_scope(labelled, self.vocabulary, len(content["images"]))
        )
        if only is not None:
            self._only(only)
        self.image_ids = [row["id"] for row in content["images"]]
        self._files = [row["file_name"] for row in content["images"]]
        self._sides = np.array([(row["height"], row["width"]) for row in content["images"]], np.int64).reshape(-1, 2)
        self._squashed = np.array([bool(row.get("aspect_squashed")) for row in content["images"]], np.bool_)
        self._upright = np.array([bool(row.get("upright")) for row in content["images"]], np.bool_)
        self.left_out = self._keep(content["annotations"])

    @classmethod
    def open(
        cls,
        root: str | Path,
        split: str,
        vocabulary: Sequence[str] | None = None,
        allow_missing: bool = False,
        labelled: str | Sequence[str] | None = None,
        only: Sequence[str] | None = None,
    ) -> "CocoDataset":
        """Find a split's files under `root`: COCO's own places, the same without "2017", and exports (`exports`). Other arguments as the class's.

        Raises:
            DataError: not found; lists where it was looked for.
        """
        return cls(*find_split(root, split), vocabulary, allow_missing, labelled, only)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, index: int) -> Sample:
        """Read one image.

        Raises:
            DataError: a picture that is missing, unreadable or of another size than the file says, or an annotation that
                cannot be decoded.
        """
        image = self.picture(index)
        height, width = image.shape[:2]
        rows = self._rows_of(index)
        boxes = np.clip(self._boxes[rows], 0.0, (width, height, width, height))
        inside = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
        masks = [
            self._mask(row, index, box, height, width) for row, box in zip(rows[inside], boxes[inside], strict=True)
        ]
        return Sample(
            self.image_ids[index],
            image,
            boxes[inside].astype(np.float32),
            self._labels[rows[inside]],
            np.array(masks, np.bool_).reshape(-1, height, width),
            self._crowd[rows[inside]],
            self._outlined[rows[inside]],
            self.labelled_on(index),
            bool(self._squashed[index]),
        )

    def labels_of(self, index: int) -> NDArray[np.int64]:
        """Categories (M,) on an image without reading the picture; crowds are left out."""
        rows = self._rows_of(index)
        return self._labels[rows[~self._crowd[rows]]]

    def labelled_on(self, index: int) -> NDArray[np.bool_]:
        """Categories (C,) that are labelled on an image."""
        return self._scopes.labelled[self._scopes.of_image[index]]

    def picture(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of an image, without its objects; raises as reading the sample does.

        Pixels are taken as stored, as in COCO: a note on how the picture should be turned is followed only where the file's
        height and width are those of the turned picture and not of the stored one, or where it says "upright" of the image.
        """
        path = self.folder / self._files[index]
        height, width = self._sides[index].tolist()
        try:
            data = read_bytes(path)
            image = decode_picture(data, str(path))
            if self._upright[index] or image.shape[:2] == (width, height) != (height, width):
                image = upright(image, orientation(data))
        except PictureError as error:
            raise DataError(f"image {self.image_ids[index]}: {error}") from error
        if image.shape[:2] != (height, width):
            raise DataError(f"image {self.image_ids[index]}: {path} has {image.shape[0]} x {image.shape[1]} px, the annotation file "
                            f"says {height} x {width}")  # fmt: skip
        return image

    def check(self) -> dict[str, int]:
        """Count images, pictures that are missing, annotations, and annotations that were left out."""
        missing = sum(not (self.folder / name).is_file() for name in self._files)
        return {
            "images": len(self),
            "missing": missing,
            "annotations": len(self._labels),
            "left_out": self.left_out,
        }

    def _checked(self, vocabulary: Sequence[str] | None, own: tuple[str, ...], allow_missing: bool) -> tuple[str, ...]:
        if vocabulary is None:
            return own
        if isinstance(vocabulary, str) or len(set(vocabulary)) != len(vocabulary):
            raise DataError(f"a vocabulary must be a list of different names, got {vocabulary!r}")
        lacking = [name for name in vocabulary if name not in self.category_ids]
        if lacking and not (allow_missing and len(lacking) < len(vocabulary)):
            raise DataError(f"{self.file} has no category {lacking[0]!r}; it has {', '.join(own[:8])}")
        return tuple(vocabulary)

    def _only(self, names: Sequence[str]) -> None:
        """Forget what the file has of other categories, and what it says of their being labelled."""
        self.category_ids = {name: number for name, number in self.category_ids.items() if name in names}
        named = np.array([name in names for name in self.vocabulary], np.bool_)
        self._scopes = replace(self._scopes, labelled=self._scopes.labelled & named)

    def _keep(self, annotations: list[dict[str, Any]]) -> int:
        """Store the annotations of the vocabulary, ordered by image; returns how many were left out."""
        numbers = self.category_ids
        labels = {numbers[name]: label for label, name in enumerate(self.vocabulary) if name in numbers}
        places = {number: place for place, number in enumerate(self.image_ids)}
        for row in annotations:
            if row["image_id"] not in places:
                raise DataError(
                    f"{self.file}: annotation {row.get('id', '?')} is of image {row['image_id']}, which the file lacks"
                )
        kept = [row for row in annotations if row["category_id"] in labels]
        kept.sort(key=lambda row: places[row["image_id"]])
        self._ids = np.array([str(row.get("id", "?"))[:40] for row in kept], np.str_)
        self._labels = np.array([labels[row["category_id"]] for row in kept], np.int64)
        self._boxes = np.array([corners(row) for row in kept], np.float64).reshape(-1, 4)
        self._crowd = np.array([is_crowd(row) for row in kept], np.bool_)
        self._outlined = np.array([bool(row.get("segmentation")) for row in kept], np.bool_)
        outlines = [json.dumps(row.get("segmentation"), separators=(",", ":")).encode() for row in kept]
        self._outlines = np.frombuffer(b"".join(outlines), np.uint8)
        self._outline_ends = np.cumsum([0, *map(len, outlines)])
        counts = np.bincount([places[row["image_id"]] for row in kept], minlength=len(self.image_ids))
        self._ends = np.cumsum([0, *counts])
        return len(annotations) - len(kept)

    def _rows_of(self, index: int) -> NDArray[np.int64]:
        """Places of an image's annotations in the arrays."""
        index = range(len(self))[index]
        return np.arange(self._ends[index], self._ends[index + 1])

    def _mask(self, row: int, index: int, box: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
        """(H, W) bool; without a segmentation the box is the mask."""
        text = self._outlines[self._outline_ends[row] : self._outline_ends[row + 1]].tobytes()
        try:
            outline = json.loads(text)
            if outline:
                return decode_outline(outline, height, width)
        except ValueError as error:
            place = f"annotation {self._ids[row]} of image {self.image_ids[index]}"
            raise DataError(f"{place} has an unreadable segmentation: {error}") from error
        mask = np.zeros((height, width), np.bool_)
        left, top, right, bottom = (round(float(side)) for side in box)
        mask[top:bottom, left:right] = True
        return mask


def find_split(root: str | Path, split: str) -> tuple[Path, Path | Annotations]:
    """Folder of the pictures and annotation file of a split, or what was made of an export; raises DataError as
    :meth:`CocoDataset.open` does.
    """
    root = Path(root)
    files, folders = _own_places(root, split)
    file = next((path for path in files if path.is_file()), None)
    folder = next((path for path in folders if path.is_dir()), None)
    if file is None or folder is None:
        others = (path for other in PARTS for path in _own_places(root, other)[0])
        export = None if any(path.is_file() for path in others) else find_export(root, split)
        if export is not None:
            return root, export
        looked = ", ".join(str(path) for path in (files if file is None else folders))
        raise DataError(f"no {'annotations' if file is None else 'images'} of split {split!r}; looked for {looked}")
    return folder, file


def _own_places(root: Path, split: str) -> tuple[list[Path], list[Path]]:
    """Where COCO's layout has the annotation file of a split, and its pictures."""
    names = (split, f"{split}2017")
    files = [folder / f"instances_{name}.json" for name in names for folder in (root / "annotations", root)]
    return files, [folder / name for name in names for folder in (root, root / "images")]
