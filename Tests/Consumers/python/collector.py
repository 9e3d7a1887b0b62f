"""A stand-in for a collector of traces: a stock gRPC server with OpenTelemetry's own messages."""

import concurrent.futures
import threading

import grpc
from agent import wait_until
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service


class Collector(service.TraceServiceServicer):
    """Keeps every export. `refusals`: statuses, with RetryInfo's trailers or none, for the first exports."""

    def __init__(self, address="127.0.0.1:0", credentials=None, refusals=()):
        self.lock = threading.Lock()
        self.exports, self.metadata = [], []
        self.refusals = list(refusals)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        service.add_TraceServiceServicer_to_server(self, self.server)
        if credentials:
            self.port = self.server.add_secure_port(address, credentials)
        else:
            self.port = self.server.add_insecure_port(address)
        self.server.start()

    def Export(self, request, context):
        with self.lock:
            self.metadata.append(dict(context.invocation_metadata()))
            if self.refusals:
                code = self.refusals.pop(0)
                context.abort(code, "not now")
            self.exports.append(request)
        return messages.ExportTraceServiceResponse()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.stop(0).wait()

    @property
    def spans(self):
        with self.lock:
            return [
                span
                for export in self.exports
                for resource in export.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]

    def of(self, trace_id, count=None):
        """The spans of a trace by their names, once its turn's have come."""

        def come():
            found = [span for span in self.spans if span.trace_id.hex() == trace_id]
            return found if found and (count is None or len(found) >= count) else None

        found = wait_until(come, f"the spans of {trace_id}", 30)
        return {span.name.split(" ")[0]: span for span in found}

    @property
    def bytes(self):
        with self.lock:
            return b"".join(export.SerializeToString() for export in self.exports)


def attributes(owner):
    """Of a span or a resource."""

    def value(any_value):
        kind = any_value.WhichOneof("value")
        if kind == "array_value":
            return [value(entry) for entry in any_value.array_value.values]
        return getattr(any_value, kind)

    return {entry.key: value(entry.value) for entry in owner.attributes}
