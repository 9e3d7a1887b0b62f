"""Protocol Buffers byte by byte (protobuf.dev, "Encoding"), for messages that no library would write."""

VARINT, FIXED64, BYTES, GROUP, GROUP_END, FIXED32 = range(6)


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def varint_at(message, at):
    """The number that begins there, and where the next thing does."""
    value = shift = 0
    while True:
        byte = message[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at


def tag(number, kind):
    return varint(number << 3 | kind)


def field(number, value):
    """A number, or bytes, a message or a text in UTF-8."""
    if isinstance(value, int):
        return tag(number, VARINT) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return tag(number, BYTES) + varint(len(value)) + value


def filled(piece, byte_count, before=b""):
    """As many equal pieces as fit."""
    return before + piece * ((byte_count - len(before)) // len(piece))


def numbers(message):
    """The fields of a message that are numbers, (number, value)."""
    at = 0
    while at < len(message):
        key, at = varint_at(message, at)
        kind = key & 7
        assert kind in (VARINT, BYTES), f"a field of kind {kind}"
        value, at = varint_at(message, at)
        if kind == VARINT:
            yield key >> 3, value
        else:
            at += value
