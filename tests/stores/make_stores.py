"""Write features as other programs do, each by its own conventions, as far as it keeps them."""

import io
import json
import sqlite3
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import h5py
import numpy as np
from forms import Array, fields, file_of, root_bytes, sift_bytes, to_anatomy, to_vlfeat
from make_more_stores import MORE, MORE_FILES, MORE_SIZES_STORED

from invertdesc import LocalFeatures

Images = Mapping[str, LocalFeatures]

OLD = (
    "CREATE TABLE descriptors (image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB)"
)
NEW = """CREATE TABLE descriptors (image_id INTEGER PRIMARY KEY, type INTEGER NOT NULL,
    rows INTEGER, cols INTEGER, data BLOB)"""
SCHEMA = """
CREATE TABLE cameras (camera_id INTEGER PRIMARY KEY, model INTEGER, width INTEGER, height INTEGER,
    params BLOB, prior_focal_length INTEGER);
CREATE TABLE images (image_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, camera_id INTEGER);
CREATE TABLE keypoints (image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);
"""


def colmap_table(features: LocalFeatures, columns: int) -> Array:
    xy, scale, turn, _ = fields(features)
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    shape = {2: [], 4: [scale, turn], 6: [c, -s, s, c]}[columns]
    return np.stack([*(xy + 0.5).T, *shape], 1).astype("<f4")


def write_colmap(
    folder: Path,
    images: Images,
    *,
    typed: bool = True,
    columns: int = 6,
    root: bool = True,
    descriptors: bool = True,
) -> Path:
    path = folder / "database.db"
    database = sqlite3.connect(path)
    database.executescript(SCHEMA + (NEW if typed else OLD) + ";PRAGMA user_version = 4020100")
    for number, (name, features) in enumerate(images.items(), 1):
        height, width = features.image_size
        table = colmap_table(features, columns)
        vectors = (root_bytes if root else sift_bytes)(fields(features)[3])
        camera = (number, 0, width, height, b"", 0)
        database.execute("INSERT INTO cameras VALUES (?, ?, ?, ?, ?, ?)", camera)
        database.execute("INSERT INTO images VALUES (?, ?, ?)", (number, name, number))
        row = (number, *table.shape, table.tobytes())
        database.execute("INSERT INTO keypoints VALUES (?, ?, ?, ?)", row)
        if descriptors:
            row = (number, *([0] if typed else []), *vectors.shape, vectors.tobytes())
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO descriptors VALUES ({marks})", row)
    database.commit()
    database.close()
    return path


def change(path: Path, *statements: str) -> Path:
    """Run SQL on a database."""
    database = sqlite3.connect(path)
    for statement in statements:
        database.executescript(statement)
    database.commit()
    database.close()
    return path


def write_hloc(folder: Path, images: Images, *, half: bool = False) -> Path:
    """As hloc's `sift` writes, whose positions are COLMAP's."""
    path = folder / "features.h5"
    kind = np.float16 if half else np.float32
    with h5py.File(path, "w") as file:
        for name, features in images.items():
            xy, scale, turn, vectors = fields(features)
            group = file.create_group(name)
            unit = root_bytes(vectors) / 512
            group["keypoints"] = (xy + 0.5).astype(kind)
            group["descriptors"] = unit.T.astype(kind)
            group["scales"] = scale.astype(kind)
            group["oris"] = np.rad2deg(turn).astype(kind)
            group["scores"] = np.ones(len(xy), kind)
            group["image_size"] = np.array(features.image_size[::-1])
    return path


def write_npz(folder: Path, images: Images) -> Path:
    for name, features in images.items():
        features.save(file_of(folder, name, ".npz"))
    return folder


def write_opencv(
    folder: Path, images: Images, *, suffix: str = ".yml", packed: bool = False, flat: bool = False
) -> Path:
    """As C++ writes std::vector<KeyPoint>; `flat` as it did long ago."""
    mode = cv2.FILE_STORAGE_WRITE | (cv2.FILE_STORAGE_BASE64 if packed else 0)
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        file = cv2.FileStorage(str(file_of(folder, name, suffix)), mode)
        kind = cv2.FileNode_SEQ | (cv2.FileNode_FLOW if flat else 0)
        file.startWriteStruct("keypoints", kind)
        for (x, y), sigma, angle in zip(xy.tolist(), scale.tolist(), turn.tolist(), strict=True):
            if not flat:
                file.startWriteStruct("", cv2.FileNode_SEQ | cv2.FileNode_FLOW)
            for value in (x, y, 2 * sigma, float(np.rad2deg(angle) % 360), 0.5):
                file.write("", value)
            for whole in (1, -1):
                file.write("", whole)
            if not flat:
                file.endWriteStruct()
        file.endWriteStruct()
        file.write("descriptors", vectors)
        file.release()
    return folder


def write_lowe(folder: Path, images: Images) -> Path:
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        lines = [f"{len(xy)} 128"]
        for (x, y), sigma, angle, vector in zip(xy, scale, turn, sift_bytes(vectors), strict=True):
            lines.append(f"{y:.4f} {x:.4f} {sigma:.4f} {-angle:.5f}")
            lines += [" " + " ".join(map(str, vector[k : k + 20])) for k in range(0, 128, 20)]
        file_of(folder, name, ".key").write_text("\n".join(lines) + "\n")
    return folder


