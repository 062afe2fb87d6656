"""Read the library's own files of features as a store."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from invertdesc.features.local import LocalFeatures
from invertdesc.stores._files import FileStore
from invertdesc.stores.record import Record


class NpzStore(FileStore):
    """Read an .npz file of this library, or all such files in a folder and its subfolders."""

    kind: ClassVar[str] = "invertdesc .npz"

    def _load(self, name: str) -> LocalFeatures:
        features = LocalFeatures.load(self._file(name))
        return features if self._given is None else replace(features, descriptor=self._given)

    def _read(self, file: Path) -> Record:
        features = LocalFeatures.load(file)
        scales, turns, scores = (
            None if part is None else part.numpy()
            for part in (features.scales, features.orientations, features.scores)
        )
        return Record(
            xy=features.keypoints.numpy(),
            vectors=features.descriptors.numpy(),
            image_size=features.image_size,
            scales=scales,
            orientations=turns,
            scores=scores,
            descriptor=features.descriptor,
            producer=features.provenance.producer,
        )
