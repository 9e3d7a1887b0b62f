"""Writes GGUF files of the architecture "bert" (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), with nothing but
Python's own library."""

import struct

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
ALIGNMENT = 32
# Kinds of tokens.
NORMAL, CONTROL = 1, 3
POOLING = {"mean": 1, "cls": 2, "last": 3, "rank": 4}


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def number(value):
    return UINT32, struct.pack("<I", value)


def strings(values):
    return ARRAY, struct.pack("<IQ", STRING, len(values)) + b"".join(map(string, values))


def numbers(values):
    return ARRAY, struct.pack("<IQ", INT32, len(values)) + struct.pack(f"<{len(values)}i", *values)


def metadata(name, vocabulary, special, pooling, layers, context, width, hidden, heads, epsilon):
    """The pairs of a model. `vocabulary`: WordPiece tokens as BERT names them, "##" before those that continue a word.
    `special`: the tokens of these names among them."""
    controls = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

    def spelt(token):
        # llama.cpp marks what begins a word, and not what continues it.
        if token in controls:
            return token
        return token[2:] if token.startswith("##") else "\u2581" + token

    return {
        "general.architecture": (STRING, string("bert")),
        "general.name": (STRING, string(name)),
        "general.file_type": number(0),
        "bert.block_count": number(layers),
        "bert.context_length": number(context),
        "bert.embedding_length": number(width),
        "bert.feed_forward_length": number(hidden),
        "bert.attention.head_count": number(heads),
        "bert.attention.layer_norm_epsilon": (FLOAT32, struct.pack("<f", epsilon)),
        "bert.attention.causal": (BOOL, b"\0"),
        "bert.pooling_type": number(POOLING[pooling]),
        "tokenizer.ggml.model": (STRING, string("bert")),
        "tokenizer.ggml.pre": (STRING, string("default")),
        "tokenizer.ggml.token_type_count": number(2),
        "tokenizer.ggml.tokens": strings([spelt(token) for token in vocabulary]),
        "tokenizer.ggml.token_type": numbers([CONTROL if token in controls else NORMAL for token in vocabulary]),
        "tokenizer.ggml.padding_token_id": number(special["[PAD]"]),
        "tokenizer.ggml.unknown_token_id": number(special["[UNK]"]),
        "tokenizer.ggml.bos_token_id": number(special["[CLS]"]),
        "tokenizer.ggml.seperator_token_id": number(special["[SEP]"]),
        "tokenizer.ggml.mask_token_id": number(special["[MASK]"]),
    }


def write(path, pairs, tensors):
    """`tensors`: names with shapes, rows first, and the bytes of 32-bit floats."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(pairs))
    for key, (kind, value) in pairs.items():
        head += string(key) + struct.pack("<I", kind) + value
    offset = 0
    for name, (shape, data) in tensors.items():
        head += string(name) + struct.pack("<I", len(shape))
        # The length of a row comes first.
        head += struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", 0, offset)
        offset += padded(len(data))
    with open(path, "wb") as file:
        file.write(head + bytes(padded(len(head)) - len(head)))
        for _, data in tensors.values():
            file.write(data)
            file.write(bytes(padded(len(data)) - len(data)))


def padded(size):
    return -(-size // ALIGNMENT) * ALIGNMENT
