"""Byte-level BPE in the form that a GGUF calls "gpt2": train it on texts, encode with it."""

import collections
import re

# The pre-tokenizer that llama.cpp applies for tokenizer.ggml.pre = "gpt-2", for text whose letters are ASCII.
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")

END_OF_TEXT, TURN_START, TURN_END = SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def printable_bytes():
    """A printable character for each byte: itself where it prints, else one from U+0100 on."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    return {b: chr(b) for b in keep} | {b: chr(256 + i) for i, b in enumerate(rest)}


SYMBOL = printable_bytes()


def train(texts, vocabulary_size):
    """Merges, most frequent pair first, until the vocabulary has `vocabulary_size` tokens with the special ones."""
    counts = collections.Counter(word for text in texts for word in WORDS.findall(text))
    words = {word: [SYMBOL[b] for b in word.encode()] for word in counts}
    merges = []
    while 256 + len(merges) + len(SPECIALS) < vocabulary_size:
        pairs = collections.Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[word]
        best, count = max(pairs.items(), key=lambda item: (item[1], item[0]), default=(None, 0))
        if count < 2:
            break
        merges.append(best)
        for symbols in words.values():
            i = 0
            while i < len(symbols) - 1:
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i:i + 2] = ["".join(best)]
                i += 1
    return merges


class Tokenizer:
    def __init__(self, merges, vocabulary_size):
        self.merges = [tuple(m) for m in merges]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.vocabulary = [SYMBOL[b] for b in range(256)] + [a + b for a, b in self.merges] + SPECIALS
        self.vocabulary += [f"<|unused{i}|>" for i in range(vocabulary_size - len(self.vocabulary))]
        self.ids = {token: i for i, token in enumerate(self.vocabulary)}
        self.cache = {}

    def encode(self, text):
        return [i for word in WORDS.findall(text) for i in self._word(word)]

    def _word(self, word):
        if word not in self.cache:
            symbols = [SYMBOL[b] for b in word.encode()]
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda pair: self.rank.get(pair, len(self.rank)))
                if best not in self.rank:
                    break
                i = next(i for i, pair in enumerate(zip(symbols, symbols[1:])) if pair == best)
                symbols[i:i + 2] = ["".join(best)]
            self.cache[word] = [self.ids[s] for s in symbols]
        return self.cache[word]

    def decode(self, ids):
        value = {symbol: byte for byte, symbol in SYMBOL.items()}
        parts = [self.vocabulary[i] for i in ids]
        return b"".join(p.encode() if p in SPECIALS or p.startswith("<|unused") else bytes(value[c] for c in p)
                        for p in parts).decode("utf-8", "replace")

    def conversation(self, turns):
        """Ids of a ChatML conversation and, for each, whether it is the model's to say (and so to learn)."""
        ids, learn = [], []

        def add(more, own):
            ids.extend(more)
            learn.extend([own] * len(more))

        for role, text in turns:
            if role == "text":
                add(self.encode(text) + [self.ids[END_OF_TEXT]], True)
                continue
            add([self.ids[TURN_START]] + self.encode(role + "\n"), False)
            add(self.encode(text) + [self.ids[TURN_END]], role == "assistant")
            add(self.encode("\n"), False)
        return ids, learn
