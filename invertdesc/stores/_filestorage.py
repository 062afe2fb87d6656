"""Read the matrices and lists at the top level of OpenCV's FileStorage as numbers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.stores.record import Array, numbers

TYPES = {"u": "u1", "c": "i1", "w": "<u2", "s": "<i2", "i": "<i4", "f": "<f4", "d": "<f8"}
_TYPE = re.compile(r"(\d*)([ucwsifd])")
DEPTH = 1  # levels of maps that are looked into
_PREFIX = 24  # bytes in front of packed data, which repeat its type
_KEY = re.compile(r"^([A-Za-z_][\w.\-]*):", re.MULTILINE)
_INNER = re.compile(r"[ \t]*\n( +)[A-Za-z_][\w.\-]*:")
_WORDS = re.compile(r"[^\s,\[\]{}]+")


@dataclass(frozen=True, eq=False)
class Node:
    """The value of one name.

    Attributes:
        values: (K,) float64, all its numbers in order.
        shape: (rows, columns) of a matrix, with channels counted as columns; None for a list.
        bytes: Whether it is a matrix of uint8.
    """

    values: Array
    shape: tuple[int, int] | None = None
    bytes: bool = False


def parse(data: bytes, where: str) -> dict[str, Node]:
    """Read the values at the top level of a file that consist of numbers.

    Raises:
        FileError: The file is not YAML, XML or JSON of OpenCV.
        InputError: A matrix is invalid.
    """
    text = data.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")
    try:
        if text.startswith("{"):
            return _parse_json(text)
        if text.startswith("<"):
            return _parse_xml(text)
        return _parse_yaml(text)
    except InputError as error:
        raise InputError(f"Cannot use {where}: {error}") from error
    except (ValueError, ElementTree.ParseError, RecursionError, OverflowError) as error:
        raise FileError(f"Expected a whole file of OpenCV's at {where}, got: {error}.") from error


def _parse_json(text: str) -> dict[str, Node]:
    return _json_nodes(json.loads(text), DEPTH)


def _json_nodes(top: dict[str, Any], depth: int) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for key, value in top.items():
        if isinstance(value, dict) and value.get("type_id") == "opencv-matrix":
            data = value.get("data", [])
            nodes[key] = _matrix(
                value.get("rows"),
                value.get("cols"),
                value.get("dt"),
                data if isinstance(data, str) else _flat(data),
            )
        elif isinstance(value, list):
            with suppress(InputError):  # a list of something else
                nodes[key] = Node(numbers(_flat(value), key))
        elif isinstance(value, dict) and depth:
            nodes |= _below(key, _json_nodes(value, depth - 1))
    return nodes


def _below(key: str, inner: dict[str, Node]) -> dict[str, Node]:
    """Return nodes that lie under a name, by both names."""
    return {f"{key}_{name}": node for name, node in inner.items()}


def _flat(values: Any) -> list[Any]:
    """Return the values of lists with at most two levels: one list per keypoint."""
    if not isinstance(values, list):
        raise InputError(f"Expected a list of numbers, got {str(values)[:40]!r}.")
    flat = [one for part in values for one in (part if isinstance(part, list) else [part])]
    if not all(isinstance(one, int | float) for one in flat):
        raise InputError("Expected lists of numbers, got something else in them.")
    return flat


def _parse_xml(text: str) -> dict[str, Node]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities could expand to any size
        raise InputError("Expected plain XML, got definitions of entities.")
    return _xml_nodes(ElementTree.fromstring(text), DEPTH)


def _xml_nodes(top: ElementTree.Element, depth: int) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for element in top:
        if element.get("type_id") == "opencv-matrix":
            parts = {part.tag: part.text or "" for part in element}
            data = parts.get("data", "")
            packed = "$base64$" in data or any(p.get("type_id") == "binary" for p in element)
            nodes[element.tag] = _matrix(
                parts.get("rows"),
                parts.get("cols"),
                parts.get("dt"),
                data if packed else data.split(),
            )
            continue
        if depth and any(part.get("type_id") == "opencv-matrix" for part in element):
            nodes |= _below(element.tag, _xml_nodes(element, depth - 1))
            continue
        words = " ".join(element.itertext()).split()
        if words and _all_numbers(words):
            nodes[element.tag] = Node(numbers(words, element.tag))
        elif not words:
            nodes[element.tag] = Node(np.zeros(0))
    return nodes


def _parse_yaml(text: str) -> dict[str, Node]:
    if not text.endswith(("\n", "]")):  # a number at the end may be incomplete
        raise InputError(f"Expected a line break at the end, got {text[-12:]!r}. Was it cut off?")
    return _yaml_nodes(text, DEPTH)


def _yaml_nodes(text: str, depth: int) -> dict[str, Node]:
    starts = list(_KEY.finditer(text))
    ends = [match.start() for match in starts[1:]] + [len(text)]
    nodes: dict[str, Node] = {}
    for match, end in zip(starts, ends, strict=True):
        block = text[match.end() : end]
        if "!!opencv-matrix" in block.partition("\n")[0]:
            head, _, data = block.partition("data:")
            entries = dict(re.findall(r"^\s+(\w+):\s*(\S+)", head, re.MULTILINE))
            packed = "!!binary" in data
            nodes[match[1]] = _matrix(
                entries.get("rows"),
                entries.get("cols"),
                entries.get("dt"),
                data.partition("|")[2] if packed else _WORDS.findall(data),
            )
            continue
        inner = _INNER.match(block)
        if inner and depth:
            nodes |= _below(match[1], _yaml_nodes(_dedented(block, len(inner[1])), depth - 1))
            continue
        words = [word for word in _WORDS.findall(block) if word not in ("-", "...")]
        if _all_numbers(words):
            nodes[match[1]] = Node(numbers(words, match[1]))
    return nodes


def _dedented(block: str, columns: int) -> str:
    return "\n".join(line[columns:] for line in block.split("\n"))


def _all_numbers(words: list[str]) -> bool:
    try:
        np.array(words[:8], dtype=np.float64)
    except ValueError:
        return False
    return True


def _matrix(rows: Any, columns: Any, kind: Any, data: Any) -> Node:
    match = _TYPE.fullmatch(str(kind).strip('"'))
    try:
        height, width = int(rows), int(columns)
    except (TypeError, ValueError) as error:
        raise InputError(f"Expected a matrix of whole rows, got {rows} x {columns}.") from error
    if match is None or min(height, width) < 0:
        raise InputError(f"Expected a matrix of numbers, got {rows} x {columns} of {kind}.")
    dtype = TYPES[match[2]]
    shape = (height, width * int(match[1] or 1))
    values = _unpacked(data, dtype) if isinstance(data, str) else _listed(data)
    return Node(values, shape, dtype == "u1")


def _listed(words: list[Any]) -> Array:
    plain = [str(word).replace(".Nan", "nan").replace(".Inf", "inf") for word in words]
    return numbers(plain, "a matrix")


def _unpacked(text: str, dtype: str) -> Array:
    """Return the numbers of base64: 24 bytes of spaces and types, then the raw values."""
    try:
        raw = base64.b64decode("".join(text.replace("$base64$", "").split()))[_PREFIX:]
        return np.frombuffer(raw, dtype).astype(np.float64)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"Expected base64, got: {error}.") from error
