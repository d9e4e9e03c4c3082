"""The parts of messages, in the JSON of the GenAI conventions: texts, reasoning, tools, media.

Reads the shapes of chat completions, of responses and of Anthropic's messages. Images, sounds and documents leave their
kind behind and nothing else. Whatever is malformed is left out; nothing here raises for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_otel.providers.reading import get

if TYPE_CHECKING:
    from llm_otel.providers.texts import Texts

Part = dict[str, Any]
"""`{"type": "text", "content": "Hello!"}`."""

_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "summary_text": "text", "refusal": "refusal"}
"""Kinds of parts that are text, and where it is."""
_REASONING = {"thinking": "thinking", "reasoning_text": "text"}
_OURS = frozenset({"reasoning", "tool_call", "tool_call_response", "server_tool_call", "blob", "file", "uri"})
"""What the conventions call parts: never the name of a part that they do not know."""
_TOOLS = ("tool_use", "tool_result")
_HEAD = 128
"""Characters of a `data:` address that hold its media type."""


def content_parts(content: Any, texts: Texts) -> list[Part]:
    """Return the parts of a message's `content`: a text, or a list of items."""
    if isinstance(content, str):
        return [text_part(content, texts)] if content else []
    return [part for item in listed(content) for part in item_parts(item, texts)]


def text_part(content: str, texts: Texts) -> Part:
    """Return the part of a text."""
    return {"type": "text", "content": texts.text(content)}


def reasoning_part(content: str, texts: Texts) -> Part:
    """Return the part of what a model thought aloud."""
    return {"type": "reasoning", "content": texts.text(content)}


def tool_call_part(call: Any, texts: Texts) -> Part:
    """Return the part of a call that the model asks for: OpenAI's, its custom tools', or Anthropic's."""
    function = field(call, "function") or field(call, "custom") or call
    arguments = _first(function, "arguments", "input")
    part: Part = {"type": "tool_call", "name": texts.text(_string(field(function, "name")) or "")}
    part["arguments"] = {} if arguments is None else texts.structured(arguments)
    return _with_id(part, _first(call, "call_id", "id"), texts)


def tool_response_part(call_id: Any, result: Any, texts: Texts) -> Part:
    """Return the part of what a tool answered: text, JSON, or parts of its own, which are no tools again."""
    items = [item for item in listed(result) if field(item, "type") not in _TOOLS]
    if items and all(isinstance(field(item, "type"), str) for item in items):
        response: Any = content_parts(items, texts)
    else:
        response = "" if result is None else texts.structured(result)
    return _with_id({"type": "tool_call_response", "response": response}, call_id, texts)


def server_tool_part(item: Any, kind: str, texts: Texts) -> Part:
    """Return the part of a tool that ran at the provider: which one, and nothing of what it did."""
    name = texts.text(_string(field(item, "name")) or kind)
    part: Part = {"type": "server_tool_call", "name": name, "server_tool_call": {"type": texts.text(kind)}}
    return _with_id(part, field(item, "id"), texts)


def item_parts(item: Any, texts: Texts) -> Iterator[Part]:
    """Yield what an item of a message's content is: one part, or none where it says nothing."""
    if isinstance(item, str):
        if item:
            yield text_part(item, texts)
        return
    kind = _string(field(item, "type"))
    if kind is None:
        return
    if kind in _TEXTS or kind in _REASONING:
        content = _text_of(field(item, (_TEXTS | _REASONING)[kind]))
        if content:
            yield reasoning_part(content, texts) if kind in _REASONING else text_part(content, texts)
    elif kind in _MEDIA:
        yield _MEDIA[kind](item, texts)
    elif kind == "tool_use":
        yield tool_call_part(item, texts)
    elif kind == "tool_result":
        yield tool_response_part(field(item, "tool_use_id"), field(item, "content"), texts)
    elif kind not in _OURS:
        yield _other_part(item, kind, texts)


