"""What the conformance suite expects a server to offer: tools, resources and prompts under the names that it calls.

They are added to the server that people get, so that the suite's scenarios run against its own handlers and middleware.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Annotated, Any

import mcp_types as types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, Field

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # 1 x 1 PNG
SILENCE = base64.b64encode(
    b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little") + b"\x01\x00\x01\x00"
    b"\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data" + (0).to_bytes(4, "little")
).decode()
IMAGE = types.ImageContent(type="image", data=PIXEL, mime_type="image/png")


def add_fixtures(server: MCPServer) -> None:
    """Add everything that the suite's required scenarios call."""
    for tool in (*CONTENT_TOOLS, *CONTEXT_TOOLS, *INPUT_TOOLS):
        _add_tool(server, tool)
    _add_tools_that_change_the_server(server)
    _add_resources(server)
    _add_prompts(server)
    _add_legacy_methods(server)


def _add_tool(server: MCPServer, function: Callable[..., Any]) -> None:
    """Add a tool under its function's name, with the description that the suite wants of each."""
    server.add_tool(function, description=function.__name__.replace("_", " "), structured_output=False)


def _text(text: str) -> types.TextContent:
    return types.TextContent(type="text", text=text)


def _embedded(uri: str, text: str, mime_type: str = "text/plain") -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return types.EmbeddedResource(type="resource", resource=contents)


async def test_simple_text() -> str:
    return "This is a simple text response for testing."


async def test_image_content() -> list[Any]:
    return [IMAGE]


async def test_audio_content() -> list[Any]:
    return [types.AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")]


async def test_embedded_resource() -> list[Any]:
    return [_embedded("test://embedded-resource", "This is an embedded resource content.")]


async def test_multiple_content_types() -> list[Any]:
    data = json.dumps({"test": "data", "value": 123})
    return [
        _text("Multiple content types test:"),
        IMAGE,
        _embedded("test://mixed-content-resource", data, "application/json"),
    ]


async def test_error_handling() -> str:
    raise RuntimeError("This tool intentionally returns an error for testing")


async def test_custom_headers(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "none",
) -> str:
    return f"region={region}"


CONTENT_TOOLS: tuple[Callable[..., Any], ...] = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    test_custom_headers,
)


class Answer(BaseModel):
    username: str
    email: str


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Annotated[str, Field(json_schema_extra={"enum": ["active", "inactive", "pending"]})] = "active"
    verified: bool = True


def _titled(**titles: str) -> list[dict[str, str]]:
    return [{"const": value, "title": title} for value, title in titles.items()]


class Choices(BaseModel):
    untitledSingle: Annotated[str, Field(json_schema_extra={"enum": ["option1", "option2", "option3"]})]  # noqa: N815
    titledSingle: Annotated[str, Field(json_schema_extra={"oneOf": _titled(low="Low", high="High")})]  # noqa: N815
    untitledMulti: Annotated[  # noqa: N815
        list[str], Field(json_schema_extra={"items": {"type": "string", "enum": ["read", "write"]}})
    ]
    titledMulti: Annotated[  # noqa: N815
        list[str], Field(json_schema_extra={"items": {"anyOf": _titled(bug="Bug", docs="Documents")}})
    ]
    legacyEnum: Annotated[  # noqa: N815
        str, Field(json_schema_extra={"enum": ["small", "large"], "enumNames": ["Small", "Large"]})
    ]


async def test_tool_with_logging(ctx: Context) -> str:
    for step in ("started", "processing", "completed"):
        await ctx.info(f"Tool execution {step}")
    return "Logged three messages."


async def test_logging_tool(ctx: Context) -> str:
    return await test_tool_with_logging(ctx)


async def test_tool_with_progress(ctx: Context) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"{done} of 100")
    return "Reported progress three times."


async def test_sampling(prompt: str, ctx: Context) -> str:
    message = types.SamplingMessage(role="user", content=_text(prompt))
    result = await ctx.session.create_message(messages=[message], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {getattr(result.content, 'text', '')}"


async def _elicited(ctx: Context, message: str, schema: type[BaseModel]) -> str:
    result = await ctx.elicit(message=message, schema=schema)
    content = result.data.model_dump_json() if result.action == "accept" else "{}"
    return f"action={result.action}, content={content}"


async def test_elicitation(message: str, ctx: Context) -> str:
    return await _elicited(ctx, message, Answer)


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    return await _elicited(ctx, "Who are you?", Defaults)


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    return await _elicited(ctx, "Choose one of each", Choices)


async def test_missing_capability(ctx: Context) -> str:
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        required = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(code=types.MISSING_REQUIRED_CLIENT_CAPABILITY, message="It needs sampling", data=required)
    return "The client can sample."


CONTEXT_TOOLS: tuple[Callable[..., Any], ...] = (
    test_tool_with_logging,
    test_logging_tool,
    test_tool_with_progress,
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    test_missing_capability,
)


def _ask(message: str, field: str, kind: str = "string") -> types.ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=_text(text))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=50))


def _needs(state: str | None = None, **requests: Any) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def _field(ctx: Context, request: str, field: str) -> Any:
    """A field of what the client answered to a form, or None."""
    answered = (ctx.input_responses or {}).get(request)
    return answered.content.get(field) if isinstance(answered, types.ElicitResult) and answered.content else None


async def test_input_required_result_elicitation(ctx: Context) -> Any:
    name = _field(ctx, "user_name", "name")
    return f"Hello, {name}!" if name else _needs(user_name=_ask("What is your name?", "name"))


