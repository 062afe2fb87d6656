"""A method's usual recipe, with changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from invertdesc._options import check_choice, check_options
from invertdesc.methods.network import preset as recipe_of
from invertdesc.methods.recipe import (
    Augmentation,
    LossWeights,
    PatchGANConfig,
    TrainConfig,
    quick,
)


def adjusted_recipe(
    method: str,
    *,
    preset: Literal["paper", "quick"] = "paper",
    losses: str | None = None,
    width: int | None = None,
    refiner_width: int | None = None,
    discriminator_width: int | None = None,
    augment: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> TrainConfig:
    """Return a method's usual recipe, with changes; None leaves what the method has.

    Args:
        method: Registry name of a method with a network.
        preset: `"paper"` for the method's own recipe, for methods of Wu et al. 2019 that of the
            paper with its 200 epochs; `"quick"` for at most 5,000 steps at a higher rate.
        losses: Losses and their weights as text, such as `"l1=1,ssim=0.2"`.
        width: Channels of the network's first level, of a method without a refiner.
        refiner_width: Channels of the refiner's first level, of a method with one.
        discriminator_width: Channels of the discriminator's first level.
        augment: Changes of pictures and their shares as text, such as `"luma=0.5,zoom=0.2"`, or
            `"usual"`.
        changes: Values of other fields of `TrainConfig`, by name.

    Raises:
        InputError: A method without a network, an unknown loss, change or field, or a value out of
            range.

    >>> adjusted_recipe("coarse", width=8, changes={"steps": 100, "rate": None}).rate
    0.0001
    """
    check_choice("preset", preset, ("paper", "quick"))
    config = recipe_of(method) if preset == "paper" else quick(recipe_of(method))
    network = config.network
    if refiner_width is not None and hasattr(network, "refiner"):
        network = replace(network, refiner=replace(network.refiner, width=refiner_width))
    if width is not None and not hasattr(network, "refiner"):
        network = replace(network, width=width)
    known = {name: value for name, value in (changes or {}).items() if value is not None}
    check_options(f"the recipe of {method!r}", TrainConfig, known, fixed=("method",))
    if losses is not None:
        known["losses"] = LossWeights.parse(losses)
    if discriminator_width is not None:
        known["discriminator"] = PatchGANConfig(width=discriminator_width)
    if augment is not None:
        known["augmentation"] = Augmentation.parse(augment)
    return replace(config, network=network, **known)
