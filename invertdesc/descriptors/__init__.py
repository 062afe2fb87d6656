"""Descriptor adapters, one per file, and their registry."""

from invertdesc.descriptors.base import Descriptor
from invertdesc.descriptors.registry import (
    create_descriptor,
    descriptors,
    list_descriptors,
    register_descriptor,
    resolve_descriptor,
)

__all__ = [
    "Descriptor",
    "create_descriptor",
    "descriptors",
    "list_descriptors",
    "register_descriptor",
    "resolve_descriptor",
]
