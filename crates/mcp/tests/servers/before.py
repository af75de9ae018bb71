"""A server of the SDK for Python before the newest one, which speaks the old protocol: over stdin
and stdout, or by HTTP at the port that it is given."""

import sys

from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.types import SamplingMessage, TextContent
from pydantic import BaseModel

server = FastMCP("before")


class Answer(BaseModel):
    name: str


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def picture() -> Image:
    """Shows a picture."""
    return Image(data=b"\x89PNG\r\n\x1a\n0000", format="png")


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("out of cheese")


@server.tool()
async def ask(ctx: Context) -> str:
    """Asks a person."""
    answer = await ctx.elicit(message="who?", schema=Answer)
    return f"the answer: {answer.action}"


@server.tool()
async def sample(ctx: Context) -> str:
    """Asks a model."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text="hi"))
    await ctx.session.create_message([message], max_tokens=5)
    return "sampled"


@server.tool()
async def roots(ctx: Context) -> str:
    """Asks for folders."""
    await ctx.session.list_roots()
    return "listed"


@server.tool()
async def grow(ctx: Context) -> str:
    """Gets another tool."""
    server.add_tool(add, name="more")
    await ctx.session.send_tool_list_changed()
    return "grown"


if len(sys.argv) > 1:
    server.settings.port = int(sys.argv[1])
    server.run("streamable-http")
else:
    server.run()
