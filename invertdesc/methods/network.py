"""The base classes of methods with a trained network."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.base import encoding_of
from invertdesc.errors import FileError, InputError
from invertdesc.image import GrayMode
from invertdesc.methods.base import Method, Needs
from invertdesc.methods.networks.prepared import prepare
from invertdesc.methods.networks.refiner import picture_of
from invertdesc.methods.recipe import TrainConfig
from invertdesc.methods.registry import methods
from invertdesc.rasterizers.field import Field, FieldRasterizer
from invertdesc.weights._files import (
    Trained,
    build_network,
    find_weights,
    has_weights,
    read_network,
)

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.batch import FeatureBatch
    from invertdesc.unfolding.unfolding import Unfolding


class NetworkMethod(Method, ABC):
    """Base class: rasterize features, run a network, crop to size.

    Subclasses define how the network is created (`build`), its input (`inputs`) and its training
    (`recipe`). `train` can then train it, also for a method of a plug-in.

    Attributes:
        network: Network, an `nn.Module` in evaluation mode.
        trained: Header of the weights.
        shipped: Whether the weights are those of the package.
    """

    shared: ClassVar[bool]
    """Whether one network serves every descriptor that has an unfolding."""
    mirrors: ClassVar[bool] = False
    """Whether `mirror` of the inputs gives those of the mirrored picture, as with fields. A vector
    in a cell does not mirror, so features of the mirrored picture are extracted."""
    base: ClassVar[type[NetworkMethod] | None] = None
    """The method whose network is in front of the refiner."""
    exact: bool = False
    """Whether to compute in the type of the weights also where bfloat16 is faster; see `prepare`.
    It may be set on a method."""

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        network: nn.Module | None = None,
    ) -> None:
        """Load the network.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            weights: A .safetensors file from training; None for the weights of the package.
            network: Network to use instead of weights from a file.

        Raises:
            FileError: The weights are missing, not for this method, or for another descriptor.
        """
        super().__init__()
        self.descriptor = descriptor
        self.trained = Trained()
        self.shipped = weights is None and network is None
        if network is None:
            key = None
            if not self.shared and descriptor is not None:
                key = encoding_of(resolve_descriptor(descriptor))
            path = find_weights(self.name, "sift" if key is None else key, self.shared, weights)
            self.trained, state = read_network(path, self.name)
            network = build_network(self.build, self.trained.config, state, path)
            if key is not None and self.trained.descriptor not in (None, key):
                raise FileError(
                    f"Expected weights of {self.name!r} for {key!r}, got {path}, which were "
                    f"trained on {self.trained.descriptor!r}."
                )
        self.network = network
        self.eval()

    @classmethod
    def from_pretrained(
        cls,
        repository: str,
        descriptor: str | Descriptor | None = None,
        *,
        file: str | None = None,
        revision: str | None = None,
    ) -> Self:
        """Load weights from a model hub.

        Args:
            repository: Name on huggingface.co, such as `"somebody/faces"`.
            descriptor: Name or adapter; None takes the one that a batch names.
            file: File in the repository; None for the usual name, such as
                `"coarse-sift.safetensors"`.
            revision: Branch, tag or commit.

        Raises:
            MissingDependencyError: huggingface_hub is not installed.
            FileError: The file cannot be downloaded, or is not for this method.
        """
        from invertdesc.weights._hub import download

        key = "sift" if descriptor is None else encoding_of(resolve_descriptor(descriptor))
        name = (cls.name if cls.shared else f"{cls.name}-{key}") + ".safetensors"
        return cls(descriptor, weights=download(repository, file or name, revision))

    @classmethod
    def is_ready(cls, descriptor: str | Descriptor | None = None) -> bool:
        """Return whether the package has weights for a descriptor, or for any if it is None."""
        if not super().is_ready(descriptor):
            return False
        if cls.shared or descriptor is None:
            return has_weights(cls.name)
        return has_weights(cls.name, encoding_of(resolve_descriptor(descriptor)))

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the recipe of the network's training.

        Raises:
            InputError: The method has no recipe.
        """
        raise InputError(
            f"Expected a method with a recipe, got {cls.name!r}. Give it a class method `recipe` "
            "that returns a TrainConfig."
        )

    @classmethod
    def sized(cls, network: Any, descriptor: Descriptor) -> Any:
        """Return the config of a network for a descriptor, if it depends on it."""
        return network

    @classmethod
    @abstractmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Create the network from the config in a file."""

    @abstractmethod
    def inputs(self, batch: FeatureBatch) -> tuple[Tensor, ...]:
        """Return the input of the network for a batch."""

    def mirror(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the inputs of the mirrored picture, if `mirrors` is true."""
        raise InputError(f"The inputs of {self.name!r} do not mirror.")

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), RGB in [0, 1].

        Raises:
            MissingFieldError: The features lack scales or orientations that the method needs.
            InputError: The weights are for another descriptor or gray mode.
        """
        self._check(batch)
        like = next(self.network.parameters(), batch.keypoints)
        with torch.no_grad():
            network = prepare(self.network, exact=self.exact)
            picture = self.run(network, batch.to(like.device), like.dtype)
        height, width = batch.image_size
        return picture[..., :height, :width].float()

    def run(self, network: nn.Module, batch: FeatureBatch, dtype: torch.dtype) -> Tensor:
        """Return the pictures (B, 3, H', W') of a network in evaluation mode, not yet cropped."""
        return picture_of(network(*(as_input(x, dtype) for x in self.inputs(batch))))

    def _check(self, batch: FeatureBatch) -> None:
        """Check that the weights fit the features of the batch."""
        if self.shared:
            return
        key = encoding_of(resolve_descriptor(self.descriptor or batch.descriptor))
        if self.trained.descriptor not in (None, key):
            raise InputError(
                f"Expected features of {self.trained.descriptor!r}, which these weights of "
                f"{self.name!r} were trained on; got {key!r}. Choose method 'unfold', which serves "
                "every descriptor, or train this one on yours."
            ).with_hint("train", method=self.name, descriptor=key)
        grays = {provenance.gray for provenance in batch.provenances} - {None, self.trained.gray}
        if self.trained.gray is not None and grays:
            raise InputError(
                f"Expected descriptors computed on {self.trained.gray!r} gray, which these weights "
                f"of {self.name!r} were trained on; got {min(map(str, grays))!r}. Extract with "
                f"gray={self.trained.gray!r}, or choose method 'unfold'."
            )


class FieldMethod(NetworkMethod):
    """A network that sees the unfolded field."""

    needs: ClassVar[Needs] = Needs(abilities=("unfolding",))
    shared: ClassVar[bool] = True
    mirrors: ClassVar[bool] = True

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        network: nn.Module | None = None,
        unfolding: Unfolding | None = None,
    ) -> None:
        """Load the network.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            weights: A .safetensors file from training; None for the weights of the package.
            network: Network to use instead of weights from a file.
            unfolding: Unfolding to use instead of the descriptor's own.

        Raises:
            FileError: The weights are missing or not for this method.
        """
        super().__init__(descriptor, weights=weights, network=network)
        self.rasterizer = FieldRasterizer(
            descriptor, stride=self.stride(self.network), unfolding=unfolding
        )

    @staticmethod
    @abstractmethod
    def stride(network: nn.Module) -> int:
        """Return the distance in pixels between samples of the network's field."""

    def inputs(self, batch: FeatureBatch) -> tuple[Tensor, ...]:
        """Return (B, 5, h, w): the field, scaled to unit size, and the gray mode."""
        modes = [provenance.gray_mode for provenance in batch.provenances]
        return (network_input(self.rasterizer(batch), modes),)

    def mirror(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the inputs of the mirrored picture."""
        return tuple(map(mirror_field, inputs))


def network_method(name: str) -> type[NetworkMethod]:
    """Return the class of a method whose network can be trained.

    Raises:
        UnknownNameError: There is no such method.
        InputError: The method has no network.
    """
    found = methods.get(name)
    if _is_network(found):
        return found  # type: ignore[return-value]
    able = ", ".join(one for one in methods.names() if _is_network(methods.get(one)))
    raise InputError(f"Expected a method with a network, {able}; got {name!r}.")


def preset(method: str) -> TrainConfig:
    """Return the default recipe of a method; for methods of Wu et al. 2019, that of the paper.

    Raises:
        UnknownNameError: There is no such method.
        InputError: The method has no network, or no recipe.

    >>> losses = preset("coarse").losses
    >>> losses.l2, losses.perceptual, losses.style
    (1.0, 1.0, 0.0001)

    Source: Wu et al. 2019, section III-D.
    """
    return network_method(method).recipe()


def _is_network(factory: object) -> bool:
    return isinstance(factory, type) and issubclass(factory, NetworkMethod)


def as_input(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a map as networks read it fastest: channels-last, in the type of their weights."""
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def network_input(field: Field, modes: Sequence[GrayMode]) -> Tensor:
    """Return (B, 5, h, w): a field scaled to about unit size for any descriptor, and gray modes.

    The Poisson picture is divided by its deviation, gradients by their root mean square over
    covered pixels, and coverage is replaced by its square root; without keypoints these are 0. The
    last channel is 1 in a picture of `"gamma"` gray, and 0 in one of `"luma"`.

    Args:
        field: Field of B pictures.
        modes: Gray mode of each.
    """
    picture, coverage, gradients = field
    seen = (coverage > 0).to(picture)
    size = (
        gradients.square().mean((1, 2, 3), keepdim=True) / seen.mean((1, 2, 3), keepdim=True)
    ).sqrt()
    deviation = picture.std((2, 3), correction=0, keepdim=True)
    picture = picture / deviation.clamp(min=1e-6)
    gradients = gradients / size.nan_to_num(1.0).clamp(min=1e-6)
    gamma = picture.new_tensor([float(mode == "gamma") for mode in modes])
    gray = gamma[:, None, None, None].expand_as(picture)
    return torch.cat([picture, coverage.sqrt(), gradients, gray], 1)


def mirror_field(field: Tensor) -> Tensor:
    """Mirror `network_input` (B, 5, h, w) horizontally; gx, the third channel, changes sign."""
    return field.flip(-1) * field.new_tensor([1, 1, -1, 1, 1])[:, None, None]
