"""The kit for backends in Python: write an Engine, and run(Engine()) serves it.

It needs Python 3.9 or later and protobuf 3.20 or later (Debian: python3-protobuf), and the messages that lie beside it
in hearth/. Frames, the handshake, credit, pings, cancels, the longest length, the end of the context, one token a step
where the agent looks for stop strings, batches, drain and the end of the process are the kit's.

A thread of the kit's own reads and writes the socket and answers pings, also while a step computes; everything of the
engine is called by the thread that called run. What is printed is the log (`hearth logs NAME`).
"""

import collections
import os
import select
import socket
import struct
import sys
import threading
import time
import traceback

from hearth.backend.v1 import backend_pb2 as messages

AGENT = 3  # The descriptor of the socket.
FRAME_BYTES_MAX = 8 << 20  # Of the agent.
BATCH_BYTES_MAX = 256 << 10
TOKEN_TEXT_BYTES_MAX = 1024
STEP_TOKENS_MAX = 128  # Of a sequence.
FAULT_BYTES_MAX = 1024
UNSENT_BYTES_MAX = 1 << 20  # With more than this waiting no step is computed.
READ_BYTES_MAX = 128 << 10
# Capabilities whose messages or fields this kit has no functions for.
UNSERVED = {"embed", "inspect", "logprobs", "reasoning", "rerank", "stop_strings", "tokenize", "tools"}

INVALID_ARGUMENT = messages.Fault.CODE_INVALID_ARGUMENT
CONTEXT_OVERFLOW = messages.Fault.CODE_CONTEXT_OVERFLOW
UNSUPPORTED = messages.Fault.CODE_UNSUPPORTED
OVERLOADED = messages.Fault.CODE_OVERLOADED
INTERNAL = messages.Fault.CODE_INTERNAL
BAD_MODEL = messages.Fault.CODE_BAD_MODEL

STOP, LENGTH, CANCELLED = 1, 2, 3  # hearth.v1.FinishReason


class Fault(Exception):
    """Why something cannot be done: a code, and one sentence that names the thing and the remedy. Consumers see it."""

    def __init__(self, code, sentence):
        super().__init__(sentence)
        self.message = messages.Fault(
            code=code, message=sentence.encode()[:FAULT_BYTES_MAX].decode(errors="ignore")
        )


class Model:
    """What `Engine.load` offers: the tokens of a prompt and a completion together, and the sequences at once."""

    def __init__(self, context_tokens, max_sequences):
        self.context_tokens = context_tokens
        self.max_sequences = max_sequences


class Engine:
    """A model that computes. Subclass it. A Fault that is raised by load or step ends the process."""

    name = "engine"  # 1 to 64 letters, digits, '.', '_' and '-'.
    version = "1"
    # Beyond completions of texts; see Hello in backend.proto. "count_tokens" has a method here, "continue" an argument.
    capabilities = ()

    def load(self, load, progress):
        """Loads the model that `load` (hearth.backend.v1.Load) names, and returns a Model, which may not offer more than
        it asks for. Weights are the open descriptor load.weights_descriptor, where load has one. Loading may call
        progress with a fraction from 0 to 1, as often as it likes."""
        raise NotImplementedError

    def start(self, sequence, request, scope, generated=()):
        """Begins a sequence, a number below max_sequences that is free, with a hearth.v1.GenerateRequest, and returns how
        many tokens its prompt has: a number, or a pair of all and of those that came from a cache. Only state that was
        computed for the same scope may be used again, and none where it is empty. Raise a Fault to refuse it. Leave the
        computing to `step`.

        `generated` is given only where capabilities has "continue": the tokens of this completion that an earlier process
        computed and sent. Go on behind them as that process would have, and emit none of them; the kit counts them."""
        raise NotImplementedError

    def step(self, step):
        """Computes one step for all of step.sequences. Never called without one."""
        raise NotImplementedError

    def end(self, sequence):
        """The sequence has ended, for whatever reason, and its number is free. Not called for one that start refused."""

    def count_tokens(self, request):
        """The tokens of the prompt of a request, where capabilities has "count_tokens"."""
        raise Fault(UNSUPPORTED, f"{self.name} does not count tokens")


class _Sequence:
    """A sequence that runs."""

    def __init__(self, request, credit, prompt, cached, generated, context_tokens):
        self.credit = credit
        self.sent = generated
        self.is_cancelled = False
        self.finish = None
        self.prompt, self.cached = prompt, cached
        stopping = request.stopping
        room = context_tokens - prompt
        self.tokens_max = min(room, stopping.max_tokens) if stopping.HasField("max_tokens") else room
        self.one_a_step = bool(stopping.stop)
        self.run = None


