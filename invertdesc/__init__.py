"""Reconstruct pictures from stored or sent local image descriptors.

`__init__.pyi` lists the public names. They are imported on first use, so that neither
`import invertdesc` nor `invertdesc --help` waits for torch.
"""

import lazy_loader

from invertdesc._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
