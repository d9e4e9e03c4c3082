"""The wire formats: what a request means, how an answer and its usage are spelled, by each provider."""

import json

import pytest

from llm_otel.demo.simulator import Finish, Reply, ToolCall
from llm_otel.demo.simulator.compose import Draft, Stamp, compose
from llm_otel.demo.simulator.prompt_cache import CacheUse
from llm_otel.demo.simulator.wires import anthropic, gemini, ollama, openai
from llm_otel.demo.simulator.wires.fields import IMAGE_TOKENS

WIRES = {"openai": openai, "anthropic": anthropic, "gemini": gemini, "ollama": ollama}
PATHS = {"gemini": "/v1beta/models/gemini-2.5-flash:generateContent"}
MESSAGES = [{"role": "user", "content": "Hello!"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CALL = ToolCall("get_weather", {"city": "Oslo"})

COUNTED = Reply(
    "Hi there",
    input_tokens=3000,
    cached_tokens=1000,
    cache_write_tokens=700,
    cache_write_1h_tokens=200,
    audio_input_tokens=40,
    output_tokens=100,
    reasoning_tokens=60,
    audio_output_tokens=30,
)

each_provider = pytest.mark.parametrize("provider", list(WIRES))


def request_of(provider, *, stream=False, **more):
    """Return a parsed request."""
    match provider:
        case "openai" | "ollama":
            body = {"model": "m", "messages": MESSAGES, "stream": stream, **more}
            path = "/"
        case "anthropic":
            body = {"model": "m", "messages": MESSAGES, "max_tokens": 4000, "stream": stream, **more}
            path = "/"
        case _:
            body = {"contents": [{"role": "user", "parts": [{"text": "Hello!"}]}], **more}
            path = PATHS["gemini"]
            path = path.replace("generate", "streamGenerate") if stream else path
    return WIRES[provider].parse(path, body)


def answer_of(provider, reply, **more):
    """Return the answer to a request."""
    request = request_of(provider, **more)
    return compose(Draft(request, reply, 0), CacheUse(), stamp=Stamp("ab" * 12, 1_800_000_000), size=3)


def rendered(provider, reply, **more):
    """Return a plain answer as the client parses it."""
    return json.loads(json.dumps(WIRES[provider].render(answer_of(provider, reply, **more))))


def streamed(provider, reply, **more):
    """Return the events of a stream as the client parses them, without OpenAI's `[DONE]`."""
    answer = answer_of(provider, reply, stream=True, **more)
    lines = b"".join(event.data for event in WIRES[provider].events(answer)).decode().splitlines()
    payloads = [line.removeprefix("data: ") for line in lines if line and not line.startswith("event: ")]
    return [json.loads(payload) for payload in payloads if payload != "[DONE]"]


class TestUsage:
    """Each provider counts in its own way."""

    def test_openai_includes_everything(self):
        """Cached in the prompt, reasoning in the completion, the parts in the details."""
        assert {
            "prompt_tokens": 3000,
            "completion_tokens": 100,
            "total_tokens": 3100,
            "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 40, "cache_write_tokens": 700},
            "completion_tokens_details": {
                "reasoning_tokens": 60,
                "audio_tokens": 30,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        } == rendered("openai", COUNTED)["usage"]

    def test_anthropic_leaves_the_cache_out_of_the_input(self):
        """Three disjoint inputs; the writes split by their time; thinking in the output."""
        assert {
            "input_tokens": 1300,
            "cache_creation_input_tokens": 700,
            "cache_read_input_tokens": 1000,
            "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 100,
            "service_tier": "standard",
            "output_tokens_details": {"thinking_tokens": 60},
        } == rendered("anthropic", COUNTED)["usage"]

    def test_gemini_counts_thoughts_beside_candidates(self):
        """Cached in the prompt, thoughts not in the candidates, all in the total."""
        assert {
            "promptTokenCount": 3000,
            "candidatesTokenCount": 40,
            "totalTokenCount": 3100,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 2960},
                {"modality": "AUDIO", "tokenCount": 40},
            ],
            "candidatesTokensDetails": [
                {"modality": "TEXT", "tokenCount": 10},
                {"modality": "AUDIO", "tokenCount": 30},
            ],
            "thoughtsTokenCount": 60,
            "cachedContentTokenCount": 1000,
        } == rendered("gemini", COUNTED)["usageMetadata"]

    def test_ollama_counts_two_things(self):
        """Among the other fields."""
        body = rendered("ollama", COUNTED)

        assert (3000, 100) == (body["prompt_eval_count"], body["eval_count"])

    @each_provider
    def test_a_stream_ends_with_the_usage_of_the_plain_answer(self, provider):
        """However it is sent."""
        place = {"openai": "usage", "anthropic": "usage", "gemini": "usageMetadata"}.get(provider)
        options = {"stream_options": {"include_usage": True}} if provider == "openai" else {}

        last = streamed(provider, COUNTED, **options)
        plain = rendered(provider, COUNTED)

        if place is None:
            assert plain["eval_count"] == last[-1]["eval_count"]
        else:
            assert plain[place] == [event[place] for event in last if event.get(place)][-1]

    def test_openai_streams_no_usage_unasked(self):
        """`include_usage` is off by default, and null in all chunks but the last where it is on."""
        assert all("usage" not in chunk for chunk in streamed("openai", COUNTED))
        asked = streamed("openai", COUNTED, stream_options={"include_usage": True})
        assert [None] * (len(asked) - 1) == [chunk["usage"] for chunk in asked[:-1]]
        assert [] == asked[-1]["choices"]

    def test_gemini_streams_the_usage_so_far(self):
        """It grows with the answer."""
        totals = [e["usageMetadata"]["candidatesTokenCount"] for e in streamed("gemini", Reply("one two " * 9))]

        assert sorted(totals) == totals
        assert 3 == totals[0] < totals[-1]

    @each_provider
    def test_may_be_left_out_or_null_or_wrong(self, provider):
        """A script may spoil it; the rest of the answer stays."""
        place = {"gemini": "usageMetadata"}.get(provider, "usage")
        field = {
            "openai": "prompt_tokens",
            "anthropic": "input_tokens",
            "gemini": "promptTokenCount",
            "ollama": "prompt_eval_count",
        }[provider]

        omitted, null, wrong = (
            rendered(provider, Reply("Hi", usage=shape)) for shape in ("omitted", "null", {field: "many"})
        )

        if provider == "ollama":
            assert field not in omitted
            assert null[field] is null["eval_count"] is None
            assert ("many", 1) == (wrong[field], wrong["eval_count"])
        else:
            assert place not in omitted
            assert null[place] is None
            assert "many" == wrong[place][field]
            assert set(rendered(provider, Reply("Hi"))[place]) == set(wrong[place])

    def test_openai_may_stream_none_though_asked(self):
        """Some servers do."""
        chunks = streamed("openai", Reply("Hi", usage="omitted"), stream_options={"include_usage": True})

        assert all(chunk["usage"] is None for chunk in chunks)
        assert all(chunk["choices"] for chunk in chunks)


class TestContent:
    """What an answer says."""

    def test_a_tool_call_is_spelled_by_each_provider(self):
        """Arguments are text for OpenAI, an object for the others."""
        bodies = {provider: rendered(provider, Reply(tool_calls=(CALL,))) for provider in WIRES}

        choice = bodies["openai"]["choices"][0]
        assert ("tool_calls", None) == (choice["finish_reason"], choice["message"]["content"])
        assert {"name": "get_weather", "arguments": '{"city":"Oslo"}'} == choice["message"]["tool_calls"][0]["function"]
        (block,) = bodies["anthropic"]["content"]
        assert ("tool_use", {"city": "Oslo"}) == (bodies["anthropic"]["stop_reason"], block["input"])
        (part,) = bodies["gemini"]["candidates"][0]["content"]["parts"]
        assert {"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}}} == part
        (call,) = bodies["ollama"]["message"]["tool_calls"]
        assert {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}} == call

    def test_openai_streams_a_call_in_parts(self):
        """Named first, its arguments after."""
        deltas = [c["choices"][0]["delta"] for c in streamed("openai", Reply(tool_calls=(CALL, CALL)))]

        calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
        assert [0, 0, 1, 1] == [call["index"] for call in calls]
        assert ["", '{"city":"Oslo"}'] * 2 == [call["function"]["arguments"] for call in calls]
        assert 2 == len({call["id"] for call in calls if "id" in call})

    def test_anthropic_streams_one_block_after_another(self):
        """Thinking, text and calls each begin and end, in order, under one index each."""
        events = streamed("anthropic", Reply("Let me see", thinking="Hm", tool_calls=(CALL, CALL)))

        kinds = [event["type"] for event in events]
        assert ["message_start", "ping"] == kinds[:2]
        assert ["message_delta", "message_stop"] == kinds[-2:]
        starts = [e["content_block"]["type"] for e in events if e["type"] == "content_block_start"]
        assert ["thinking", "text", "tool_use", "tool_use"] == starts
        open_blocks = []
        for event in events[2:-2]:
            if event["type"] == "content_block_start":
                open_blocks.append(event["index"])
            assert [event["index"]] == open_blocks
            if event["type"] == "content_block_stop":
                open_blocks.pop()
        assert "tool_use" == events[-2]["delta"]["stop_reason"]
        assert "signature_delta" in [e.get("delta", {}).get("type") for e in events]

    @each_provider
    def test_an_empty_answer_is_still_one(self, provider):
        """No text, no chunk of content, a finish."""
        assert rendered(provider, Reply(""))
        assert streamed(provider, Reply(""))
        contents = [e for e in WIRES[provider].events(answer_of(provider, Reply(""), stream=True)) if e.is_content]
        assert [] == contents

    def test_each_provider_shows_its_reasoning_or_hides_it(self):
        """OpenAI never shows it, Gemini on request."""
        reply = Reply("Yes", thinking="Hm, well")
        thoughts = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}

        shown = [
            "Hm" in json.dumps(body)
            for body in (
                rendered("openai", reply),
                streamed("openai", reply),
                rendered("anthropic", reply),
                streamed("anthropic", reply),
                rendered("gemini", reply),
                streamed("gemini", reply),
                rendered("gemini", reply, **thoughts),
                streamed("gemini", reply, **thoughts),
                rendered("ollama", reply),
                streamed("ollama", reply),
            )
        ]
        assert [False, False, True, True, False, False, True, True, True, True] == shown

    def test_several_choices_come_interleaved_with_one_usage(self):
        """`n` for OpenAI, `candidateCount` for Gemini."""
        reply = Reply(("a b c d", "e f g h"))
        plain = rendered("openai", reply, n=2)

        assert ["a b c d", "e f g h"] == [choice["message"]["content"] for choice in plain["choices"]]
        assert 8 == plain["usage"]["completion_tokens"]
        indexes = [chunk["choices"][0]["index"] for chunk in streamed("openai", reply, n=2)]
        assert [0, 1, 0, 1, 0, 1, 0, 1] == indexes
        two = rendered("gemini", reply, generationConfig={"candidateCount": 2})
        assert [0, 1] == [candidate["index"] for candidate in two["candidates"]]

    @pytest.mark.parametrize(
        ("finish", "words"),
        [
            (Finish.STOP, ("stop", "end_turn", "STOP", "stop")),
            (Finish.LENGTH, ("length", "max_tokens", "MAX_TOKENS", "length")),
            (Finish.TOOL_CALLS, ("tool_calls", "tool_use", "STOP", "stop")),
            (Finish.CONTENT_FILTER, ("content_filter", "refusal", "SAFETY", "stop")),
        ],
    )
    def test_each_provider_has_its_word_for_the_end(self, finish, words):
        """Plain and streamed."""
        reply = Reply("Hi", finish=finish)
        plain = {provider: rendered(provider, reply) for provider in WIRES}
        last = {provider: streamed(provider, reply)[-1] for provider in WIRES}
        last["anthropic"] = streamed("anthropic", reply)[-2]["delta"]

        def told(bodies):
            return (
                bodies["openai"]["choices"][0]["finish_reason"],
                bodies["anthropic"]["stop_reason"],
                bodies["gemini"]["candidates"][0]["finishReason"],
                bodies["ollama"]["done_reason"],
            )

        assert words == told(plain) == told(last)

    def test_the_service_tier_is_echoed(self):
        """By OpenAI in the body, by Gemini in a header; Anthropic reports the one it took."""
        tiers = [
            rendered("openai", Reply(), **ask)["service_tier"]
            for ask in ({}, {"service_tier": "auto"}, {"service_tier": "flex"})
        ]

        assert ["default", "default", "flex"] == tiers
        assert {"x-gemini-service-tier": "priority"} == gemini.headers(
            answer_of("gemini", Reply(), serviceTier="priority")
        )
        assert "priority" == rendered("anthropic", Reply(service_tier="priority"))["usage"]["service_tier"]

    @each_provider
    def test_the_model_that_answers_may_be_another(self, provider):
        """An alias stands for a dated model."""
        name = {"gemini": "modelVersion"}.get(provider, "model")

        assert "m-2026-01-01" == rendered(provider, Reply(model="m-2026-01-01"))[name]