def write_siftgpu(folder: Path, images: Images) -> Path:
    """Write SiftGPU's ASCII form: from the pixel's corner, angles as ours from 0 to 2 pi."""
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        lines = [f"{len(xy)} 128"]
        for (x, y), sigma, angle, vector in zip(xy, scale, turn, sift_bytes(vectors), strict=True):
            lines.append(f"{y + 0.5:.2f} {x + 0.5:.2f} {sigma:.3f} {angle % (2 * np.pi):.3f}")
            lines += [" ".join(map(str, vector[k : k + 20])) + " " for k in range(0, 128, 20)]
        file_of(folder, name, ".sift").write_text("\n".join(lines) + "\n")
    return folder


def write_colmap_text(folder: Path, images: Images) -> Path:
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        table = np.column_stack([xy + 0.5, scale, turn, root_bytes(vectors)])
        _write_lines(file_of(folder, name, ".txt"), table, head=f"{len(xy)} 128\n")
    return folder


def write_vlfeat(folder: Path, images: Images) -> Path:
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        table = np.column_stack([xy, scale, turn, to_vlfeat(sift_bytes(vectors))])
        _write_lines(file_of(folder, name, ".sift"), table)
    return folder


DESCRIBERS = {"SIFT_Image_describer": to_vlfeat, "SIFT_Anatomy_Image_describer": to_anatomy}


def write_openmvg(
    folder: Path,
    images: Images,
    *,
    describer: str = "SIFT_Image_describer",
    regions: str = "SIFT_Regions",
) -> Path:
    """Write what `openMVG_main_ComputeFeatures -m SIFT`, its default, leaves in its folder."""
    views = []
    for name, features in images.items():
        height, width = features.image_size
        _write_pair(file_of(folder, name, ".feat"), features, DESCRIBERS[describer])
        data = {"filename": f"{name}.jpg", "width": width, "height": height}
        views.append({"key": 0, "value": {"ptr_wrapper": {"data": data}}})
    (folder / "sfm_data.json").write_text(json.dumps({"sfm_data_version": "0.3", "views": views}))
    told = {"image_describer": describer, "regions_type": regions}
    kinds = {part: {"polymorphic_id": 1, "polymorphic_name": name} for part, name in told.items()}
    (folder / "image_describer.json").write_text(json.dumps(kinds))
    return folder


def write_openmvg_anatomy(folder: Path, images: Images) -> Path:
    """Write what `-m SIFT_ANATOMY` leaves."""
    return write_openmvg(folder, images, describer="SIFT_Anatomy_Image_describer")


def write_alicevision(folder: Path, images: Images) -> Path:
    """Images are called by the number of their view."""
    views = []
    for name, features in images.items():
        height, width = features.image_size
        _write_pair(file_of(folder, name, ".sift.feat"), features, to_vlfeat)
        views.append({"viewId": name, "width": str(width), "height": str(height)})
    (folder / "cameraInit.sfm").write_text(json.dumps({"views": views}))
    return folder


def write_kapture(
    folder: Path,
    images: Images,
    *,
    columns: int = 6,
    types: tuple[str, str] = ("SIFT", "SIFT"),
    name: str = "SIFT",
    dtype: str = "float32",
    order: Callable[[Array], Array] = np.asarray,
) -> Path:
    """Write one type of keypoints and one of descriptors, in folders called as they are."""
    points = folder / "reconstruction" / "keypoints" / types[0]
    vectors = folder / "reconstruction" / "descriptors" / types[1]
    sensors = folder / "sensors"
    for place in (points, vectors, sensors):
        place.mkdir(parents=True, exist_ok=True)
    head = "# kapture format: 1.1\n"
    told = f"{head}# name, dtype, dsize\nSIFT, {dtype}, {columns}\n"
    (points / "keypoints.txt").write_text(told)
    (vectors / "descriptors.txt").write_text(f"{head}{name}, uint8, 128, {types[0]}, L2\n")
    cameras, records = head, head
    for number, (image, features) in enumerate(images.items()):
        height, width = features.image_size
        table = colmap_table(features, columns)
        if columns == 4:
            table[:, :2] -= 0.5
        file_of(points, image, ".kpt").write_bytes(table.astype(dtype).tobytes())
        written = order(root_bytes(fields(features)[3]))
        file_of(vectors, image, ".desc").write_bytes(written.tobytes())
        cameras += f"cam{number}, , camera, SIMPLE_PINHOLE, {width}, {height}, 300, 50, 50\n"
        records += f"{number}, cam{number}, {image}\n"
    (sensors / "sensors.txt").write_text(cameras)
    (sensors / "records_camera.txt").write_text(records)
    return folder


