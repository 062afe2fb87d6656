"""The common base of the adapters of OpenCV's descriptors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from invertdesc._text import one_line
from invertdesc.descriptors.base import check_image_of, check_most, check_vectors
from invertdesc.descriptors.describing import Described
from invertdesc.errors import InputError, InvertDescError, MissingDependencyError, UnknownNameError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.bits import unpack_bits
from invertdesc.features.changes import strongest
from invertdesc.features.convert import rows_of
from invertdesc.features.local import LocalFeatures
from invertdesc.features.provenance import Provenance
from invertdesc.image import GrayMode, to_gray, to_uint8
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding

Array: TypeAlias = NDArray[Any]
SCALE_FACTOR = 6.75  # for learned descriptors, with keypoints of size 2 sigma as in SIFT
SMALLEST_SIDE = 16  # in smaller images OpenCV finds nothing, or fails

# OpenCV's size of a keypoint, for a sigma of 1 pixel. SIFT and KAZE store 2 sigma, AKAZE 3 sigma
# (its derivatives' 1.5 times 2). For the others it follows from the factors by which OpenCV's
# documentation of BEBLID makes patches of all detectors alike: 6.75 for SIFT, 5 for AGAST, FAST
# and BRISK, 1 for ORB.
DIAMETERS = {
    "agast": 2.7,
    "akaze": 3.0,
    "brisk": 2.7,
    "fast": 2.7,
    "kaze": 2.0,
    "orb": 13.5,
    "sift": 2.0,
}


class Points(NamedTuple):
    """Keypoints in the units of invertdesc, except for angles, which are degrees as in OpenCV."""

    xy: Array  # (N, 2)
    scales: Array  # (N,)
    angles: Array  # (N,)
    scores: Array | None  # (N,)


@dataclass(frozen=True, kw_only=True)
class OpenCVDescriptor:
    """Base class of the adapters; each sets its `diameter` and implements the hooks.

    Attributes:
        detector: Detector of keypoints: `"agast"`, `"akaze"`, `"brisk"`, `"fast"`, `"kaze"`,
            `"orb"` or `"sift"`. Detectors that are also descriptors run with the defaults of their
            adapters, except ORB, which detects up to 16 pixels from the border.
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        gray: Gray mode `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.
    """

    detector: str
    max_num_keypoints: int | None = None
    gray: GrayMode = "gamma"

    name: ClassVar[str]
    dim: ClassVar[int]
    width: ClassVar[int]  # number of values or bytes of a vector as emitted
    packed: ClassVar[bool] = False  # whether a vector is bits, eight to a byte
    frame: ClassVar[Frame]
    diameter: ClassVar[float] = 2.0  # size of an OpenCV keypoint of sigma 1, for compute
    native: ClassVar[str | None] = None  # detector that belongs to the descriptor
    orients: ClassVar[bool] = False  # whether compute finds orientations itself

    def __post_init__(self) -> None:
        if self.detector not in DIAMETERS:
            raise UnknownNameError(
                f"Expected a detector among {', '.join(DIAMETERS)}; got {self.detector!r}."
            )
        check_most(self.max_num_keypoints)

    @cached_property
    def unfolding(self) -> Unfolding:
        """The map of the package, fitted to photographs."""
        return Unfolding.shipped(self.name)

    def extract(self, image: Tensor) -> LocalFeatures:
        """Detect and describe the keypoints of an image of shape (3, H, W), RGB in [0, 1].

        Raises:
            InputError: OpenCV cannot work with an option.
            MissingDependencyError: The installed OpenCV lacks the descriptor or the detector.
        """
        with _refusals(self):
            return self._extract(image)

    def _extract(self, image: Tensor) -> LocalFeatures:
        tool, pixels = self._tool(), to_uint8(to_gray(image, self.gray))
        if min(pixels.shape) < SMALLEST_SIDE:
            return self._features(pixels, _points([], 1.0), None)
        if self.detector == self.native:
            found, vectors = tool.detectAndCompute(pixels, None)
            features = self._features(pixels, _points(found, self.diameter), vectors)
            return strongest(features, self.max_num_keypoints)
        found = _detector(self.detector).detect(pixels, None)
        points = _points(found, DIAMETERS[self.detector])
        return strongest(self._compute(tool, pixels, points).features, self.max_num_keypoints)

    def describe(self, image: Tensor, features: LocalFeatures) -> Described:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at given keypoints.

        If OpenCV requires it, keypoints whose window leaves the picture are left out; the others
        keep their order. The result has the scales and orientations that were used.

        Raises:
            InputError: The features are of an image of another size.
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
            MissingDependencyError: The installed OpenCV lacks the descriptor.
        """
        check_image_of(features, image)
        needs = [n for n in self.frame.needs if not (self.orients and n == "orientations")]
        FeatureBatch.collate([features]).require(needs, needed_by=f"describing with {self.name!r}")
        count = len(features)
        turns, scales = features.orientations, features.scales
        points = Points(
            features.keypoints.cpu().numpy(),
            np.ones(count, np.float32) if scales is None else scales.cpu().numpy(),
            np.zeros(count) if turns is None else np.rad2deg(turns.cpu().numpy()) % 360,
            None if features.scores is None else features.scores.cpu().numpy(),
        )
        pixels = to_uint8(to_gray(image, self.gray))
        if min(pixels.shape) < SMALLEST_SIDE or not count:
            none = self._features(pixels, _points([], 1.0), None)
            return Described.all_of(none)
        return self._compute(self._tool(), pixels, points, scaled=scales is not None)

    def encode(self, raw: Tensor) -> Tensor:
        """Unpack bits to -1 and +1, the lowest of a byte first; scale numbers to length 1."""
        check_vectors(raw, self.width, self.name)
        if not self.packed:
            return F.normalize(raw.float(), dim=1)
        return unpack_bits(raw)[:, : self.dim].float() * 2 - 1

    def _tool(self) -> Any:
        """Return the object of OpenCV."""
        raise NotImplementedError

    def _used(self, scales: Array, image_size: tuple[int, int]) -> Array:
        """Return the scales that OpenCV uses for given scales."""
        return scales

    def level(self, scales: Array, image_size: tuple[int, int]) -> tuple[Array, Array]:
        """Return the octave and class_id fields of keypoints, int, if OpenCV reads them."""
        none = np.zeros(len(scales), int)
        return none, none

    def _emit(self, vectors: Tensor) -> Tensor:
        return vectors

    def _compute(
        self, tool: Any, pixels: Array, points: Points, *, scaled: bool = True
    ) -> Described:
        import cv2

        size = (pixels.shape[0], pixels.shape[1])
        used = self._used(points.scales, size)
        angles = points.angles.copy()
        rows = zip(
            points.xy.tolist(),
            (used * self.diameter).tolist(),
            angles.tolist(),
            *(field.tolist() for field in self.level(used, size)),
            strict=True,
        )
        # No extractor reads the response, so it is used to find out which keypoints were kept.
        given = [
            cv2.KeyPoint(x, y, diameter, angle, number, octave, level)
            for number, ((x, y), diameter, angle, octave, level) in enumerate(rows)
        ]
        kept, vectors = tool.compute(pixels, given)
        index = np.array([keypoint.response for keypoint in kept], int)
        if self.orients:
            angles[index] = [keypoint.angle for keypoint in kept]
        order = index.argsort()  # ORB goes level by level
        index, vectors = index[order], None if vectors is None else vectors[order]
        scores = None if points.scores is None else points.scores[index]
        described = Points(points.xy[index], used[index], angles[index], scores)
        features = self._features(pixels, described, vectors, scaled=scaled)
        return Described(features, torch.from_numpy(index.astype(np.int64)))

    def _features(
        self, pixels: Array, points: Points, vectors: Array | None, *, scaled: bool = True
    ) -> LocalFeatures:
        import cv2

        dtype = torch.uint8 if self.packed else torch.float32
        raw = torch.zeros(0, self.width, dtype=dtype)
        height, width = pixels.shape[:2]
        xy = torch.from_numpy(np.asarray(points.xy, np.float32))
        scales, turns, scores = (
            None if part is None else torch.from_numpy(np.asarray(part, np.float32))
            for part in (points.scales, points.angles, points.scores)
        )
        return LocalFeatures(
            keypoints=xy.clamp(min=-0.5).minimum(torch.tensor([width - 0.5, height - 0.5])),
            descriptors=self._emit(
                raw if vectors is None or not len(xy) else torch.from_numpy(vectors)
            ),
            image_size=(height, width),
            descriptor=self.name,
            scales=scales if scaled else None,
            orientations=turns * (math.pi / 180)
            if self.frame.rotated and turns is not None
            else None,
            scores=scores,
            provenance=Provenance(self.gray, f"opencv {cv2.__version__}", asdict(self)),
        )


@contextmanager
def _refusals(adapter: OpenCVDescriptor) -> Iterator[None]:
    """Raise errors of OpenCV about the options of an adapter as `InputError`."""
    import cv2

    try:
        yield
    except InvertDescError:
        raise
    except (cv2.error, OverflowError, ValueError) as error:  # for integers of more than 32 bits
        raise InputError(
            f"Expected options that OpenCV can work with, got {adapter}: {one_line(error)}"
        ) from error


def find_class(name: str) -> Any:
    """Return a class of OpenCV; its module depends on the version.

    Raises:
        MissingDependencyError: The installed OpenCV has no such class.
    """
    import cv2

    for module in (cv2, getattr(cv2, "xfeatures2d", None)):
        found = getattr(module, name, None)
        if found is not None:
            return found
    raise MissingDependencyError(
        f"Expected an OpenCV with {name}, got {cv2.__version__} without. "
        "Install the one with extra modules: pip install opencv-contrib-python"
    )


def _detector(name: str) -> Any:
    if name == "fast":
        return find_class("FastFeatureDetector").create()
    if name == "agast":
        return find_class("AgastFeatureDetector").create()
    from invertdesc.descriptors import create_descriptor

    # Only ORB's own descriptor needs a wide border. On 16 faces for tuning, DAISY gave an NCC of
    # 0.929 with `poisson` for 16 pixels, and 0.879 for 31.
    adapter = create_descriptor(name, **({"edge_threshold": 16} if name == "orb" else {}))
    if not isinstance(adapter, OpenCVDescriptor):  # a user's adapter under a name of OpenCV
        raise InputError(f"Expected {name!r} to be OpenCV's, to use its detector, got {adapter}.")
    return adapter._tool()


def _points(found: Sequence[Any], diameter: float) -> Points:
    """Convert keypoints of OpenCV, whose size is `diameter` for a sigma of 1 pixel."""
    x, y, size, angle, response = rows_of(found).T
    return Points(np.stack([x, y], 1), size / diameter, angle.clip(min=0), response)