async def test_streaming_elicitation(ctx: Context) -> Any:
    await ctx.report_progress(1, 2, "About to ask")
    return await test_input_required_result_elicitation(ctx)


async def test_input_required_result_sampling(ctx: Context) -> Any:
    answered = (ctx.input_responses or {}).get("capital_question")
    if isinstance(answered, types.CreateMessageResult):
        return f"Model said: {getattr(answered.content, 'text', '')}"
    return _needs(capital_question=_sample("What is the capital of France?"))


async def test_input_required_result_list_roots(ctx: Context) -> Any:
    answered = (ctx.input_responses or {}).get("client_roots")
    if isinstance(answered, types.ListRootsResult):
        return f"{len(answered.roots)} roots"
    return _needs(client_roots=types.ListRootsRequest())


async def test_input_required_result_request_state(ctx: Context) -> Any:
    if ctx.request_state == "asked" and ctx.input_responses:
        return "state-ok"
    return _needs("asked", confirm=_ask("Please confirm", "ok", "boolean"))


async def test_input_required_result_tampered_state(ctx: Context) -> Any:
    if ctx.request_state is not None:
        return f"state-ok: {ctx.request_state}"
    return _needs("asked", confirm=_ask("Please confirm", "ok", "boolean"))


async def test_input_required_result_multiple_inputs(ctx: Context) -> Any:
    if {"user_name", "greeting", "client_roots"} <= (ctx.input_responses or {}).keys():
        return "All inputs received."
    return _needs(
        "asked",
        user_name=_ask("What is your name?", "name"),
        greeting=_sample("Write a greeting"),
        client_roots=types.ListRootsRequest(),
    )


async def test_input_required_result_multi_round(ctx: Context) -> Any:
    match json.loads(ctx.request_state or "[]"):
        case ["name"] if name := _field(ctx, "step1", "name"):
            return _needs(json.dumps(["colour", name]), step2=_ask("What is your favourite colour?", "color"))
        case ["colour", name] if colour := _field(ctx, "step2", "color"):
            return f"{name} likes {colour}."
    return _needs(json.dumps(["name"]), step1=_ask("What is your name?", "name"))


async def test_input_required_result_capabilities(ctx: Context) -> Any:
    able = ctx.client_capabilities
    requests: dict[str, Any] = {}
    if able is not None and able.sampling is not None:
        requests["sample"] = _sample("Say hello")
    if able is not None and able.elicitation is not None:
        requests["ask"] = _ask("What is your name?", "name")
    return _needs("asked", **requests)


INPUT_TOOLS: tuple[Callable[..., Any], ...] = (
    test_input_required_result_elicitation,
    test_streaming_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_tampered_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
)


def _add_tools_that_change_the_server(server: MCPServer) -> None:
    async def test_trigger_tool_change(ctx: Context) -> str:
        server.add_tool(test_simple_text, name="test_passing_tool", structured_output=False)
        server.remove_tool("test_passing_tool")
        await ctx.notify_tools_changed()
        return "The list of tools has changed."

    async def test_trigger_prompt_change(ctx: Context) -> str:
        server.add_prompt(Prompt.from_function(test_simple_text, name="test_passing_prompt"))
        server.remove_prompt("test_passing_prompt")
        await ctx.notify_prompts_changed()
        return "The list of prompts has changed."

    for tool in (test_trigger_tool_change, test_trigger_prompt_change):
        _add_tool(server, tool)


def _add_resources(server: MCPServer) -> None:
    @server.resource("test://static-text")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return base64.b64decode(PIXEL)

    @server.resource("test://watched-resource")
    def watched() -> str:
        return "Watched resource content"

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _add_prompts(server: MCPServer) -> None:
    @server.prompt(description="test simple prompt")
    def test_simple_prompt() -> str:
        return "This is a simple prompt for testing."

    @server.prompt(description="test prompt with arguments")
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt(description="test prompt with embedded resource")
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803
        return [UserMessage(_embedded(resourceUri, "Embedded resource content for testing.")), UserMessage("Read it.")]

    @server.prompt(description="test prompt with image")
    def test_prompt_with_image() -> list[UserMessage]:
        return [UserMessage(IMAGE), UserMessage("Please analyze the image above.")]

    @server.prompt(description="test input required result prompt")
    async def test_input_required_result_prompt(ctx: Context) -> Any:
        context = _field(ctx, "user_context", "context")
        return f"Use this: {context}" if context else _needs(user_context=_ask("Which context?", "context"))


def _add_legacy_methods(server: MCPServer) -> None:
    """The methods of the handshake era that the suite calls, where the server doesn't serve them itself."""

    async def accept(_ctx: Any, _params: Any) -> types.EmptyResult:
        return types.EmptyResult()

    low_level = server._lowlevel_server
    methods: dict[str, type[BaseModel]] = {
        "logging/setLevel": types.SetLevelRequestParams,
        "resources/subscribe": types.SubscribeRequestParams,
        "resources/unsubscribe": types.UnsubscribeRequestParams,
    }
    for method, params in methods.items():
        if low_level.get_request_handler(method) is None:
            low_level.add_request_handler(method, params, accept)
    if low_level.get_request_handler("completion/complete") is None:

        @server.completion()
        async def complete(_ref: Any, _argument: Any, _context: Any) -> types.Completion:
            return types.Completion(values=[], total=0, has_more=False)
