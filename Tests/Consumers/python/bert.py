"""BERT in numpy, as its authors describe it (arxiv.org/abs/1810.04805, github.com/google-research/bert), to compare with: tokens,
forward pass, pooling and a head for scores."""

import math
import struct
import unicodedata

import gguf
import numpy as np

PARTS = ("attn_q", "attn_k", "attn_v", "attn_output", "attn_output_norm", "ffn_up", "ffn_down", "layer_output_norm")


class Tokenizer:
    """WordPiece for texts in lower case."""

    def __init__(self, vocabulary):
        self.ids = {token: number for number, token in enumerate(vocabulary)}

    def words(self, text):
        text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
        spaced = ""
        for c in text:
            if c.isspace():
                spaced += " "
            elif unicodedata.category(c).startswith("P") or (c.isascii() and not c.isalnum()) or "\u4e00" <= c <= "\u9fff":
                spaced += f" {c} "
            elif not unicodedata.category(c).startswith("C"):
                spaced += c
        return spaced.split()

    def pieces(self, word):
        ids, begin = [], 0
        while begin < len(word):
            for end in range(len(word), begin, -1):
                piece = word[begin:end] if begin == 0 else "##" + word[begin:end]
                if piece in self.ids:
                    break
            else:
                return [self.ids["[UNK]"]]
            ids.append(self.ids[piece])
            begin = end
        return ids

    def __call__(self, *texts):
        """[CLS], and [SEP] behind each text."""
        ids = [self.ids["[CLS]"]]
        for text in texts:
            ids += [number for word in self.words(text) for number in self.pieces(word)] + [self.ids["[SEP]"]]
        return ids


class Bert:
    """The weights of a GGUF of 32-bit floats."""

    def __init__(self, path, heads):
        _, _, tensors = gguf.read(path.read_bytes())
        self.weights, self.heads = {}, heads
        for description, content in tensors:
            (length,) = struct.unpack_from("<Q", description)
            name = description[8 : 8 + length].decode()
            (dimensions,) = struct.unpack_from("<I", description, 8 + length)
            shape = struct.unpack_from(f"<{dimensions}Q", description, 12 + length)[::-1]
            self.weights[name] = np.frombuffer(content, np.float32, math.prod(shape)).reshape(shape).astype(np.float64)
        self.layers = sum(name.endswith(".attn_q.weight") for name in self.weights)

    def linear(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, x, name):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-12)
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def tokens(self, ids):
        """The vector of each token."""
        weights = self.weights
        x = weights["token_embd.weight"][ids] + weights["position_embd.weight"][: len(ids)] + weights["token_types.weight"][0]
        x = self.norm(x, "token_embd_norm")
        for layer in range(self.layers):
            q, k, v, out, out_norm, up, down, norm = (f"blk.{layer}.{part}" for part in PARTS)
            x = self.norm(x + self.linear(self.attention(*(self.linear(x, part) for part in (q, k, v))), out), out_norm)
            x = self.norm(x + self.linear(gelu(self.linear(x, up)), down), norm)
        return x

    def attention(self, q, k, v):
        q, k, v = (part.reshape(len(part), self.heads, -1).swapaxes(0, 1) for part in (q, k, v))
        scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        out = scores / scores.sum(axis=-1, keepdims=True) @ v
        return out.swapaxes(0, 1).reshape(out.shape[1], -1)

    def score(self, ids):
        """What the head makes of the first token."""
        return self.linear(np.tanh(self.linear(self.tokens(ids)[0], "cls")), "cls.output")[0]


def gelu(x):
    return x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def normalised(vector):
    return vector / np.linalg.norm(vector)