class Step:
    """What one step gives. Its methods are the engine's, within Engine.step."""

    def __init__(self, kit, running):
        self._kit = kit
        self._running = running
        self.sequences = [number for number, each in running.items() if self._room(each) > 0 and not each.is_cancelled]

    def room(self, sequence):
        """How many more tokens the sequence takes in this step."""
        each = self._running[sequence]
        return 0 if each.finish else self._room(each)

    def is_cancelled(self, sequence):
        """Whether nobody waits for the sequence any more: a long step may leave it out."""
        return self._running[sequence].is_cancelled

    def emit(self, sequence, token, text):
        """Gives a token and its text, str or bytes, which may begin and end within a character."""
        each = self._running[sequence]
        if self.room(sequence) <= 0:
            raise ValueError(f"the sequence {sequence} takes no more tokens in this step")
        content = text.encode() if isinstance(text, str) else bytes(text)
        if len(content) > TOKEN_TEXT_BYTES_MAX:
            raise ValueError(f"a token has {len(content)} bytes of text; at most {TOKEN_TEXT_BYTES_MAX}")
        run = self._run(sequence)
        run.token_ids.append(token)
        run.text += content
        each.credit -= 1
        each.sent += 1
        if each.sent == each.tokens_max:
            each.finish = messages.Finish(reason=LENGTH)

    def finish(self, sequence, stop_token=None):
        """Ends the sequence: the model ended its turn, or met one of the request's stop tokens, which is not emitted."""
        finish = messages.Finish(reason=STOP)
        if stop_token is not None:
            finish.stop_token_id = stop_token
        self._end(sequence, finish)

    def fail(self, sequence, fault):
        """Ends the sequence with a Fault."""
        self._end(sequence, messages.Finish(fault=fault.message))

    def attend(self):
        """Notes that a part of a long step was computed, so that the agent does not take the step for hung."""
        self._kit.steps += 1

    def _room(self, each):
        emitted = len(each.run.token_ids) if each.run else 0
        most = 1 if each.one_a_step else STEP_TOKENS_MAX
        return min(each.credit, each.tokens_max - each.sent, most - emitted)

    def _run(self, sequence):
        each = self._running[sequence]
        if each.run is None:
            each.run = messages.TokenRun(sequence=sequence)
        return each.run

    def _end(self, sequence, finish):
        each = self._running[sequence]
        # One that has come to its longest length has ended with that.
        each.finish = each.finish or finish


