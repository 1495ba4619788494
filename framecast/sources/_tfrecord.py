"""TFRecord files and the tf.Example messages in them, read and written without TensorFlow.

A record is: length (8 bytes, little endian), masked CRC-32C of those 8 bytes, data, masked CRC-32C of the data
(TensorFlow, `core/lib/io/record_writer.h`). A tf.Example is `{features: {feature: map<string, Feature>}}`, a Feature
one of bytes_list = 1, float_list = 2, int64_list = 3, each with `repeated value = 1` (`core/example/feature.proto`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import google_crc32c
import numpy as np

from framecast.atomic import replacing

Values = list[bytes] | np.ndarray  # bytes, or float32 (N,), or int64 (N,)
_BYTES, _FLOAT, _INT = 1, 2, 3
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5  # wire types


def masked_crc(data: bytes) -> int:
    """CRC-32C rotated by 15 bits plus a constant, as TFRecord stores it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path: Path) -> Iterator[tuple[int, bytes]]:
    """(byte offset, data) of every record, one in memory at a time.

    Raises:
        ValueError: the file is cut off, empty or damaged; names the file, the record (from 0) and the byte.
    """
    for number, (offset, _) in enumerate(spans(path)):
        yield offset, record_at(path, offset, number)


def spans(path: Path) -> Iterator[tuple[int, int]]:
    """(byte offset, bytes of data) of every record, found by their lengths alone: the data is not read.

    Raises:
        ValueError: the file is cut off or empty, or a length is damaged; as `records`.
    """
    offset, number, size = 0, 0, path.stat().st_size
    if size == 0:
        raise ValueError(f"{path} is empty. Copy or make it again.")
    with path.open("rb", buffering=0) as file:
        while offset < size:
            length = _length(file, path, offset, number)
            yield offset, length
            offset, number = offset + 16 + length, number + 1


def record_at(path: Path, offset: int, number: int) -> bytes:
    """The data of the record that starts at a byte offset.

    Raises:
        ValueError: as `records`.
    """
    with path.open("rb") as file:
        data = file.read(_length(file, path, offset, number))
        if masked_crc(data) != struct.unpack("<I", file.read(4))[0]:
            where = f"{path}, record {number} at byte {offset}"
            raise ValueError(f"{where}: wrong CRC of the data: the file is damaged. Copy or download it again.")
    return data


def _length(file: IO[bytes], path: Path, offset: int, number: int) -> int:
    """The length of the record at a byte offset; the file stands at its data afterwards."""
    where = f"{path}, record {number} at byte {offset}"
    file.seek(offset)
    head = file.read(12)
    if head[:2] == b"\x1f\x8b" and offset == 0:
        raise ValueError(f"{path} is compressed with gzip; only plain TFRecords are read. Unpack it with gunzip.")
    if len(head) < 12:
        raise ValueError(f"{where}: the file is cut off. Copy or download it again.")
    if masked_crc(head[:8]) != struct.unpack("<I", head[8:])[0]:
        raise ValueError(f"{where}: wrong CRC of the length: damaged or no TFRecord. Copy it again or take it out.")
    length = struct.unpack("<Q", head[:8])[0]
    if offset + 16 + length > os.fstat(file.fileno()).st_size:
        raise ValueError(f"{where}: the file is cut off ({length} bytes promised). Copy or download it again.")
    return length


def write_records(path: Path, data: Iterable[bytes]) -> None:
    """Writes a TFRecord file; it appears under its name only when it is whole."""
    with replacing(path) as partial, open(partial, "wb") as file:
        for record in data:
            length = struct.pack("<Q", len(record))
            for piece in (length, struct.pack("<I", masked_crc(length)), record, struct.pack("<I", masked_crc(record))):
                file.write(piece)


