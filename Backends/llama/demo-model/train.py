"""Trains the demo model: a llama of about a million parameters, in JAX, on one processor core.

usage: train.py OUTPUT.npz [STEPS]

Muon for the matrices of the layers, Adam for the embedding and the norms. Short rows first, rows of the whole context
in the last quarter. Writes the weights, and OUTPUT.npz.json with the tokenizer and the shape.
"""

import functools
import json
import math
import os
import random
import sys
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np

import corpus
import tokenizer

WIDTH, LAYERS, HEADS, HIDDEN, VOCABULARY, CONTEXT = 128, 4, 4, 384, 1024, 512
HEAD = WIDTH // HEADS
TOKENS_PER_STEP = 2048
SHORT_ROW, LONG_ROW, LONG_SHARE = 192, CONTEXT, 0.2
CONVERSATIONS = 60_000
PROMPT_WEIGHT = 0.05


def rows_of(conversations, length):
    """Whole conversations packed one after another into rows; what is left of a row does not count."""
    ids, weights = [], []
    row, row_weights = [], []
    for tokens, learn in conversations:
        if row and len(row) + len(tokens) > length + 1:
            pad = length + 1 - len(row)
            ids.append((row + [0] * pad)[:length + 1])
            weights.append((row_weights + [0.0] * pad)[:length + 1])
            row, row_weights = [], []
        row += tokens
        row_weights += [1.0 if own else PROMPT_WEIGHT for own in learn]
    return np.array(ids, np.int32), np.array(weights, np.float32)


def initial(key):
    def matrix(key, rows, columns, scale=1.0):
        return jax.random.normal(key, (rows, columns)) * scale / math.sqrt(columns)

    params = {"embedding": jax.random.normal(key, (VOCABULARY, WIDTH)) * 0.02, "norm": jnp.ones(WIDTH)}
    for i in range(LAYERS):
        k = jax.random.split(jax.random.fold_in(key, i), 7)
        params[f"layer{i}"] = {
            "attention_norm": jnp.ones(WIDTH), "feed_norm": jnp.ones(WIDTH),
            "query": matrix(k[0], WIDTH, WIDTH), "key": matrix(k[1], WIDTH, WIDTH),
            "value": matrix(k[2], WIDTH, WIDTH), "output": matrix(k[3], WIDTH, WIDTH, 0.1),
            "gate": matrix(k[4], HIDDEN, WIDTH), "up": matrix(k[5], HIDDEN, WIDTH),
            "down": matrix(k[6], WIDTH, HIDDEN, 0.1),
        }
    return params


def rotate(x):
    """Rotary positions on neighbouring pairs, base 10,000, as the llama architecture of llama.cpp has them."""
    n = x.shape[1]
    angle = np.arange(n)[:, None] * 10000.0 ** (-np.arange(0, HEAD, 2) / HEAD)[None]
    cos, sin = jnp.cos(angle)[None, :, None], jnp.sin(angle)[None, :, None]
    a, b = x[..., 0::2], x[..., 1::2]
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


def norm(x, weight):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5) * weight


def logits(params, ids):
    h = params["embedding"][ids]
    batch, n = ids.shape
    mask = jnp.tril(jnp.ones((n, n), bool))
    for i in range(LAYERS):
        p = params[f"layer{i}"]
        x = norm(h, p["attention_norm"])
        q, k, v = ((x @ p[m].T).reshape(batch, n, HEADS, HEAD) for m in ("query", "key", "value"))
        q, k, v = (t.transpose(0, 2, 1, 3) for t in (rotate(q), rotate(k), v))
        scores = jnp.where(mask, q @ k.transpose(0, 1, 3, 2) / math.sqrt(HEAD), -1e30)
        mixed = (jax.nn.softmax(scores, -1) @ v).transpose(0, 2, 1, 3).reshape(batch, n, WIDTH)
        h = h + mixed @ p["output"].T
        x = norm(h, p["feed_norm"])
        h = h + (jax.nn.silu(x @ p["gate"].T) * (x @ p["up"].T)) @ p["down"].T
    return norm(h, params["norm"]) @ params["embedding"].T


