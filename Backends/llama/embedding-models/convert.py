"""Makes a GGUF of a BERT that embeds, as sentence-transformers keeps it: a folder with config.json, vocab.txt,
model.safetensors of 32-bit floats, and 1_Pooling/config.json. The numbers are copied as they are.

usage: convert.py FOLDER OUTPUT.gguf
"""

import json
import pathlib
import struct
import sys

import writing

LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
WHOLE = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
# Only the pooling of the training used these; and the positions are counted.
UNUSED = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}


def name_of(name):
    """What a tensor is called in a GGUF; None: it is left out."""
    if name in UNUSED:
        return None
    if name in WHOLE:
        return WHOLE[name]
    words = name.split(".")
    part, kind = ".".join(words[3:-1]), words[-1]
    if words[:2] != ["encoder", "layer"] or part not in LAYER:
        sys.exit(f"convert.py: the tensor {name} belongs to no BERT that this script knows")
    return f"blk.{words[2]}.{LAYER[part]}.{kind}"


def safetensors(path):
    """The tensors of a file, each with its type, shape and bytes (https://github.com/huggingface/safetensors)."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    header.pop("__metadata__", None)
    for name, about in header.items():
        begin, end = about["data_offsets"]
        yield name, about["dtype"], about["shape"], data[begin:end]


def main(folder, output):
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    vocabulary = (folder / "vocab.txt").read_text().splitlines()
    modes = [mode for mode in ("mean_tokens", "cls_token") if pooling.get(f"pooling_mode_{mode}")]
    if config["model_type"] != "bert" or config["hidden_act"] != "gelu" or len(modes) != 1:
        sys.exit("convert.py: this is no BERT with GELU and one pooling, mean or CLS")
    tensors = {}
    for name, kind, shape, data in safetensors(folder / "model.safetensors"):
        made = name_of(name)
        if made is None:
            continue
        if kind != "F32":
            sys.exit(f"convert.py: the tensor {name} is of the type {kind}, and not F32")
        tensors[made] = (shape, data)
    pairs = writing.metadata(
        name=config.get("_name_or_path", folder.resolve().name),
        vocabulary=vocabulary,
        special={token: vocabulary.index(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")},
        pooling={"mean_tokens": "mean", "cls_token": "cls"}[modes[0]],
        layers=config["num_hidden_layers"],
        context=config["max_position_embeddings"],
        width=config["hidden_size"],
        hidden=config["intermediate_size"],
        heads=config["num_attention_heads"],
        epsilon=config["layer_norm_eps"],
    )
    writing.write(output, pairs, tensors)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
