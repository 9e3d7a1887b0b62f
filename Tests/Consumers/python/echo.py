"""What the backend `echo` must say, computed anew from its description in Backends/echo/README.md."""

import struct

from hearth.v1 import inference_pb2 as pb

MASK = (1 << 64) - 1


def adapter(name, content, scale=1.0):
    """What an adapter adds to the digest of a prompt."""
    return name.encode() + b"\0" + struct.pack("<f", scale) + content[:64]


def digest(prompt, variation=b""):
    """FNV-1a, 64 bits, of a text prompt, and of what adapters add to it."""
    value = 0xCBF29CE484222325
    for byte in prompt.encode() + variation:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def token_ids(seed, prompt, count, variation=b""):
    """The ids of the first `count` tokens: the upper 13 bits of SplitMix64's output."""
    state, ids = seed ^ digest(prompt, variation), []
    for index in range(1, count + 1):
        z = (state + index * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        ids.append((z ^ (z >> 31)) >> 51)
    return ids


def vector(text, count, pooling=0):
    """The numbers of a vector: the upper 24 bits of SplitMix64's output, from -1 to below 1."""
    state, numbers = pooling ^ digest(text), []
    for index in range(1, count + 1):
        z = (state + index * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(((z ^ (z >> 31)) >> 40) / 8_388_608 - 1)
    return numbers


def score(query, document):
    """What a document scores."""
    return 8 * vector(f"{query}\0{document}", 1)[0]


def _word(token_id):
    consonants, vowels = "bdfghklmnprtvwyz", "aeio"
    letters = consonants[token_id >> 8 & 15] + vowels[token_id >> 6 & 3]
    letters += consonants[token_id >> 2 & 15] + vowels[token_id & 3]
    return " " + letters + ("s" if token_id & 0x1000 else "")


WORDS = [_word(token_id) for token_id in range(8192)]


def request(prompt, model="echo", seed=0, max_tokens=None, ids=False, queue_events=False, **options):
    """A request whose answer `check` knows; `options` script echo's behaviour."""
    made = pb.GenerateRequest(model=model, text=prompt, wants_queue_events=queue_events)
    made.sampling.seed = seed
    if max_tokens is not None:
        made.stopping.max_tokens = max_tokens
    made.output.token_ids = ids
    for key, value in options.items():
        made.backend_options[key] = str(value)
    return made


def check(turn, request, variation=b""):
    """Every token of a turn that is over, by its id (where asked for) and its text, and the prompt's count."""
    assert turn.is_over
    expected = token_ids(request.sampling.seed, request.text, turn.tokens, variation)
    if request.output.token_ids:
        assert turn.token_ids == expected
    assert turn.text == "".join(WORDS[token_id] for token_id in expected)
    assert turn.usage.prompt_tokens == len(request.text.split())
