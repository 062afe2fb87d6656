"""The protocol of descriptor adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor

from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.features.batch import FeatureBatch
    from invertdesc.features.local import LocalFeatures
    from invertdesc.unfolding.frame import Frame
    from invertdesc.unfolding.unfolding import Unfolding


@runtime_checkable
class Descriptor(Protocol):
    """One kind of local descriptor: how to compute it, and how to read its vectors.

    `encode` and `unfolding` are for the attacker: they need no image and no extractor library.
    Further members of an adapter show its other abilities, see `abilities`.

    >>> from invertdesc import create_descriptor
    >>> isinstance(create_descriptor("orb"), Descriptor)
    True
    """

    @property
    def name(self) -> str:
        """Registry name."""

    @property
    def dim(self) -> int:
        """D, the length of an encoded vector."""

    @property
    def frame(self) -> Frame:
        """The square of the picture that a vector describes."""

    @property
    def unfolding(self) -> Unfolding:
        """How an encoded vector becomes gradients in its keypoint's frame."""

    def extract(self, image: Tensor) -> LocalFeatures:
        """Detect and describe the keypoints of an image of shape (3, H, W), RGB in [0, 1]."""

    def encode(self, raw: Tensor) -> Tensor:
        """Convert (N, ...) vectors as emitted to (N, dim) float32, the input of methods."""


@runtime_checkable
class JointUnfolding(Protocol):
    """An adapter whose vectors are unfolded together, as HOG's are, and not each for itself."""

    def pieces(self, batch: FeatureBatch) -> Tensor:
        """Return (M, 2, G, G) gradients that fill `frame` around each keypoint."""


class Differentiable(Descriptor, Protocol):
    """A descriptor whose vectors are a differentiable function of the picture."""

    def respond(self, gray: Tensor, batch: FeatureBatch) -> Tensor:
        """Describe one gray image (H, W) in [0, 1] at the keypoints of a batch of one.

        The result is (M, ...), the input of `encode`.
        """


def is_packed(adapter: Descriptor) -> bool:
    """Return whether vectors are emitted as bits, eight to a byte (`packed`)."""
    return bool(getattr(adapter, "packed", False))


def gray_of(adapter: Descriptor) -> str | None:
    """Return the gray mode that an adapter extracts with (`gray`), None where it has none."""
    gray: str | None = getattr(adapter, "gray", None)
    return gray


def width_of(adapter: Descriptor) -> int:
    """Return how many numbers or bytes a vector has as emitted (`width`, else `dim`)."""
    return int(getattr(adapter, "width", adapter.dim))


def encoding_of(adapter: Descriptor) -> str:
    """Return the name of the encoded vectors; it differs if they are another descriptor's."""
    return str(getattr(adapter, "encoding", adapter.name))


def opencv_diameter(adapter: Descriptor | None) -> float:
    """Return OpenCV's size of a keypoint with scale 1, for the descriptor of an adapter.

    It is 2 for SIFT, and for descriptors that OpenCV does not have.
    """
    return float(getattr(adapter, "diameter", 2.0))


def check_vectors(raw: Tensor, width: int, name: str) -> None:
    """Check the shape of vectors as emitted.

    Raises:
        InputError: The shape is not (N, width).
    """
    if raw.ndim != 2 or raw.shape[1] != width:
        raise InputError(
            f"Expected descriptors of shape (N, {width}) for {name!r}, got {tuple(raw.shape)}."
        )


def check_most(most: int | None) -> None:
    """Check the option `max_num_keypoints`.

    Raises:
        InputError: The value is below 1.
    """
    if most is not None and most < 1:
        raise InputError(f"Expected max_num_keypoints >= 1 or None, got {most}.")


def check_image_of(features: LocalFeatures, image: Tensor) -> None:
    """Check that features are of an image (3, H, W) of this size.

    Raises:
        InputError: The sizes differ.
    """
    if features.image_size != tuple(image.shape[-2:]):
        raise InputError(
            f"Expected features of an image of (H, W) = {tuple(image.shape[-2:])}, "
            f"got {features.image_size}."
        )
