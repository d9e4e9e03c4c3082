"""The little HTTP/1.1 a provider needs: requests out of bytes, heads and chunks into bytes. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

LARGEST_HEAD = 64 * 1024
LARGEST_BODY = 64 * 1024 * 1024

_LINE = re.compile(rb"(?P<method>[A-Z]+) (?P<target>\S+) HTTP/1\.1")


class HttpSyntaxError(Exception):
    """Bytes that are no HTTP/1.1 request, or one that is too large."""


@dataclass(frozen=True)
class HttpRequest:
    """One whole request. Not slotted: it caches its parts."""

    method: str
    target: str
    headers: Mapping[str, str]
    """By lower-case name; the last one where a name comes twice."""
    body: bytes = b""

    @cached_property
    def path(self) -> str:
        """The path of the target, as sent."""
        return urlsplit(self.target).path

    @cached_property
    def query(self) -> dict[str, str]:
        """The query of the target; the last value where a name comes twice."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may serve another request."""
        return self.headers.get("connection", "").lower() != "close"


class RequestReader:
    """Collects bytes until they make a request."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: HttpRequest | None = None

    def feed(self, data: bytes) -> None:
        """Add bytes as they come."""
        self._buffer += data

    def expects_continue(self) -> bool:
        """Tell, once for each request, whether its client waits for `100 Continue`."""
        if self._head is not None or not self._read_head():
            return False
        assert self._head is not None
        return self._head.headers.get("expect", "").lower() == "100-continue"

    def next(self) -> HttpRequest | None:
        """Return the next whole request and drop its bytes, or None as long as there is none.

        Raises:
            HttpSyntaxError: The bytes are no request that can be served.
        """
        if self._head is None and not self._read_head():
            return None
        head = self._head
        assert head is not None
        chunked = "chunked" in head.headers.get("transfer-encoding", "").lower()
        body = self._read_chunks() if chunked else self._read_length(head)
        if body is None:
            return None
        self._head = None
        return replace(head, body=body)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if max(end, len(self._buffer) if end < 0 else 0) > LARGEST_HEAD:
            raise HttpSyntaxError("the head of the request is too large")
        if end < 0:
            return False
        line, *fields = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise HttpSyntaxError("no HTTP/1.1 request line")
        pairs = (field.decode("latin-1").partition(":") for field in fields)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        target = parts["target"].decode("latin-1")
        self._head = HttpRequest(parts["method"].decode(), target, headers)
        return True

    def _read_length(self, head: HttpRequest) -> bytes | None:
        announced = head.headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > LARGEST_BODY:
            raise HttpSyntaxError("content-length is no number, or too large")
        length = int(announced)
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _read_chunks(self) -> bytes | None:
        """Return the body once its last chunk is here; it is read from the start each time until then."""
        if len(self._buffer) > LARGEST_BODY:
            raise HttpSyntaxError("the body is too large")
        body, position = bytearray(), 0
        while (end := self._buffer.find(b"\r\n", position)) >= 0:
            size_text = bytes(self._buffer[position:end]).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size_text):
                raise HttpSyntaxError("a chunk has no size")
            start, size = end + 2, int(size_text, 16)
            if size == 0:
                return self._after_last_chunk(start, body)
            if len(self._buffer) < start + size + 2:
                return None
            body += self._buffer[start : start + size]
            position = start + size + 2
        return None

    def _after_last_chunk(self, position: int, body: bytearray) -> bytes | None:
        """Skip the trailer lines up to the empty one."""
        while (end := self._buffer.find(b"\r\n", position)) >= 0:
            if end == position:
                del self._buffer[: end + 2]
                return bytes(body)
            position = end + 2
        return None


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

LAST_CHUNK = b"0\r\n\r\n"


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Spell the head of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:  # 529 is Anthropic's own.
        phrase = "Error"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Spell one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def half_chunk(data: bytes) -> bytes:
    """Spell a chunk that announces all of the data and holds half of it."""
    return b"%x\r\n%b" % (len(data), data[: len(data) // 2])
