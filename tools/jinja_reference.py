#!/usr/bin/env python3
"""The reference for chat templates: jinja2 set up as transformers does (apply_chat_template), with a
fixed clock, and the conversations that templates are compared on. Used by oracle_templates.py and
make_template_goldens.py."""
import copy
import datetime
import json

NOW = datetime.datetime(2024, 8, 1, 0, 0, 0)  # template_cli.c has the same time; run it with TZ=UTC


def environment():
    from jinja2 import nodes
    from jinja2.exceptions import SecurityError, TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return nodes.CallBlock(self.call_method("plain"), [], [], body).set_lineno(line)

        def plain(self, caller):
            return caller()

    def raise_exception(message):
        raise TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return env


def render(template, variables):
    """(text, None) or (None, sentence)"""
    try:
        return environment().from_string(template).render(**copy.deepcopy(variables)), None
    except Exception as e:  # whatever Python raises, the template refuses
        return None, f"{type(e).__name__}: {e}"


WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Current weather of a city, in °C — or K.",
    "parameters": {"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "The city's \"name\""},
        "unit": {"type": "string", "enum": ["celsius", "kelvin"], "default": "celsius"},
        "days": {"type": "integer", "description": "How many days", "minimum": 1, "maximum": 14},
        "detail": {"type": "object", "properties": {"wind": {"type": "boolean"}},
                   "required": ["wind"]},
        "hours": {"type": "array", "items": {"type": "number"}},
        "mode": {"type": ["string", "null"], "description": "Nothing, or a mode"}}}}}
TIME = {"type": "function", "function": {
    "name": "get_time", "description": "The time <now> & here's more",
    "parameters": {"type": "object", "properties": {}, "required": []}}}
SIMPLE = {"type": "function", "function": {
    "name": "add", "description": "Adds.\n\nTwo numbers.", "parameters": {
        "type": "object", "required": ["a", "b"], "additionalProperties": {"type": "string"},
        "properties": {"a": {"type": "number", "description": "first"},
                       "b": {"type": "integer"}, "unit": {"type": "string", "enum": ["m", "km"]},
                       "all": {"type": "array", "items": {"type": "string"}},
                       "flag": {"type": "boolean", "description": "or not"}}}}}


def call(name, arguments, id="call12345"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def conversations():
    """name -> variables beyond the special tokens"""
    system = {"role": "system", "content": "  You are terse.\nAlways. "}
    turns = [user("Hello, 世界! مرحبا"), assistant("Hi.\n\nHow are you?"), user("  fine \n")]
    thought = [user("2+2?"), assistant("<think>\nIt is 4.\n</think>\n\n4"), user("sure?")]
    reasoned = [user("2+2?"), assistant("4", reasoning_content="It is 4.\nYes.", thinking="It is 4.\nYes."),
                user("sure?"), assistant("Yes", reasoning_content="Still."), user("ok")]
    arguments = {"city": "Zürich \"ZH\"", "days": 3, "detail": {"wind": True}, "hours": [1, 2.5, 1e-7],
                 "mode": None}
    def tool(arguments, content, **more):
        return [user("Weather in Zürich?"),
                assistant(content, tool_calls=[call("get_weather", arguments)], **more),
                {"role": "tool", "name": "get_weather", "tool_call_id": "call12345",
                 "content": "{\"t\": 21.5, \"sky\": \"klar <b>\"}"}]
    two = [user("Both?"),
           assistant("", tool_calls=[call("get_weather", arguments, "call00001"),
                                     call("get_time", {}, "call00002")]),
           {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": "21"},
           {"role": "tool", "name": "get_time", "tool_call_id": "call00002", "content": "noon"}]
    tools = [WEATHER, TIME]
    cases = {
        "single": dict(messages=[user("Hi")]),
        "no generation prompt": dict(messages=turns[:2], add_generation_prompt=False),
        "system": dict(messages=[system, user("Hi")]),
        "turns": dict(messages=turns),
        "system turns": dict(messages=[system, *turns]),
        "thought inside": dict(messages=thought),
        "reasoning": dict(messages=reasoned),
        "reasoning system": dict(messages=[system, *reasoned]),
        "think on": dict(messages=turns, enable_thinking=True, thinking=True),
        "think off": dict(messages=turns, enable_thinking=False, thinking=False),
        "tools unused": dict(messages=[user("Hi")], tools=tools),
        "tools system": dict(messages=[system, user("Hi")], tools=[WEATHER]),
        "tool call": dict(messages=tool(arguments, ""), tools=tools),
        "tool call none": dict(messages=tool(arguments, None), tools=tools),
        "tool call text": dict(messages=tool(json.dumps(arguments), "I look."), tools=tools),
        "tool call reason": dict(messages=tool(arguments, "", reasoning_content="I need it."),
                                 tools=tools),
        "tool answered": dict(messages=[system, *tool(arguments, ""), assistant("21 degrees."),
                                        user("Thanks")], tools=tools),
        "two calls": dict(messages=two, tools=tools),
        "two calls answered": dict(messages=[*two, assistant("Noon, 21."), user("ok")], tools=tools),
        "no tools but call": dict(messages=tool(arguments, "")),
        "parts": dict(messages=[{"role": "user", "content": [{"type": "text", "text": "One"},
                                                             {"type": "text", "text": " two"}]}]),
        "odd order": dict(messages=[user("a"), user("b"), assistant("c"), assistant("d")]),
        "unknown role": dict(messages=[{"role": "critic", "content": "x"}, user("y")]),
        "empty": dict(messages=[user("")]),
        "many": dict(messages=[m for i in range(12) for m in (user(f"q{i}"), assistant(f"a{i}"))]
                     + [user("last")]),
        "specials": dict(messages=[user("<|im_end|></s><think>{{ x }}{% y %}\t\u00a0\u2028'\"\\")]),
        "date": dict(messages=[system, user("Hi")], date_string="1 Jan 2025", builtin_tools=["browser"],
                     tools=tools),
        "empty tools": dict(messages=[system, *turns], tools=[]),
        "empty tools reasoning": dict(messages=reasoned, tools=[]),
        "simple tools": dict(messages=[system, user("Hi")], tools=[SIMPLE]),
        "simple call": dict(messages=[user("1+2"), assistant("", tool_calls=[
            call("add", {"a": 1, "b": 2, "flag": False, "all": ["x", "y"]})]),
            {"role": "tool", "name": "add", "tool_call_id": "call12345", "content": "3"}],
            tools=[SIMPLE]),
        "functions": dict(messages=[system, *turns], functions="[]", datetime="now"),
        "documents": dict(messages=[user("Hi")], documents=[{"title": "T", "text": "body"}]),
        "effort": dict(messages=[user("Hi")], reasoning_effort="high", model_identity="I am I.",
                       xml_tools=tools, think=True, thinking_budget=512),
        "prefill": dict(messages=[user("Hi"), assistant("Well, ", prefix=True)],
                        add_generation_prompt=False, continue_final_message=True),
    }
    for case in cases.values():
        case.setdefault("add_generation_prompt", True)
        case.setdefault("tools", None)
        case.setdefault("documents", None)
        case.setdefault("bos_token", "<s>")
        case.setdefault("eos_token", "</s>")
    return cases
