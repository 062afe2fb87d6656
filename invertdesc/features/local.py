"""Local features of one image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import torch
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.features import convert
from invertdesc.features._checks import (
    OPTIONAL_FIELDS,
    changed_rows,
    check_optional,
    check_picked,
    check_rows,
    check_values,
    checked_box,
    checked_size,
    have_same_values,
)
from invertdesc.features.npz import read_npz, write_npz
from invertdesc.features.provenance import Provenance
from invertdesc.image import encode_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from invertdesc.descriptors import Descriptor

Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalFeatures:
    """Keypoints and descriptors of one image; N keypoints, vectors of length D.

    The values are checked once, on creation. This is all that an attacker has: methods get no
    image. Two are equal if all their values are.

    Attributes:
        keypoints: (N, 2) float32, x and y in pixels; integers are pixel centres, so that the
            picture spans -0.5 to W - 0.5 and -0.5 to H - 0.5.
        descriptors: (N, D) as emitted: float32, or uint8 for bits packed eight to a byte.
        image_size: (H, W) of the image in pixels.
        descriptor: Registry name of the descriptor of the vectors, or an own one.
        scales: (N,) float32, sigma in pixels, above 0; None if unknown.
        orientations: (N,) float32 radians from +x towards +y; None if unknown.
        scores: (N,) float32, the detector's response; None if unknown.
        colors: (N, 3) float32 RGB in [0, 1] of the picture at the keypoints; None if unknown.
        provenance: Extractor, version, parameters and gray mode.

    Raises:
        InputError: A shape, dtype or value is wrong; the message names the field.
        UnknownNameError: The descriptor's name is surely a misspelt one.

    >>> features = LocalFeatures(
    ...     keypoints=torch.tensor([[3.0, 4.0], [60.0, 9.5]]),
    ...     descriptors=torch.zeros(2, 128),
    ...     image_size=(48, 64),
    ...     descriptor="sift",
    ... )
    >>> len(features), len(features.inside((0, 0, 10, 10)))
    (2, 1)
    """

    keypoints: Tensor
    descriptors: Tensor
    image_size: tuple[int, int]
    descriptor: str
    scales: Tensor | None = None
    orientations: Tensor | None = None
    scores: Tensor | None = None
    colors: Tensor | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", checked_size(self.image_size))
        check_rows(self)
        convert.check_name(self.descriptor)
        check_values(self)

    def __len__(self) -> int:
        """Return N, the number of keypoints."""
        return self.keypoints.shape[0]

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal, to the last bit, and on the same device."""
        if not isinstance(other, LocalFeatures):
            return NotImplemented
        return have_same_values(self, other)

    def __hash__(self) -> int:
        """Return a number of what changes in place of tensors leave as it is."""
        return hash((self.image_size, self.descriptor, self.descriptors.shape))

    def __repr__(self) -> str:
        missing = [
            name for name in OPTIONAL_FIELDS if getattr(self, name) is None and name != "colors"
        ]
        height, width = self.image_size
        return (
            f"LocalFeatures({len(self)} x {self.descriptor!r} of {self.descriptors.shape[1]} "
            f"{str(self.descriptors.dtype).removeprefix('torch.')}, image {width} x {height}"
            + (f", without {', '.join(missing)}" if missing else "")
            + (", with colors" if self.colors is not None else "")
            + ")"
        )

    def _repr_png_(self) -> bytes:
        """Return a PNG of the keypoints on black, which notebooks display."""
        from invertdesc.drawing import draw_keypoints

        return encode_image(draw_keypoints(self), "PNG")

    def __getitem__(self, rows: slice | Tensor | Sequence[int]) -> LocalFeatures:
        """Return the keypoints that a slice, a mask or a list of indices selects, in that order."""
        check_picked(rows, self.keypoints)
        return replace(self, **changed_rows(self, lambda value: value[rows]))

    def __iter__(self) -> NoReturn:
        """Refuse iteration; otherwise Python would ask for one keypoint after the other."""
        raise InputError("Expected features of a list to go through, got those of one image.")

    @property
    def device(self) -> torch.device:
        """The device that holds the tensors."""
        return self.keypoints.device

    def to(self, device: torch.device | str) -> LocalFeatures:
        """Return the same features on another device."""
        return replace(self, **changed_rows(self, lambda value: value.to(device)))

    def inside(self, box: Box) -> LocalFeatures:
        """Return the keypoints in the pixels x0 to x1 - 1, y0 to y1 - 1 of a box (x0, y0, x1, y1).

        Whole numbers are pixel centres, so these are the keypoints with x0 - 0.5 <= x < x1 - 0.5,
        and the same for y.
        """
        return self[self._in_box(box)]

    def outside(self, box: Box) -> LocalFeatures:
        """Return the keypoints outside a box, as if this region had been masked; see `inside`."""
        return self[~self._in_box(box)]

    def crop(self, box: tuple[int, int, int, int]) -> LocalFeatures:
        """Return the keypoints inside a box of whole pixels, as features of that part.

        The result is that of a picture cropped to the box.

        Args:
            box: (x0, y0, x1, y1); pixels x0 to x1 - 1, y0 to y1 - 1.

        Raises:
            InputError: The box is empty or reaches beyond the picture.
        """
        x0, y0, x1, y1 = checked_box(box)
        height, width = self.image_size
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise InputError(
                f"Expected a box (x0, y0, x1, y1) within {width} x {height} pixels, got {box}."
            )
        part = self.inside(box)
        return replace(
            part,
            keypoints=part.keypoints - part.keypoints.new_tensor([x0, y0]),
            image_size=(y1 - y0, x1 - x0),
        )

    def without(self, *names: str) -> LocalFeatures:
        """Return features that lack `"scales"`, `"orientations"`, `"scores"` or `"colors"`.

        As a threat model: what an attacker may not have.

        Raises:
            InputError: There is no optional field of this name.
        """
        for name in names:
            check_optional(name)
        missing: dict[str, Any] = dict.fromkeys(names)
        return replace(self, **missing)

    def assume(
        self, *, scales: float | None = None, orientations: float | None = None
    ) -> LocalFeatures:
        """Return features with missing scales or orientations replaced by one guess for each field.

        Existing values are not changed.

        Args:
            scales: Sigma in pixels.
            orientations: Radians.
        """
        guesses = {"scales": scales, "orientations": orientations}
        filled: dict[str, Any] = {
            name: torch.full_like(self.keypoints[:, 0], guess)
            for name, guess in guesses.items()
            if guess is not None and getattr(self, name) is None
        }
        return replace(self, **filled)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file atomically; see `invertdesc.features.npz`.

        Raises:
            FileError: The file cannot be written.
            InputError: The provenance has values that JSON cannot store.
        """
        source = self.provenance
        plain = {**vars(source), "parameters": dict(source.parameters)}
        write_npz(path, {**vars(self), "provenance": plain})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LocalFeatures:
        """Read an .npz file that `save` wrote.

        Raises:
            FileError: The file is missing, unreadable, or not a file of features.
            InputError: The file has invalid values.
        """
        fields = read_npz(path)
        try:
            name = convert.meant_name(fields["descriptor"])
            known = {"descriptor": name, "provenance": Provenance(**fields["provenance"])}
            return cls(**fields | known)
        except (TypeError, ValueError) as error:
            raise InputError(f"Expected valid features in {path}, got: {error}") from error

    @classmethod
    def from_opencv(
        cls,
        keypoints: Sequence[Any],
        descriptors: NDArray[Any] | None,
        image_size: tuple[int, int],
        *,
        descriptor: str | Descriptor,
    ) -> LocalFeatures:
        """Make features from the result of OpenCV's `detectAndCompute`.

        Sizes are diameters, which are converted to scales by a factor of the descriptor. Angles are
        degrees, and below 0 if there are none. SIFT puts keypoints a quarter pixel off unless it
        was created with `enable_precise_upscale=True`.

        Args:
            keypoints: N objects of `cv2.KeyPoint`.
            descriptors: (N, D), or None if there are no keypoints.
            image_size: (H, W) of the image in pixels.
            descriptor: Name or adapter of the descriptor of the vectors.

        Raises:
            InputError: The arguments do not fit together, or do not fit the descriptor.
        """
        fields = convert.from_opencv(keypoints, descriptors, image_size, descriptor)
        return cls(**fields, provenance=Provenance(producer="opencv"))

    def to_opencv(self) -> tuple[list[Any], NDArray[Any]]:
        """Return N objects of `cv2.KeyPoint`, with octaves for OpenCV's `compute`, and (N, D).

        Without scales, sizes are 0; without orientations, angles are -1.
        """
        return convert.to_opencv(self)

    @classmethod
    def from_lafs(
        cls,
        lafs: Tensor,
        descriptors: Tensor,
        image_size: tuple[int, int],
        *,
        descriptor: str | Descriptor,
        scores: Tensor | None = None,
    ) -> LocalFeatures:
        """Make features from kornia's local affine frames.

        The shear of a frame is lost: the scale is the square root of its determinant, the
        orientation is the direction of its x axis.

        Args:
            lafs: (1, N, 2, 3).
            descriptors: (1, N, D) or (N, D).
            image_size: (H, W) of the image in pixels.
            descriptor: Name or adapter of the descriptor of the vectors.
            scores: (1, N), the detector's responses; None if unknown.

        Raises:
            InputError: The arguments do not fit together, or do not fit the descriptor.
        """
        fields = convert.from_lafs(lafs, descriptors, image_size, descriptor, scores)
        return cls(**fields, provenance=Provenance(producer="kornia"))

    def to_lafs(self) -> Tensor:
        """Return (1, N, 2, 3), kornia's local affine frames; upright without orientations.

        Raises:
            MissingFieldError: There are no scales.
        """
        return convert.to_lafs(self)

    @classmethod
    def from_lightglue(
        cls,
        found: Mapping[str, Any],
        *,
        descriptor: str | Descriptor,
        image_size: tuple[int, int] | None = None,
        backend: convert.Backend | None = None,
    ) -> LocalFeatures:
        """Make features from the dictionary of an extractor of LightGlue or hloc.

        Args:
            found: `keypoints` (1, N, 2) or (N, 2), `descriptors` (1, N, D), (N, D) or (D, N) as
                hloc has them, and, if known, `keypoint_scores` or `scores`, `scales`, `oris` and
                `image_size` (W, H).
            descriptor: Name or adapter of what made the vectors; LightGlue's SIFT is `"rootsift"`.
            image_size: (H, W) in pixels; None for the dictionary's.
            backend: What LightGlue's SIFT ran with: scales of `"opencv"` are diameters, those of
                `"pycolmap"` sigma, with keypoints half a pixel off. None for `"pycolmap"` where
                `descriptors` are (D, N), else `"opencv"`.

        Raises:
            InputError: They do not fit each other, the image or the descriptor, or something is
                missing.
        """
        size = convert.size_in(found) if image_size is None else image_size
        fields = convert.from_lightglue(found, size, descriptor, backend)
        return cls(**fields)

    def to_lightglue(self) -> dict[str, Tensor]:
        """Return LightGlue's dictionary, with an axis for a batch of one.

        Scales are diameters, as in LightGlue's SIFT with the backend `"opencv"`; `image_size` is
        (W, H).
        """
        return convert.to_lightglue(self)

    def _in_box(self, box: Box) -> Tensor:
        x0, y0, x1, y1 = checked_box(box)
        x, y = self.keypoints.unbind(1)
        return (x0 - 0.5 <= x) & (x < x1 - 0.5) & (y0 - 0.5 <= y) & (y < y1 - 0.5)
