"""Cache methods created by name, so that a process reads their weights only once."""

from __future__ import annotations

from collections import OrderedDict
from threading import RLock
from typing import TYPE_CHECKING, TypeAlias

import torch

from invertdesc.methods import Method, create_method, methods

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

    Key: TypeAlias = tuple[object, str | int, str]

MOST = 4  # most recently used methods; a network takes about 10 MB
_kept: OrderedDict[Key, tuple[Method, str | Descriptor]] = OrderedDict()
_lock = RLock()  # re-entrant: the constructor of a method may call `reconstruct`


def kept_method(name: str, descriptor: str | Descriptor, device: torch.device) -> Method:
    """Return the method of a name without options, created on first use.

    There is one for each descriptor (adapters are compared by identity) and for each device, since
    a network is on one device at a time. Threads share it.

    Raises:
        InvertDescError: The method cannot be created.
    """
    which = descriptor if isinstance(descriptor, str) else id(descriptor)
    key = (methods.get(name), which, str(device))
    with _lock:
        if key not in _kept:
            # The adapter is also kept; otherwise its identity could be used again by another.
            made = create_method(name, descriptor=descriptor)
            if isinstance(made, Method):  # a plug-in may return any function
                made.to(device)
            _kept[key] = made, descriptor
        _kept.move_to_end(key)
        while len(_kept) > MOST:
            _kept.popitem(last=False)
        return _kept[key][0]