def _other_part(item: Any, kind: str, texts: Texts) -> Part:
    """Return a part of a kind that is not known here: its name, and its text where it has one."""
    part: Part = {"type": texts.text(kind)}
    content = _text_of(field(item, "text"))
    return part | {"content": texts.text(content)} if content else part


# --- media ------------------------------------------------------------------------------------------------------------


def media_part(modality: str, texts: Texts, *, address: Any = None, file_id: Any = None, mime_type: Any = None) -> Part:
    """Return what is left of an image, a sound or a document: where it is, if that is somewhere else."""
    part: Part = {"type": "blob", "modality": modality, "content": ""}
    if (identity := _string(file_id)) is not None:
        part = {"type": "file", "modality": modality, "file_id": texts.text(identity)}
    elif (where := _string(address)) is not None and where.startswith("data:"):
        mime_type = where[5:_HEAD].partition(",")[0].partition(";")[0]
    elif where is not None and "://" in where[:_HEAD]:
        part = {"type": "uri", "modality": modality, "uri": texts.text(_without_secrets(where))}
    if (media_type := _string(mime_type)) is not None:
        part["mime_type"] = texts.text(media_type)
    return part


def _without_secrets(address: str) -> str:
    """Return an address without what gives access to it: user, query (signatures) and fragment."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return address.partition("://")[0] + "://"


def _image(item: Any, texts: Texts) -> Part:
    """Read OpenAI's two ways to send an image."""
    image = field(item, "image_url")
    return media_part(
        "image",
        texts,
        address=image if isinstance(image, str) else field(image, "url"),
        file_id=field(item, "file_id"),
        mime_type=field(image, "format"),
    )


def _video(item: Any, texts: Texts) -> Part:
    video = field(item, "video_url")
    return media_part("video", texts, address=video if isinstance(video, str) else field(video, "url"))


def _audio(item: Any, texts: Texts) -> Part:
    audio_format = _string(field(field(item, "input_audio"), "format"))
    return media_part("audio", texts, mime_type=f"audio/{audio_format}" if audio_format else None)


def _file(item: Any, texts: Texts) -> Part:
    """Read a file: chat completions have its facts one level deeper than responses."""
    file = field(item, "file") or item
    address = _first(file, "file_url", "file_data")
    return media_part(
        "document", texts, address=address, file_id=field(file, "file_id"), mime_type=field(file, "format")
    )


def _of_anthropic(modality: str) -> Callable[[Any, Texts], Part]:
    def read(item: Any, texts: Texts) -> Part:
        source = field(item, "source")
        return media_part(
            modality,
            texts,
            address=field(source, "url"),
            file_id=field(source, "file_id"),
            mime_type=field(source, "media_type"),
        )

    return read


_MEDIA: dict[str, Callable[[Any, Texts], Part]] = {
    "image_url": _image,
    "input_image": _image,
    "image": _of_anthropic("image"),
    "video_url": _video,
    "input_audio": _audio,
    "file": _file,
    "input_file": _file,
    "document": _of_anthropic("document"),
}


# --- reading ----------------------------------------------------------------------------------------------------------


def field(source: Any, name: str) -> Any:
    """Read a field; quick for dictionaries, which conversations mostly are, where `get` is for objects."""
    return source.get(name) if isinstance(source, dict) else get(source, name)


def listed(value: Any) -> Sequence[Any]:
    """Return a list as it is, and nothing for anything else."""
    return value if isinstance(value, (list, tuple)) else ()


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _text_of(value: Any) -> str | None:
    """Return a text that stands by itself, or as the `value` of an object (OpenAI's assistants)."""
    return _string(value) or _string(field(value, "value"))


def _first(source: Any, *names: str) -> Any:
    return next((found for name in names if (found := field(source, name)) is not None), None)


def _with_id(part: Part, identity: Any, texts: Texts) -> Part:
    """Add the id of a tool's call, where there is one: it ties the answer to the call."""
    known = _string(identity)
    return part if known is None else part | {"id": texts.text(known)}
