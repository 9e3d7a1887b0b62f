"""Writes the trained weights as a GGUF that llama.cpp loads.

usage: export.py WEIGHTS.npz OUTPUT.gguf
"""

import json
import sys

import gguf
import numpy as np

import tokenizer

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")

# What the matrices and norms of a layer are called in a GGUF of the llama architecture.
LAYER_NAMES = {"attention_norm": "attn_norm", "feed_norm": "ffn_norm", "query": "attn_q", "key": "attn_k",
               "value": "attn_v", "output": "attn_output", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}


def add_tensor(writer, name, values):
    """Matrices as Q8_0, in blocks of 32 values; the few values of a norm as they are."""
    values = values.astype(np.float32)
    if values.ndim == 1:
        writer.add_tensor(name, values)
    else:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)


def add_vocabulary(writer, tok):
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tok.vocabulary)
    writer.add_token_types([kinds.CONTROL if token in tokenizer.SPECIALS else
                            kinds.UNUSED if token.startswith("<|unused") else kinds.NORMAL
                            for token in tok.vocabulary])
    writer.add_token_merges([" ".join(merge) for merge in tok.merges])
    writer.add_eos_token_id(tok.ids[tokenizer.TURN_END])
    writer.add_eot_token_id(tok.ids[tokenizer.TURN_END])
    writer.add_pad_token_id(tok.ids[tokenizer.END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def main(weights_path, output):
    weights = np.load(weights_path)
    with open(weights_path + ".json") as file:
        about = json.load(file)
    shape = about["shape"]
    tok = tokenizer.Tokenizer(about["merges"], shape["vocabulary"])

    writer = gguf.GGUFWriter(output, "llama")
    writer.add_name("hearth-demo")
    writer.add_description("A very small model for demonstrations: made-up stories and a few simple facts")
    writer.add_license("CC0-1.0")
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["hidden"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["heads"])
    writer.add_rope_dimension_count(shape["width"] // shape["heads"])
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape["vocabulary"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    # What the backend draws with when a request does not say; lower than usual, for so small a model.
    writer.add_float32("general.sampling.temp", 0.5)
    add_vocabulary(writer, tok)

    # No output matrix: llama.cpp then uses the embedding, as the training did.
    add_tensor(writer, "token_embd.weight", weights["embedding"])
    add_tensor(writer, "output_norm.weight", weights["norm"])
    for i in range(shape["layers"]):
        for ours, theirs in LAYER_NAMES.items():
            add_tensor(writer, f"blk.{i}.{theirs}.weight", weights[f"layer{i}.{ours}"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
