"""What all methods with a trained network have in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.base import encoding_of
from invertdesc.errors import FileError, InputError
from invertdesc.methods.base import Method, Needs
from invertdesc.methods.networks.refiner import picture_of
from invertdesc.methods.recipe import TrainConfig
from invertdesc.methods.registry import methods
from invertdesc.rasterizers.cells import GEOMETRY, CellPyramid
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
    """Rasterize features, run a network, cut to size.

    Subclasses say what the network is built from (`build`), what it sees (`inputs`) and how it is
    trained (`recipe`); `train` then trains it, also that of a method which a plug-in brings.

    Attributes:
        network: The `nn.Module`, in evaluation mode.
        trained: What the weights say of themselves.
    """

    shared: ClassVar[bool]
    """Whether one network serves every descriptor that has an unfolding."""
    mirrors: ClassVar[bool] = False
    """Whether `mirror` of the inputs gives those of the mirrored picture, as with fields. A vector
    in a cell does not mirror: the mirrored picture's features are extracted anew."""
    base: ClassVar[type[NetworkMethod] | None] = None
    """The method whose network stands in front of the refiner."""

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        network: nn.Module | None = None,
    ) -> None:
        """Load.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            weights: A .safetensors file from training; None for those that ship.
            network: To use instead of weights from a file.

        Raises:
            FileError: The weights are missing, not for this method, or for another descriptor.
        """
        super().__init__()
        self.descriptor = descriptor
        self.trained = Trained()
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
            repository: Such as `"somebody/faces"` on huggingface.co.
            descriptor: Name or adapter; None takes the one that a batch names.
            file: In the repository; None for the usual name, such as `"coarse-sift.safetensors"`.
            revision: Branch, tag or commit.

        Raises:
            MissingDependencyError: huggingface_hub is not installed.
            FileError: It cannot be had, or is not for this method.
        """
        from invertdesc.weights._hub import download

        key = "sift" if descriptor is None else encoding_of(resolve_descriptor(descriptor))
        name = (cls.name if cls.shared else f"{cls.name}-{key}") + ".safetensors"
        return cls(descriptor, weights=download(repository, file or name, revision))

    @classmethod
    def is_ready(cls, descriptor: str | Descriptor | None = None) -> bool:
        """Say whether weights for a descriptor, or for any where it is None, are there."""
        if not super().is_ready(descriptor):
            return False
        if cls.shared or descriptor is None:
            return has_weights(cls.name)
        return has_weights(cls.name, encoding_of(resolve_descriptor(descriptor)))

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return how the network is usually trained.

        Raises:
            InputError: The method has no recipe.
        """
        raise InputError(
            f"Expected a method with a recipe, got {cls.name!r}. Give it a class method `recipe` "
            "that returns a TrainConfig."
        )

    @classmethod
    def sized(cls, network: Any, descriptor: Descriptor) -> Any:
        """Return the size of a network for a descriptor, where it depends on it."""
        return network

    @classmethod
    @abstractmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Make the network from its config as read from a file."""

    @abstractmethod
    def inputs(self, batch: FeatureBatch) -> tuple[Tensor, ...]:
        """Return what the network sees of a batch."""

    def mirror(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the inputs that the mirrored picture would give, where `mirrors` says so."""
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
            inputs = tuple(
                x.to(like.dtype).contiguous(memory_format=torch.channels_last)
                for x in self.inputs(batch.to(like.device))
            )
            picture = picture_of(self.network(*inputs))
        height, width = batch.image_size
        return picture[..., :height, :width].float()

    def _check(self, batch: FeatureBatch) -> None:
        """Check that the weights are for what the batch holds."""
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
        """Load.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            weights: A .safetensors file from training; None for those that ship.
            network: To use instead of weights from a file.
            unfolding: To use instead of the descriptor's own.

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
        """Return the pixels between the samples of the field that a network takes."""

    def inputs(self, batch: FeatureBatch) -> tuple[Tensor, ...]:
        """Return the field, scaled to unit size."""
        return (network_input(self.rasterizer(batch)),)

    def mirror(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the inputs that the mirrored picture would give."""
        return tuple(map(mirror_field, inputs))


class CellMethod(NetworkMethod):
    """A network that sees maps of cells, for one descriptor."""

    shared: ClassVar[bool] = False
    geometry: ClassVar[bool] = False
    """Whether a cell holds its keypoint's position, scale and orientation beside the vector."""

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__(descriptor, weights=weights, network=network)
        self.rasterizer = CellPyramid(
            self.cells(self.network), geometry=self.geometry, descriptor=descriptor
        )

    @classmethod
    def sized(cls, network: Any, descriptor: Descriptor) -> Any:
        """Return the size of a network with the channels of the descriptor's maps."""
        if cls.base is not None:
            return network  # that of the network in front, whose weights are there
        return replace(network, inputs=descriptor.dim + len(GEOMETRY) * cls.geometry)

    @staticmethod
    @abstractmethod
    def cells(network: nn.Module) -> tuple[int, ...]:
        """Return the cell sizes of the maps that a network takes."""

    def inputs(self, batch: FeatureBatch) -> tuple[Tensor, ...]:
        """Return a map for each cell size."""
        return tuple(maps.values for maps in self.rasterizer(batch))


def network_method(name: str) -> type[NetworkMethod]:
    """Return the class of a method whose network can be trained.

    Raises:
        UnknownNameError: No such method.
        InputError: One without a network.
    """
    found = methods.get(name)
    if _is_network(found):
        return found  # type: ignore[return-value]
    able = ", ".join(one for one in methods.names() if _is_network(methods.get(one)))
    raise InputError(f"Expected a method with a network, {able}; got {name!r}.")


def preset(method: str) -> TrainConfig:
    """Return a method's usual recipe; of the paper's methods, the paper's.

    Raises:
        UnknownNameError: No such method.
        InputError: A method without a network, or without a recipe.

    >>> preset("coarse").losses
    LossWeights(l1=0.0, l2=1.0, ssim=0.0, perceptual=1.0, style=0.0001, adversarial=0.0)

    Source: Wu, Zhou, Li 2019, section III-D.
    """
    return network_method(method).recipe()


def _is_network(factory: object) -> bool:
    return isinstance(factory, type) and issubclass(factory, NetworkMethod)


def network_input(field: Field) -> Tensor:
    """Return (B, 4, h, w): a field at about unit size, whatever the descriptor's amplitudes.

    The Poisson picture is divided by its deviation, gradients by their root mean square where there
    are keypoints; coverage becomes its square root. Without keypoints all is 0.
    """
    picture, coverage, gradients = field
    seen = (coverage > 0).to(picture)
    size = (
        gradients.square().mean((1, 2, 3), keepdim=True) / seen.mean((1, 2, 3), keepdim=True)
    ).sqrt()
    deviation = picture.std((2, 3), correction=0, keepdim=True)
    picture = picture / deviation.clamp(min=1e-6)
    gradients = gradients / size.nan_to_num(1.0).clamp(min=1e-6)
    return torch.cat([picture, coverage.sqrt(), gradients], 1)


def mirror_field(field: Tensor) -> Tensor:
    """Mirror `network_input` (B, 4, h, w) left to right; gx, the third channel, changes sign."""
    return field.flip(-1) * field.new_tensor([1, 1, -1, 1])[:, None, None]