def loss(params, rows, weights):
    z, target, w = logits(params, rows[:, :-1]), rows[:, 1:], weights[:, 1:]
    each = jax.nn.logsumexp(z, -1) - jnp.take_along_axis(z, target[..., None], -1)[..., 0]
    return jnp.sum(each * w) / jnp.sum(w)


def orthogonal(g):
    """The nearest orthogonal matrix, roughly: five Newton-Schulz steps, which is what makes Muon Muon."""
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if g.shape[0] > g.shape[1] else x


@functools.partial(jax.jit, donate_argnums=(0, 1, 2))
def step(params, first, second, t, rate, rows, weights):
    value, grad = jax.value_and_grad(loss)(params, rows, weights)

    def update(path, p, m, v, g):
        if p.ndim == 2 and path[0].key != "embedding":
            m = 0.95 * m + g
            change = orthogonal(g + 0.95 * m) * 0.02 * math.sqrt(max(1, p.shape[0] / p.shape[1]))
            return p * (1 - 0.002 * rate) - rate * change, m, v
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        change = (m / (1 - 0.9 ** t)) / (jnp.sqrt(v / (1 - 0.99 ** t)) + 1e-8)
        return p - rate * 0.004 * change, m, v

    done = jax.tree_util.tree_map_with_path(update, params, first, second, grad)
    parts = [jax.tree.map(lambda u, i=i: u[i], done, is_leaf=lambda u: isinstance(u, tuple)) for i in range(3)]
    return *parts, value


def main(output, steps):
    rng = random.Random(7)
    started = time.monotonic()
    conversations = [corpus.conversation(rng) for _ in range(CONVERSATIONS)]
    texts = [text for turns in conversations[:6000] for _, text in turns]
    tok = tokenizer.Tokenizer(tokenizer.train(texts + ["system\n", "user\n", "assistant\n"], VOCABULARY), VOCABULARY)
    encoded = [tok.conversation(turns) for turns in conversations]
    total = sum(len(ids) for ids, _ in encoded)
    print(f"{total} tokens, {len(tok.vocabulary)} in the vocabulary, {time.monotonic() - started:.0f} s", flush=True)

    params = initial(jax.random.PRNGKey(0))
    print(sum(p.size for p in jax.tree.leaves(params)), "parameters", flush=True)
    first, second = jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params)
    data = {length: rows_of(encoded, length) for length in (SHORT_ROW, LONG_ROW)}
    pick = np.random.RandomState(1)
    started = time.monotonic()
    for t in range(1, steps + 1):
        length = LONG_ROW if t > steps * (1 - LONG_SHARE) else SHORT_ROW
        rows, weights = data[length]
        chosen = pick.randint(0, len(rows), TOKENS_PER_STEP // length)
        rate = min(1, t / 50) * min(1, 0.02 + (steps - t) / (0.6 * steps))
        params, first, second, value = step(params, first, second, t, rate, rows[chosen], weights[chosen])
        if t % 100 == 0 or t <= 3:
            print(f"step {t} of {steps}: loss {value:.4f}, {time.monotonic() - started:.0f} s", flush=True)

    flat = {(f"{k}.{n}" if isinstance(p, dict) else k): np.asarray(w)
            for k, p in params.items() for n, w in (p.items() if isinstance(p, dict) else [(k, p)])}
    np.savez(output, **flat)
    shape = dict(width=WIDTH, layers=LAYERS, heads=HEADS, hidden=HIDDEN, context=CONTEXT, vocabulary=VOCABULARY)
    with open(output + ".json", "w") as file:
        json.dump({"merges": tok.merges, "shape": shape}, file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4000)
