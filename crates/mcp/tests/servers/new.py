"""A server of the newest SDK for Python, which speaks the new protocol: over stdin and stdout, or by
HTTP at the port that it is given."""

import sys

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import BaseModel

server = MCPServer("new", version="7")


class Answer(BaseModel):
    name: str


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


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
async def grow(ctx: Context) -> str:
    """Gets another tool."""
    server.add_tool(add, name="more")
    await ctx.notify_tools_changed()
    return "grown"


@server.tool()
async def wait() -> str:
    """Waits until it is cancelled."""
    print("waits", file=sys.stderr, flush=True)
    open("waits", "w").close()
    try:
        await anyio.sleep_forever()
    finally:
        open("cancelled", "w").close()


if len(sys.argv) > 1:
    server.run("streamable-http", port=int(sys.argv[1]))
else:
    server.run()