class TestRequests:
    """What a request means."""

    @pytest.mark.parametrize(
        ("provider", "more"),
        [
            ("openai", {"response_format": {"type": "json_object"}}),
            ("openai", {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
            ("anthropic", {"output_format": {"type": "json_schema", "schema": SCHEMA}}),
            ("anthropic", {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
            (
                "gemini",
                {"generationConfig": {"responseMimeType": "application/json", "responseSchema": SCHEMA}},
            ),
            ("gemini", {"generationConfig": {"response_mime_type": "application/json"}}),
            ("ollama", {"format": "json"}),
            ("ollama", {"format": SCHEMA}),
        ],
    )
    def test_json_is_answered_with_json(self, provider, more):
        """By the schema, if there is one."""
        text = answer_of(provider, Reply(), **more).choices[0].text

        assert ["city"] == list(json.loads(text)) or ["answer"] == list(json.loads(text))
        assert ("properties" in json.dumps(more)) == ("city" in json.loads(text))

    @pytest.mark.parametrize(
        ("provider", "more"),
        [
            ("openai", {"max_tokens": 2}),
            ("openai", {"max_completion_tokens": 2, "max_tokens": 90}),
            ("anthropic", {"max_tokens": 2}),
            ("gemini", {"generationConfig": {"maxOutputTokens": 2}}),
            ("gemini", {"generation_config": {"max_output_tokens": 2}}),
            ("ollama", {"options": {"num_predict": 2}}),
        ],
    )
    def test_the_limit_is_read_and_kept(self, provider, more):
        """Under each provider's name for it."""
        answer = answer_of(provider, Reply("one two three"), **more)

        assert (2, "one two", Finish.LENGTH) == (
            answer.counts.output_tokens,
            answer.choices[0].text,
            answer.choices[0].finish,
        )

    def test_ollama_has_no_limit_below_zero(self):
        """-1 and -2 mean on and on."""
        assert request_of("ollama", options={"num_predict": -1}).max_tokens is None

    @pytest.mark.parametrize(
        ("provider", "more"),
        [
            ("openai", {"reasoning_effort": "low"}),
            ("anthropic", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            ("gemini", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 128}}}),
            ("gemini", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}),
            ("ollama", {"think": True}),
        ],
    )
    def test_reasoning_is_done_where_asked_for(self, provider, more):
        """And counted."""
        assert 0 < answer_of(provider, Reply(), **more).counts.reasoning_tokens
        assert 0 == answer_of(provider, Reply()).counts.reasoning_tokens

    @pytest.mark.parametrize(
        ("provider", "more"),
        [
            ("openai", {"tool_choice": "required"}),
            ("openai", {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}}),
            ("anthropic", {"tool_choice": {"type": "any"}}),
            ("anthropic", {"tool_choice": {"type": "tool", "name": "get_weather"}}),
            ("gemini", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        ],
    )
    def test_a_demanded_tool_is_called_with_arguments_by_its_schema(self, provider, more):
        """Under each provider's name for it; not where it is left free."""
        function = {"name": "get_weather", "parameters": SCHEMA}
        tools = {
            "openai": [{"type": "function", "function": function}],
            "anthropic": [{"name": "get_weather", "input_schema": SCHEMA}],
            "gemini": [{"function_declarations": [function]}],
        }[provider]

        (call,) = answer_of(provider, Reply(), tools=tools, **more).choices[0].tool_calls
        assert ("get_weather", ["city"]) == (call.name, list(call.arguments))
        assert () == answer_of(provider, Reply(), tools=tools).choices[0].tool_calls

    def test_the_count_of_a_prompt_follows_all_its_parts(self):
        """Text, frames, tools, images and recordings; more of any costs more."""

        def count(content, **more):
            messages = [{"role": "user", "content": content}]
            return answer_of("openai", Reply(), messages=messages, **more).counts

        text = count("one two three").input_tokens
        assert 3 + 3 + 3 == text
        parts = [{"type": "text", "text": "one two three"}, {"type": "image_url", "image_url": {"url": "x"}}]
        assert text + IMAGE_TOKENS == count(parts).input_tokens
        sound = {"type": "input_audio", "input_audio": {"data": "A" * 16_000, "format": "wav"}}
        assert (text + 10, 10) == (
            count([parts[0], sound]).input_tokens,
            count([parts[0], sound]).audio_input_tokens,
        )
        tool = {"type": "function", "function": {"name": "f"}}
        assert text < count("one two three", tools=[tool]).input_tokens

    @pytest.mark.parametrize(
        ("provider", "less", "more"),
        [
            (
                "openai",
                [{"role": "user", "content": []}],
                [{"role": "user", "content": [{"type": "file", "file": {}}]}],
            ),
            ("openai", [{"role": "assistant"}], [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]),
            (
                "anthropic",
                [{"role": "user", "content": []}],
                [{"role": "user", "content": [{"type": "image", "source": {"data": "x"}}]}],
            ),
            ("gemini", [{"parts": []}], [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "x"}}]}]),
            ("gemini", [{"parts": []}], [{"parts": [{"functionResponse": {"name": "f"}}]}]),
            ("ollama", [{"role": "user"}], [{"role": "user", "images": ["x"]}]),
            ("ollama", [{"role": "user"}], [{"role": "user", "tool_calls": [{"function": {"name": "f"}}]}]),
        ],
    )
    def test_what_is_not_text_costs_too(self, provider, less, more):
        """Images, files, calls and their results."""
        name = "contents" if provider == "gemini" else "messages"
        small, large = (answer_of(provider, Reply(), **{name: value}).counts for value in (less, more))

        assert small.input_tokens < large.input_tokens

    def test_gemini_hears_too(self):
        """A recording is counted as audio."""
        sound = {"inlineData": {"mimeType": "audio/wav", "data": "A" * 16_000}}

        assert 10 == answer_of("gemini", Reply(), contents=[{"parts": [sound]}]).counts.audio_input_tokens

    def test_anthropic_reads_its_cache_marks(self):
        """On tools, system and messages, in the order of the cache, with their times."""
        mark, hour = (
            {"cache_control": {"type": "ephemeral"}},
            {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
        )
        request = request_of(
            "anthropic",
            tools=[{"name": "t", "input_schema": {}, **hour}],
            system=[{"type": "text", "text": "sys"}],
            messages=[
                {"role": "user", "content": [{"type": "text", "text": "ask", **mark}]},
                {"role": "assistant", "content": [{"type": "tool_use", "name": "t", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "content": "done", **mark}]},
            ],
        )

        marked = [(segment.text[:3], segment.cache_ttl) for segment in request.segments if segment.cache_ttl]
        assert [('{"i', "1h"), ("ask", "5m"), ("don", "5m")] == marked

    def test_half_a_surrogate_pair_is_no_reason_to_fail(self):
        """JSON may hold what UTF-8 may not."""
        for provider, wire in WIRES.items():
            answer = answer_of(provider, Reply("\ud800"))
            assert "\ud800" == answer.choices[0].text
            assert all(event.data.decode() for event in wire.events(answer))
        odd = [{"role": "user", "content": "\ud800 and more"}]
        assert answer_of("openai", Reply(), messages=odd).choices[0].text
