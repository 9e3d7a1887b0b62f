"""GGUF files, as far as tests change them (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""

import struct

# The bytes of a value, by its type; 8 is a string, 9 an array.
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
ALIGNMENT = 32


def split(path, folder, name, count):
    """Splits a model as llama-gguf-split does: the metadata goes into the first part, the tensors into all of them. Returns
    the paths of the parts."""
    metadata, pairs, tensors = read(path.read_bytes())
    parts = []
    for number in range(count):
        own = tensors[len(tensors) * number // count : len(tensors) * (number + 1) // count]
        head, head_pairs = (metadata, pairs) if number == 0 else (b"", 0)
        head += pair("split.no", 2, struct.pack("<H", number))
        head += pair("split.count", 2, struct.pack("<H", count))
        head += pair("split.tensors.count", 5, struct.pack("<i", len(tensors)))
        part = folder / f"{name}-{number + 1:05}-of-{count:05}.gguf"
        part.write_bytes(written(head, head_pairs + 3, own))
        parts.append(part)
    return parts


def read(data):
    """The metadata as they stand in the file, how many pairs these are, and for each tensor its description up to its offset
    and its bytes."""
    magic, version, tensor_count, pair_count = struct.unpack_from("<4sIQQ", data)
    assert magic == b"GGUF" and version == 3
    at = begin = 24
    for _ in range(pair_count):
        at = after_string(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        at = after_value(data, at + 4, kind)
    metadata = data[begin:at]
    described = []
    for _ in range(tensor_count):
        begin = at
        at = after_string(data, at)
        (dimensions,) = struct.unpack_from("<I", data, at)
        at += 4 + 8 * dimensions + 4
        (offset,) = struct.unpack_from("<Q", data, at)
        described.append((data[begin:at], offset))
        at += 8
    base = padded(at)
    ends = sorted(offset for _, offset in described) + [len(data) - base]
    return (
        metadata,
        pair_count,
        [(head, data[base + offset : base + min(end for end in ends if end > offset)]) for head, offset in described],
    )


def written(metadata, pair_count, tensors):
    head, body = metadata, b""
    for description, content in tensors:
        head += description + struct.pack("<Q", len(body))
        body += content + bytes(padded(len(content)) - len(content))
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), pair_count) + head
    return head + bytes(padded(len(head)) - len(head)) + body


def pair(key, kind, value):
    return string(key) + struct.pack("<I", kind) + value


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def padded(size):
    return -(-size // ALIGNMENT) * ALIGNMENT


def after_string(data, at):
    return at + 8 + struct.unpack_from("<Q", data, at)[0]


def after_value(data, at, kind):
    if kind == 8:
        return after_string(data, at)
    if kind != 9:
        return at + SIZES[kind]
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner in SIZES:
        return at + SIZES[inner] * count
    for _ in range(count):
        at = after_value(data, at, inner)
    return at