def write_kapture_tar(folder: Path, images: Images) -> Path:
    """As kapture 1.1 packs it; what was added later, under the same name, holds."""
    write_kapture(folder, images)
    for part, suffix in (("keypoints", ".kpt"), ("descriptors", ".desc")):
        place = folder / "reconstruction" / part / "SIFT"
        with tarfile.open(place / f"{part}.tar", "w") as archive:
            for name in images:
                file = place / f"{name}{suffix}"
                old = tarfile.TarInfo(f"{name}{suffix}")
                old.size = 5
                archive.addfile(old, io.BytesIO(b"stale"))
                archive.add(file, f"{name}{suffix}")
                file.unlink()
    return folder


def write_visualsfm(folder: Path, images: Images) -> Path:
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        table = np.stack([*(xy + 0.5).T, np.zeros(len(xy)), scale, turn], 1).astype("<f4")
        counts = np.array([len(xy), 5, 128], "<i4").tobytes()
        parts = (b"SIFT", b"V4.0", counts, table.tobytes(), sift_bytes(vectors).tobytes())
        file_of(folder, name, ".sift").write_bytes(b"".join(parts) + b"\xffEOF")
    return folder


def write_oxford(folder: Path, images: Images) -> Path:
    """Ellipses as long as wide, and of the same area: twice as long, half as wide, turned."""
    for number, (name, features) in enumerate(images.items()):
        xy, scale, turn, vectors = fields(features)
        axes = [4.0, 0.25] if number % 2 else [1.0, 1.0]
        c, s = np.cos(turn), np.sin(turn)
        frames = np.stack([c, -s, s, c], 1).reshape(-1, 2, 2)
        shapes = frames @ np.diag(axes) @ frames.swapaxes(1, 2) / (7.5 * scale[:, None, None]) ** 2
        lines = [f"128\n{len(xy)}"]
        for place, shape, vector in zip(xy, shapes, to_vlfeat(sift_bytes(vectors)), strict=True):
            values = (*place, shape[0, 0], shape[0, 1], shape[1, 1])
            lines.append(" ".join([*(f"{v:.9g}" for v in values), *map(str, vector)]))
        file_of(folder, name, ".hesaff.sift").write_text("\n".join(lines) + "\n")
    return folder


def _write_lines(path: Path, table: Array, head: str = "") -> None:
    words = (
        [*(f"{v:.5f}" for v in row[:4]), *(str(int(v)) for v in row[4:])] for row in table.tolist()
    )
    path.write_text(head + "".join(" ".join(line) + "\n" for line in words))


def _write_pair(path: Path, features: LocalFeatures, order: Callable[[Array], Array]) -> None:
    xy, scale, turn, vectors = fields(features)
    table = np.column_stack([xy, scale, turn])
    path.write_text("".join("{:.4f} {:.4f} {:.4f} {:.5f}\n".format(*row) for row in table.tolist()))
    count = len(xy).to_bytes(8, "little")
    path.with_suffix(".desc").write_bytes(count + order(root_bytes(vectors)).tobytes())


WRITERS: dict[str, Callable[[Path, Images], Path]] = {
    "colmap": write_colmap,
    "colmap-text": write_colmap_text,
    "hloc": write_hloc,
    "npz": write_npz,
    "opencv": write_opencv,
    "lowe": write_lowe,
    "siftgpu": write_siftgpu,
    "vlfeat": write_vlfeat,
    "openmvg": write_openmvg,
    "openmvg-anatomy": write_openmvg_anatomy,
    "alicevision": write_alicevision,
    "kapture": write_kapture,
    "kapture-tar": write_kapture_tar,
    "visualsfm": write_visualsfm,
    "oxford": write_oxford,
    **MORE,
}
SIZES_STORED = (
    "colmap",
    "hloc",
    "npz",
    "openmvg",
    "openmvg-anatomy",
    "alicevision",
    "kapture",
    "kapture-tar",
    *MORE_SIZES_STORED,
)
FILES = {  # that make up a store of the images "101" and "102"
    "colmap": ["database.db"],
    "colmap-text": ["101.txt"],
    "hloc": ["features.h5"],
    "npz": ["101.npz"],
    "opencv": ["101.yml"],
    "lowe": ["101.key"],
    "siftgpu": ["101.sift"],
    "vlfeat": ["101.sift"],
    "openmvg": ["101.feat", "101.desc", "sfm_data.json", "image_describer.json"],
    "openmvg-anatomy": ["image_describer.json"],
    "alicevision": ["101.sift.feat", "101.sift.desc", "cameraInit.sfm"],
    "kapture": [
        "reconstruction/keypoints/SIFT/keypoints.txt",
        "reconstruction/keypoints/SIFT/101.kpt",
        "reconstruction/descriptors/SIFT/descriptors.txt",
        "reconstruction/descriptors/SIFT/101.desc",
        "sensors/sensors.txt",
        "sensors/records_camera.txt",
    ],
    "kapture-tar": [
        "reconstruction/keypoints/SIFT/keypoints.tar",
        "reconstruction/descriptors/SIFT/descriptors.tar",
    ],
    "visualsfm": ["101.sift"],
    "oxford": ["101.hesaff.sift"],
    **MORE_FILES,
}