class _Socket(threading.Thread):
    """Reads and writes the socket: answers pings, notes credit and cancels, and hands on what the engine has to see."""

    def __init__(self, kit):
        super().__init__(daemon=True)
        self.kit = kit
        self.agent = socket.socket(fileno=AGENT)
        self.agent.setblocking(False)
        self.woken, self.waking = socket.socketpair()
        self.woken.setblocking(False)
        self.waking.setblocking(False)
        self.lock = threading.Lock()
        self.unsent = bytearray()
        self.status = None  # With which the process ends once all is sent.
        self.deadline = None

    def send(self, **body):
        envelope = messages.BackendEnvelope(**body).SerializeToString()
        with self.lock:
            self.unsent += struct.pack(">I", len(envelope)) + envelope
        self.wake()

    def wake(self):
        try:
            self.waking.send(b"x")
        except BlockingIOError:
            pass  # It is awake.

    def end(self, status, seconds=1.0):
        """Ends the process once all is sent, or after a while."""
        self.status = status
        self.deadline = time.monotonic() + seconds
        self.wake()

    def run(self):
        try:
            self.serve()
        except Exception:
            traceback.print_exc()
        os._exit(1)

    def serve(self):
        received = bytearray()
        poll = select.poll()
        poll.register(self.woken, select.POLLIN)
        while True:
            poll.register(self.agent, select.POLLIN | (select.POLLOUT if self.unsent else 0))
            left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic()) * 1000
            ready = dict(poll.poll(left))
            if self.woken.fileno() in ready:
                self.woken.recv(READ_BYTES_MAX)
            self.write()
            if self.status is not None and not self.unsent:
                os._exit(self.status)
            if self.deadline is not None and time.monotonic() >= self.deadline:
                os._exit(self.status or 0)
            if ready.get(self.agent.fileno()):
                self.read(received)

    def write(self):
        with self.lock:
            try:
                while self.unsent:
                    del self.unsent[: self.agent.send(self.unsent[:READ_BYTES_MAX])]
            except BlockingIOError:
                return
            except OSError:
                os._exit(0)  # The agent has gone.
        with self.kit.changed:
            self.kit.changed.notify()

    def read(self, received):
        try:
            part = self.agent.recv(READ_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            sys.stdout.flush()
            os._exit(0)
        received += part
        at = 0
        while len(received) - at >= 4:
            (length,) = struct.unpack_from(">I", received, at)
            if not 0 < length <= FRAME_BYTES_MAX:
                raise ValueError(f"the agent sent a frame of {length} bytes")
            if len(received) - at < 4 + length:
                break
            envelope = messages.AgentEnvelope.FromString(bytes(received[at + 4 : at + 4 + length]))
            self.take(envelope.WhichOneof("body"), envelope)
            at += 4 + length
        del received[:at]

    def take(self, kind, envelope):
        kit = self.kit
        if kind == "ping":
            with kit.changed:
                pong = messages.Pong(
                    nonce=envelope.ping.nonce, steps=kit.steps, tokens=kit.tokens, sequences=len(kit.running)
                )
            return self.send(pong=pong)
        if kind == "reject":
            print(f"the agent refused: {envelope.reject.reason}", file=sys.stderr)
            return self.end(1)
        with kit.changed:
            if kind == "cancel":
                each = kit.running.get(envelope.cancel.sequence)
                if each:
                    each.is_cancelled = True
            if kind == "shutdown":
                kit.is_draining = True
                self.deadline = time.monotonic() + envelope.shutdown.grace_milliseconds / 1000
            elif kind is not None:
                kit.heard.append((kind, envelope))
            kit.changed.notify()


class _Kit:
    """The state that both threads share, under the lock of `changed`; and the engine's thread."""

    def __init__(self, engine):
        self.engine = engine
        self.changed = threading.Condition()
        self.heard = collections.deque()
        self.running = {}
        self.steps = 0
        self.tokens = 0
        self.is_draining = False
        self.model = None
        self.socket = _Socket(self)

    def serve(self):
        engine = self.engine
        hello = messages.Hello(
            min_revision=1, max_revision=2, name=engine.name, version=engine.version, capabilities=engine.capabilities
        )
        self.socket.start()
        self.socket.send(hello=hello)
        while True:
            with self.changed:
                self.changed.wait_for(self.has_work)
                heard = list(self.heard)
                self.heard.clear()
                if self.is_draining and not self.running and not heard:
                    return
            for kind, envelope in heard:
                getattr(self, "take_" + kind)(getattr(envelope, kind))
            self.end_cancelled()
            if self.can_step():
                self.step()

    def has_work(self):
        is_idle = self.is_draining and not self.running
        is_cancelled = any(each.is_cancelled for each in self.running.values())
        return self.heard or is_idle or is_cancelled or self.can_step()

    def can_step(self):
        return len(self.socket.unsent) < UNSENT_BYTES_MAX and any(
            each.credit > 0 and not each.is_cancelled for each in self.running.values()
        )

    def take_welcome(self, welcome):
        pass

    def take_load(self, load):
        told = [0.0]

        def progress(fraction):
            now = time.monotonic()
            if now - told[0] >= 0.1:
                told[0] = now
                self.socket.send(load_progress=messages.LoadProgress(fraction=min(max(fraction, 0.0), 1.0)))

        self.model = self.engine.load(load, progress)
        model = self.model
        if load.context_tokens and model.context_tokens > load.context_tokens or model.max_sequences > load.max_sequences:
            raise Fault(
                INTERNAL,
                f"the engine offers {model.context_tokens} tokens and {model.max_sequences} sequences, and may offer"
                f" {load.context_tokens or 'any number'} and {load.max_sequences}",
            )
        loaded = messages.Loaded(max_context_tokens=model.context_tokens, max_sequences=model.max_sequences)
        self.socket.send(loaded=loaded)

    def take_start(self, start):
        generated = list(start.generated_token_ids)
        try:
            self.check_generated(start.request.stopping, len(generated))
            arguments = (generated,) if generated else ()
            prompt = self.engine.start(start.sequence, start.request, bytes(start.cache_scope), *arguments)
        except Fault as fault:
            return self.send_finish(start.sequence, messages.Finish(fault=fault.message))
        prompt, cached = prompt if isinstance(prompt, tuple) else (prompt, 0)
        context = self.model.context_tokens
        if prompt + len(generated) >= context:
            self.engine.end(start.sequence)
            sentence = (
                f"the prompt has {prompt} tokens and the context {context}, of which one is for the completion;"
                " shorten the prompt"
            )
            if prompt < context:
                sentence = (
                    f"the prompt has {prompt} tokens, {len(generated)} were generated, and the context has {context};"
                    " shorten the prompt, or ask for fewer tokens"
                )
            fault = Fault(CONTEXT_OVERFLOW, sentence)
            return self.send_finish(
                start.sequence, messages.Finish(fault=fault.message, prompt_tokens=prompt)
            )
        each = _Sequence(start.request, start.credit, prompt, cached, len(generated), context)
        with self.changed:
            self.running[start.sequence] = each
        if each.tokens_max <= 0:
            self.finish(start.sequence, messages.Finish(reason=LENGTH))

    def check_generated(self, stopping, count):
        """Raises a Fault where nothing goes on behind so many tokens of an earlier process."""
        if count and "continue" not in self.engine.capabilities:
            raise Fault(
                UNSUPPORTED,
                f"{self.engine.name} does not go on with a completion that an earlier process began; begin anew",
            )
        if count and stopping.HasField("max_tokens") and count >= stopping.max_tokens:
            raise Fault(
                INVALID_ARGUMENT,
                f"generated_token_ids has {count} tokens of at most {stopping.max_tokens}, stopping.max_tokens; nothing"
                " is left to compute",
            )

    def take_credit(self, credit):
        # One for a sequence that has ended crossed its end on the way.
        if credit.sequence in self.running:
            self.running[credit.sequence].credit += credit.tokens

    def take_cancel(self, cancel):
        # It may have come together with its Start.
        if cancel.sequence in self.running:
            self.running[cancel.sequence].is_cancelled = True

    def take_count_tokens(self, asked):
        try:
            answer = messages.TokenCount(query=asked.query, tokens=self.engine.count_tokens(asked.request))
        except Fault as fault:
            answer = messages.TokenCount(query=asked.query, fault=fault.message)
        self.socket.send(token_count=answer)

    def end_cancelled(self):
        for sequence in [number for number, each in self.running.items() if each.is_cancelled]:
            self.finish(sequence, messages.Finish(reason=CANCELLED))

    def step(self):
        step = Step(self, self.running)
        if not step.sequences:
            return
        self.engine.step(step)
        batch, size = messages.TokenBatch(), 0
        for sequence in step.sequences:
            each = self.running[sequence]
            if each.run is None and each.finish is None:
                continue
            run = each.run or messages.TokenRun(sequence=sequence)
            each.run = None
            with self.changed:
                self.tokens += len(run.token_ids)
            if each.finish:
                run.finish.CopyFrom(self.ended(sequence, each.finish))
            if size and size + run.ByteSize() > BATCH_BYTES_MAX:
                self.socket.send(tokens=batch)
                batch, size = messages.TokenBatch(), 0
            batch.runs.append(run)
            size += run.ByteSize()
        with self.changed:
            self.steps += 1
        if size:
            self.socket.send(tokens=batch)

    def ended(self, sequence, finish):
        """Frees the sequence; its finish, with its counts."""
        with self.changed:
            each = self.running.pop(sequence)
        self.engine.end(sequence)
        finish.prompt_tokens, finish.cached_prompt_tokens = each.prompt, each.cached
        return finish

    def finish(self, sequence, finish):
        self.send_finish(sequence, self.ended(sequence, finish))

    def send_finish(self, sequence, finish):
        run = messages.TokenRun(sequence=sequence, finish=finish)
        self.socket.send(tokens=messages.TokenBatch(runs=[run]))


def run(engine):
    """Serves the engine until the agent ends the process. Does not return. Ends at once where the engine names a capability
    that this kit cannot serve."""
    unserved = sorted(UNSERVED.intersection(engine.capabilities))
    if unserved:
        sys.exit(f"{engine.name}: this kit cannot serve the capability '{unserved[0]}'; take it out of `capabilities`")
    sys.stdout.reconfigure(line_buffering=True)
    kit = _Kit(engine)
    status = 0
    try:
        kit.serve()
    except Fault as fault:
        print(f"{engine.name}: {fault}", file=sys.stderr)
        kit.socket.send(fatal=fault.message)
        status = 1
    except Exception as error:
        traceback.print_exc()
        kit.socket.send(fatal=Fault(INTERNAL, f"{engine.name} failed: {error!r}").message)
        status = 1
    sys.stdout.flush()
    kit.socket.end(status)
    kit.socket.join()
