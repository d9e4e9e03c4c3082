"""A small receiver of OTLP over HTTP: it takes what is exported and keeps the spans."""

import gzip
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACES = "/v1/traces"


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it came over the wire."""

    name: str
    kind: str
    status: str
    span_id: str
    parent_id: str
    start_ns: int
    scope: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Receiver:
    """Listens on loopback from `with` on, and keeps what came."""

    _lock: Lock = field(default_factory=Lock)
    _spans: list[ReceivedSpan] = field(default_factory=list)
    _paths: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, name="otlp-receiver", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` is to say."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All spans so far, by the time they started."""
        with self._lock:
            return sorted(self._spans, key=lambda span: span.start_ns)

    @property
    def paths(self) -> list[str]:
        """Where something was posted to, in turn."""
        with self._lock:
            return list(self._paths)

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        with self._lock:
            self._paths.append(request.path)
            if request.path == TRACES:
                self._spans += _spans_of(ExportTraceServiceRequest.FromString(body))
        request.send_response(200)
        request.send_header("content-type", "application/x-protobuf")
        answer = ExportTraceServiceResponse().SerializeToString()
        request.send_header("content-length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)


def _spans_of(exported: ExportTraceServiceRequest) -> list[ReceivedSpan]:
    return [
        ReceivedSpan(
            name=span.name,
            kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            status=Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            start_ns=span.start_time_unix_nano,
            scope=of_scope.scope.name,
            attributes=_read(span.attributes),
            resource=_read(of_resource.resource.attributes),
        )
        for of_resource in exported.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _read(attributes: Any) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None
