"""Makes a GGUF of a reranker that is too small to know anything: its weights are drawn at random, always the same. For tests
of what a reranker is asked and answers.

usage: tiny_reranker.py OUTPUT.gguf [TEMPLATE]

TEMPLATE: what is read of {query} and {document}, in place of the usual.
"""

import random
import struct
import sys

import writing

WIDTH, HIDDEN, HEADS, LAYERS, CONTEXT = 32, 64, 4, 2, 128
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,?!"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = SPECIAL + list(LETTERS) + [f"##{letter}" for letter in LETTERS]


def main(output, template=None):
    draw = random.Random(20)
    tensors = {}

    def add(name, *shape, spread=0.3, middle=0.0):
        count = 1
        for length in shape:
            count *= length
        values = [draw.gauss(middle, spread) for _ in range(count)]
        tensors[name] = (list(shape), struct.pack(f"<{count}f", *values))

    def linear(name, outputs, inputs):
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    def norm(name):
        add(f"{name}.weight", WIDTH, middle=1.0)
        add(f"{name}.bias", WIDTH)

    add("token_embd.weight", len(VOCABULARY), WIDTH)
    add("position_embd.weight", CONTEXT, WIDTH)
    add("token_types.weight", 2, WIDTH)
    norm("token_embd_norm")
    for layer in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            linear(f"blk.{layer}.{part}", WIDTH, WIDTH)
        norm(f"blk.{layer}.attn_output_norm")
        linear(f"blk.{layer}.ffn_up", HIDDEN, WIDTH)
        linear(f"blk.{layer}.ffn_down", WIDTH, HIDDEN)
        norm(f"blk.{layer}.layer_output_norm")
    linear("cls", WIDTH, WIDTH)
    linear("cls.output", 1, WIDTH)
    pairs = writing.metadata(
        name="tiny-reranker",
        vocabulary=VOCABULARY,
        special={token: VOCABULARY.index(token) for token in SPECIAL},
        pooling="rank",
        layers=LAYERS,
        context=CONTEXT,
        width=WIDTH,
        hidden=HIDDEN,
        heads=HEADS,
        epsilon=1e-12,
    )
    if template is not None:
        pairs["tokenizer.chat_template.rerank"] = (writing.STRING, writing.string(template))
    writing.write(output, pairs, tensors)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
