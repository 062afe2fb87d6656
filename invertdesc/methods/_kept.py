"""Methods that were made by name, kept so that a process reads their weights once."""

from __future__ import annotations

from collections import OrderedDict
from threading import RLock
from typing import TYPE_CHECKING, TypeAlias

import torch

from invertdesc.methods import Method, create_method, methods

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

    Key: TypeAlias = tuple[object, str | int, str]

MOST = 4  # methods that are kept, the last used ones; a network takes some 10 MB each
_kept: OrderedDict[Key, tuple[Method, str | Descriptor]] = OrderedDict()
_lock = RLock()  # one that its owner may take again: a method may call `reconstruct` when made


def kept_method(name: str, descriptor: str | Descriptor, device: torch.device) -> Method:
    """Return the method of a name without options, made when first asked for.

    There is one for each descriptor, where adapters are told apart by identity, and for each
    device, since a network is on one at a time. Threads share it.

    Raises:
        InvertDescError: It cannot be made.
    """
    which = descriptor if isinstance(descriptor, str) else id(descriptor)
    key = (methods.get(name), which, str(device))
    with _lock:
        if key not in _kept:
            # The adapter is kept as well: its identity could else become another's.
            made = create_method(name, descriptor=descriptor)
            if isinstance(made, Method):  # a plug-in's may be any function
                made.to(device)
            _kept[key] = made, descriptor
        _kept.move_to_end(key)
        while len(_kept) > MOST:
            _kept.popitem(last=False)
        return _kept[key][0]
