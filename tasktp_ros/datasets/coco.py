"""Reads COCO 2017, and any data set in its layout, one image at a time. Every complaint names the image it is about."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pycocotools import mask as coco_mask
from torch.utils.data import Dataset

from tasktp_ros.errors import DataError


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
    """

    image_id: int
    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.bool_]
    crowd: NDArray[np.bool_]


class CocoDataset(Dataset[Sample]):
    """Images and instance annotations in COCO's layout.

    Args:
        images: folder of the pictures.
        annotations: the JSON file.
        vocabulary: category names in the order of the labels; None = the file's, by their number. Categories that are
            not named are left out.

    Attributes:
        vocabulary: names in the order of `Sample.labels`.
        category_ids: the file's number of each name.
        image_ids: in the order of the indices.
        left_out: number of annotations whose category is not in the vocabulary.

    Raises:
        DataError: an annotation file that is missing, not COCO's layout, or lacks a category of `vocabulary`.
    """

    def __init__(self, images: str | Path, annotations: str | Path, vocabulary: Sequence[str] | None = None) -> None:
        self.folder, self.file = Path(images), Path(annotations)
        content = _read(self.file)
        named = {int(each["id"]): str(each["name"]) for each in _rows(self.file, content, "categories", ("id", "name"))}
        self.vocabulary = tuple(vocabulary) if vocabulary is not None else tuple(named[key] for key in sorted(named))
        self.category_ids = {name: number for number, name in named.items()}
        lacking = [name for name in self.vocabulary if name not in self.category_ids]
        if lacking:
            raise DataError(
                f"{self.file} has no category {lacking[0]!r}; it has {', '.join(list(self.category_ids)[:8])}"
            )
        self._images = _rows(self.file, content, "images", ("id", "file_name", "height", "width"))
        self.image_ids = [int(image["id"]) for image in self._images]
        self._objects: dict[int, list[dict]] = {number: [] for number in self.image_ids}
        self.left_out = self._sort_in(_rows(self.file, content, "annotations", ("image_id", "category_id")))

    @classmethod
    def open(cls, root: str | Path, split: str, vocabulary: Sequence[str] | None = None) -> "CocoDataset":
        """Find a split's files under `root`: COCO's own places, and the same without "2017".

        Raises:
            DataError: not found; lists where it was looked for.
        """
        root = Path(root)
        names = (split, f"{split}2017")
        files = [folder / f"instances_{name}.json" for name in names for folder in (root / "annotations", root)]
        folders = [folder / name for name in names for folder in (root, root / "images")]
        file = next((path for path in files if path.is_file()), None)
        folder = next((path for path in folders if path.is_dir()), None)
        if file is None or folder is None:
            looked = ", ".join(str(path) for path in (files if file is None else folders))
            raise DataError(f"no {'annotations' if file is None else 'images'} of split {split!r}; looked for {looked}")
        return cls(folder, file, vocabulary)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """Read one image.

        Raises:
            DataError: a picture that is missing, unreadable or of another size than the file says, or an annotation that
                cannot be decoded.
        """
        entry = self._images[index]
        image = self.picture(index)
        height, width = image.shape[:2]
        boxes, labels, masks, crowd = [], [], [], []
        for annotation in self._objects[int(entry["id"])]:
            box = _box(annotation, height, width)
            if box is None:
                continue
            boxes.append(box)
            labels.append(annotation["label"])
            masks.append(_mask(annotation, height, width))
            crowd.append(bool(annotation.get("iscrowd", 0)))
        return Sample(
            int(entry["id"]),
            image,
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(labels, np.int64),
            np.array(masks, np.bool_).reshape(-1, height, width),
            np.array(crowd, np.bool_),
        )

    def labels_of(self, index: int) -> NDArray[np.int64]:
        """Categories (M,) on an image without reading the picture; crowds are left out."""
        found = self._objects[self.image_ids[index]]
        return np.array([each["label"] for each in found if not each.get("iscrowd", 0)], np.int64)

    def _sort_in(self, annotations: list[dict]) -> int:
        labels = {self.category_ids[name]: label for label, name in enumerate(self.vocabulary)}
        left_out = 0
        for each in annotations:
            if each["image_id"] not in self._objects:
                raise DataError(
                    f"{self.file}: annotation {each.get('id', '?')} is of image {each['image_id']}, which the file lacks"
                )
            if each["category_id"] not in labels:
                left_out += 1
                continue
            self._objects[each["image_id"]].append(each | {"label": labels[each["category_id"]]})
        return left_out

    def picture(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of an image, without its objects; raises as reading the sample does."""
        entry = self._images[index]
        path = self.folder / str(entry["file_name"])
        try:
            with Image.open(path) as opened:
                image = np.array(opened.convert("RGB"))
        except FileNotFoundError:
            raise DataError(f"image {entry['id']}: {path} does not exist") from None
        except (UnidentifiedImageError, OSError, ValueError) as error:
            raise DataError(f"image {entry['id']}: {path} cannot be read: {error}") from error
        wanted = (int(entry["height"]), int(entry["width"]))
        if image.shape[:2] != wanted:
            raise DataError(f"image {entry['id']}: {path} has {image.shape[0]} x {image.shape[1]} px, the annotation file says "
                            f"{wanted[0]} x {wanted[1]}")  # fmt: skip
        return image


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"annotation file {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise DataError(f"annotation file {path} is not readable JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"annotation file {path} must hold an object with images, annotations and categories")
    return content


def _rows(path: Path, content: dict[str, Any], key: str, fields: tuple[str, ...]) -> list[dict]:
    rows = content.get(key)
    if not isinstance(rows, list):
        raise DataError(f"annotation file {path} has no list {key!r}")
    for row in rows:
        lacking = [field for field in fields if not isinstance(row, dict) or field not in row]
        if lacking:
            number = row.get("id", "?") if isinstance(row, dict) else "?"
            image = f" of image {row['image_id']}" if isinstance(row, dict) and "image_id" in row else ""
            raise DataError(f"annotation file {path}: entry {number}{image} in {key!r} lacks {lacking[0]!r}")
    return rows


def _box(annotation: dict, height: int, width: int) -> tuple[float, float, float, float] | None:
    """xyxy px clipped to the image, or None where nothing of it is inside."""
    try:
        x, y, w, h = (float(value) for value in annotation["bbox"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{_where(annotation)} has no bbox of four numbers") from None
    left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height))
    return (left, top, right, bottom) if right - left >= 1 and bottom - top >= 1 else None


def _mask(annotation: dict, height: int, width: int) -> NDArray[np.bool_]:
    """Decode polygons or run lengths, compressed or not; without a segmentation the box is the mask."""
    outline = annotation.get("segmentation")
    try:
        if not outline:
            return _filled_box(annotation, height, width)
        if isinstance(outline, list):
            if any(len(polygon) < 6 or len(polygon) % 2 for polygon in outline):
                raise ValueError("a polygon needs at least three points of two numbers")
            encoded = coco_mask.merge(coco_mask.frPyObjects(outline, height, width))
        else:
            if list(outline["size"]) != [height, width]:
                raise ValueError(f"its mask is for {outline['size']} px, the image has {[height, width]}")
            compressed = isinstance(outline["counts"], (str, bytes))
            if not compressed and sum(outline["counts"]) != height * width:
                raise ValueError("its run lengths do not add up to the image")
            encoded = outline if compressed else coco_mask.frPyObjects(outline, height, width)
        return coco_mask.decode(encoded).astype(np.bool_)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{_where(annotation)} has an unreadable segmentation: {error}") from error


def _filled_box(annotation: dict, height: int, width: int) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), np.bool_)
    box = _box(annotation, height, width)
    if box is not None:
        left, top, right, bottom = (round(side) for side in box)
        mask[top:bottom, left:right] = True
    return mask


def _where(annotation: dict) -> str:
    return f"annotation {annotation.get('id', '?')} of image {annotation['image_id']}"