def parse_example(data: bytes, where: str) -> dict[str, memoryview]:
    """The fields of a tf.Example by name, not yet decoded (see `decode`): views into `data`, nothing is copied.

    Raises:
        ValueError: the bytes are no tf.Example.
    """
    found: dict[str, memoryview] = {}
    try:
        for features in _inside(memoryview(data), 1):
            for entry in _inside(features, 1):
                pair = {number: value for number, _, value in _fields(entry)}
                found[bytes(pair[1]).decode()] = memoryview(pair.get(2, b""))  # no value: an empty Feature
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{where} is not a tf.Example ({error}). Only records of tf.Example are read.") from None
    if not found:
        raise ValueError(f"{where} is not a tf.Example (it holds no field). Only records of tf.Example are read.")
    return found


def decode(feature: memoryview, where: str) -> Values:
    """The values of one field: a list of bytes, or float32 (N,), or int64 (N,). An empty field is an empty list.

    Raises:
        ValueError: the bytes are no Feature.
    """
    try:
        kind, values = 0, []
        for number, wire, value in _fields(feature):
            if number not in (_BYTES, _FLOAT, _INT) or wire != _LENGTH:
                raise ValueError(f"unknown list {number}")
            kind, values = number, list(_fields(value))
        if kind == _BYTES:
            return [bytes(value) for _, _, value in values]
        if kind == _FLOAT:  # packed: one run of bytes; unpacked: four bytes each. Joined they are the same
            return np.frombuffer(b"".join(value for _, _, value in values), "<f4").astype(np.float32)
        if kind == _INT:
            return np.concatenate([_integers(value) for _, _, value in values] or [np.empty(0, np.int64)])
        return []
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where} is not readable as tf.Example values ({error}). Make the file again.") from None


def _inside(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, wire, value in _fields(message):
        if number == wanted and wire == _LENGTH:
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """(field number, wire type, raw bytes) of each field of a protobuf message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            stop = _varint(message, position)[1]
        elif wire == _LENGTH:
            length, position = _varint(message, position)
            stop = position + length
        elif wire in (_EIGHT, _FOUR):
            stop = position + (8 if wire == _EIGHT else 4)
        else:
            raise ValueError(f"unknown wire type {wire}")
        if stop > len(message) or number == 0:
            raise ValueError("a field runs past the end")
        yield number, wire, message[position:stop]
        position = stop


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        value, position, shift = value | (byte & 127) << shift, position + 1, shift + 7
        if byte < 128:
            return value, position
    raise ValueError("a number is cut off")


def _integers(data: memoryview) -> np.ndarray:
    """A run of varints, 7 bits a byte, low first, the last below 128: int64 (N,)."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 128)
    if not raw.size:
        return np.empty(0, np.int64)
    if not ends.size or ends[-1] != raw.size - 1:
        raise ValueError("a number is cut off")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise ValueError("a number of more than 64 bits")
    shifts = 7 * (np.arange(raw.size) - np.repeat(starts, lengths))
    bits = (raw & 127).astype(np.uint64) << shifts.astype(np.uint64)
    return np.bitwise_or.reduceat(bits, starts).view(np.int64)


def serialise_example(fields: Mapping[str, list[bytes] | np.ndarray], packed: bool = True) -> bytes:
    """A tf.Example of lists of bytes, float arrays and integer arrays (flattened)."""
    entries = b"".join(
        _wrap(1, _wrap(1, name.encode()) + _wrap(2, _feature(values, packed))) for name, values in fields.items()
    )
    return _wrap(1, entries)


def _feature(values: list[bytes] | np.ndarray, packed: bool) -> bytes:
    if isinstance(values, list):
        return _wrap(_BYTES, b"".join(_wrap(1, value) for value in values))
    if values.dtype.kind == "f":
        kind, wire, pieces = _FLOAT, _FOUR, [struct.pack("<f", v) for v in values.ravel()]
    else:  # negative numbers are written as two's complement, ten bytes
        kind, wire, pieces = _INT, _VARINT, [_pack(int(v) & (1 << 64) - 1) for v in values.ravel()]
    if packed:
        return _wrap(kind, _wrap(1, b"".join(pieces)))
    return _wrap(kind, b"".join(_pack(1 << 3 | wire) + piece for piece in pieces))


def _wrap(number: int, data: bytes) -> bytes:
    return _pack(number << 3 | _LENGTH) + _pack(len(data)) + data


def _pack(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])
