#!/usr/bin/python3
"""A backend in a page: a model of letters, which draws each byte by what followed the one before in its weights, or in a
sentence of its own where it has none. With numpy it computes all sequences of a step at once."""

import random
import sys

sys.path[:0] = sys.argv[1:]  # The folders of the kit and of its libraries, which the manifest names.

import hearth_backend  # noqa: E402

try:
    import numpy
except ImportError:
    numpy = None

SENTENCE = b"the fire warms the house, and the house keeps the fire. "


class Letters(hearth_backend.Engine):
    name = "letters"
    version = "1"
    capabilities = ["count_tokens", "continue"]

    def load(self, load, progress):
        text = SENTENCE
        if load.HasField("weights_descriptor"):
            with open(load.weights_descriptor, "rb") as weights:
                text = weights.read()
        self.followers = [[0] * 256 for _ in range(256)]
        for one, other in zip(text, text[1:]):
            self.followers[one][other] += 1
        self.counts = [sum(row) for row in self.followers]
        if numpy:
            self.sums = numpy.cumsum(numpy.array(self.followers), axis=1)
        self.sequences = {}
        return hearth_backend.Model(min(load.context_tokens or 4096, 4096), min(load.max_sequences, 16))

    def count_tokens(self, request):
        if request.WhichOneof("prompt") != "text":
            raise hearth_backend.Fault(hearth_backend.UNSUPPORTED, "letters takes text only")
        return len(request.text.encode())

    def start(self, sequence, request, scope, generated=()):
        count = self.count_tokens(request)
        chance = random.Random(request.sampling.seed if request.sampling.HasField("seed") else None)
        last = request.text.encode()[-1]
        for letter in generated:  # Each was drawn, by a process that has ended.
            if letter > 255 or not self.followers[last][letter]:
                raise hearth_backend.Fault(hearth_backend.INVALID_ARGUMENT, f"letters writes no {letter} behind {last}")
            chance.randrange(self.counts[last])
            last = letter
        self.sequences[sequence] = [last, chance, frozenset(request.stopping.stop_token_ids)]
        return count

    def end(self, sequence):
        del self.sequences[sequence]

    def step(self, step):
        # What has a follower, and the number of the one that is drawn.
        running = [(number, self.sequences[number]) for number in step.sequences]
        sums = [self.counts[last] for _, (last, _, _) in running]
        drawn = [chance.randrange(most) if most else 0 for (_, (_, chance, _)), most in zip(running, sums)]
        if numpy:
            rows = self.sums[[last for _, (last, _, _) in running]]
            letters = (rows <= numpy.array(drawn)[:, None]).sum(axis=1).tolist()
        else:
            letters = [self.letter(last, left) for (_, (last, _, _)), left in zip(running, drawn)]
        for (number, state), most, letter in zip(running, sums, letters):
            if not most:
                step.finish(number)
            elif letter in state[2]:
                step.finish(number, stop_token=letter)
            else:
                state[0] = letter
                step.emit(number, letter, bytes([letter]))

    def letter(self, last, left):
        for letter, times in enumerate(self.followers[last]):
            if left < times:
                return letter
            left -= times
        return 0


hearth_backend.run(Letters())
