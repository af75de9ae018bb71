"""What OpenAI's Python SDK gets from the platform, whatever upstream answers: Responses and Chat Completions.

The environment is that of `anthropic_cases.py`; BASE has no `/v1`.
"""

import json
import os
import time

import openai
from pydantic import BaseModel

from cases import Cases, check, equal, script, seen, seen_gone

cases = Cases("openai", openai.__version__)
BASE = os.environ["BASE"] + "/v1"
client = openai.OpenAI(api_key=os.environ["KEY"], base_url=BASE, max_retries=0)

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "name": "get_weather", "description": "Tells it.", "parameters": PARAMETERS, "strict": True}
CHAT_WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Tells it.", "parameters": PARAMETERS}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Person(BaseModel):
    name: str
    age: int


def respond(model, prompt, of=client, **more):
    return of.responses.create(**dict(dict(model=model, input=prompt, store=False), **more))


def chat(model, prompt, of=client, **more):
    return of.chat.completions.create(model=model, messages=[user(prompt)], **more)


def user(content):
    return {"role": "user", "content": content}


def responses_usage(usage):
    details = usage.input_tokens_details
    return (usage.input_tokens, details.cached_tokens, usage.output_tokens, usage.total_tokens)


def chat_usage(usage):
    details = usage.prompt_tokens_details
    return (usage.prompt_tokens, details.cached_tokens, usage.completion_tokens, usage.total_tokens)


def not_direct(model, upstream):
    """Whether a case has to be left out: without a platform in between each API has its own upstream alone."""
    return cases.direct and model != f"via-{upstream}"


@cases.each
def responses_text(model, tag):
    raw = client.responses.with_raw_response.create(
        model=model, input=script(tag, [{"text": "Hello, you."}]), instructions="Be brief.", store=False
    )
    response = raw.parse()
    equal(response.output_text, "Hello, you.")
    equal((response.object, response.status, response.error), ("response", "completed", None))
    equal(responses_usage(response.usage), (150, 40, 25, 175))
    check(response.id.startswith("resp_"), response.id)
    check(raw.headers["x-request-id"].startswith("req_"), "no x-request-id")
    equal(response._request_id, raw.headers["x-request-id"])
    arrived = seen(tag)[0]
    check("Be brief." in str(arrived["body"]), "the instructions did not arrive")
    check(cases.direct or os.environ["KEY"] not in str(arrived["headers"]), "the client's key went upstream")


@cases.each
def responses_stream(model, tag):
    prompt = script(tag, [{"think": "Let me think about it."}, {"text": "Hello, all of you."}])
    deltas, kinds, numbers = [], [], []
    settings = dict(model=model, input=prompt, store=False, reasoning={"effort": "low", "summary": "auto"})
    with client.responses.stream(**settings) as stream:
        for event in stream:
            kinds.append(event.type)
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                deltas.append(event.delta)
        final = stream.get_final_response()
    equal("".join(deltas), "Hello, all of you.")
    check(len(deltas) > 1, "the text came in one piece")
    equal(numbers, list(range(len(numbers))))
    equal((kinds[0], kinds[-1]), ("response.created", "response.completed"))
    equal([item.type for item in final.output], ["reasoning", "message"])
    equal("".join(part.text for part in final.output[0].summary or final.output[0].content), "Let me think about it.")
    equal(responses_usage(final.usage), (150, 40, 25, 175))
    equal(final.output_text, "Hello, all of you.")


@cases.each
def responses_tools(model, tag):
    turns = [
        [{"think": "Two cities."}] + [{"call": "get_weather", "input": {"city": city}} for city in ("Paris", "Bergen \u00e5")],
        [{"text": "Sun and {result}."}],
    ]
    settings = dict(model=model, tools=[WEATHER], store=False, include=["reasoning.encrypted_content"])
    settings["reasoning"] = {"effort": "medium", "summary": "auto"}
    given = [user(script(tag, *turns))]
    for streamed in (True, False):
        if streamed:
            with client.responses.stream(input=given, **settings) as stream:
                response = stream.get_final_response()
        else:
            response = client.responses.create(input=given, **settings)
        equal([item.type for item in response.output], ["reasoning", "function_call", "function_call"])
        calls = [item for item in response.output if item.type == "function_call"]
        equal([json.loads(call.arguments) for call in calls], [{"city": "Paris"}, {"city": "Bergen \u00e5"}])
        check(calls[0].call_id != calls[1].call_id, "two calls with one id")
        equal(response.status, "completed")
        if not model.endswith("chat"):
            check(response.output[0].encrypted_content, "reasoning without its encrypted content")
    given += response.output
    given.append({"type": "function_call_output", "call_id": calls[0].call_id, "output": "sun"})
    given.append({"type": "function_call_output", "call_id": calls[1].call_id, "output": [{"type": "input_text", "text": "rain"}]})
    final = client.responses.create(input=given, **settings)
    equal(final.output_text, "Sun and rain.")
    body = str(seen(tag)[-1]["body"])
    for word in ("Bergen \u00e5", "rain", f"_{tag}_0_1", f"_{tag}_0_2"):
        check(word in body, f"`{word}` did not arrive upstream: {body}")
    if not model.endswith("chat"):
        check(f"sig_{tag}_0_0" in body, f"the encrypted content did not arrive upstream: {body}")


@cases.each
def responses_stop(model, tag):
    response = respond(model, script(tag, [{"text": "Cut he"}], stop="max_tokens"), max_output_tokens=100)
    equal((response.status, response.incomplete_details.reason), ("incomplete", "max_output_tokens"))
    kinds = [event.type for event in respond(model, script(tag, [{"text": "Cut he"}], stop="max_tokens"), stream=True)]
    equal(kinds[-1], "response.incomplete")
    response = respond(model, script(tag, [{"refuse": "No."}]))
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    if not model.endswith("messages"):
        equal((parts[0].type, parts[0].refusal), ("refusal", "No."))


@cases.each
def responses_images(model, tag):
    content = [
        {"type": "input_text", "text": script(tag, [{"text": "A pixel."}])},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
    ]
    equal(respond(model, [user(content)]).output_text, "A pixel.")
    check(PIXEL in str(seen(tag)[0]["body"]), "the image did not arrive")


@cases.each
def responses_structured_output(model, tag):
    prompt = script(tag, [{"text": '{"name":"Ada","age":36}'}])
    response = client.responses.parse(model=model, input=prompt, text_format=Person, store=False)
    equal(response.output_parsed, Person(name="Ada", age=36))
    body = seen(tag)[0]["body"]
    told = [body.get(name) for name in ("output_config", "text", "response_format")]
    check("json_schema" in str(told) and "age" in str(told), f"the schema did not arrive: {body}")


@cases.once
def responses_custom_tools(model, tag):
    """A tool of the client's own kind passes through an upstream of the same API."""
    tools = [{"type": "custom", "name": "run", "description": "Runs it."}]
    respond("via-responses", script(tag, [{"text": "ok"}]), tools=tools)
    equal(seen(tag)[0]["body"]["tools"][0]["type"], "custom")


@cases.platform_each
def responses_stored(model, tag):
    first = client.responses.create(model=model, input=script(tag, [{"text": "I am the first."}]))
    found = client.responses.retrieve(first.id)
    equal((found.id, found.output_text), (first.id, "I am the first."))
    second = client.responses.create(
        model=model, input=script(tag, [{"text": "I am the second."}]), previous_response_id=first.id
    )
    equal((second.output_text, second.previous_response_id), ("I am the second.", first.id))
    check("I am the first." in str(seen(tag)[-1]["body"]), "what was before did not arrive upstream")
    items = client.responses.input_items.list(second.id)
    check("script:" in str(items.data), items)
    client.responses.delete(first.id)
    try:
        client.responses.retrieve(first.id)
    except openai.NotFoundError:
        pass
    else:
        raise AssertionError("a deleted response was found")
    try:
        client.responses.create(model=model, input="x", previous_response_id="resp_never")
    except openai.BadRequestError as error:
        equal(error.code, "previous_response_not_found")
    else:
        raise AssertionError("a response that never was had a next one")


@cases.platform_each
def responses_background(model, tag):
    response = client.responses.create(model=model, input=script(tag, [{"text": "Done."}]), background=True)
    check(response.status in ("queued", "in_progress", "completed"), response.status)
    until = time.monotonic() + 30
    while response.status in ("queued", "in_progress"):
        check(time.monotonic() < until, "a background response takes more than half a minute")
        time.sleep(0.1)
        response = client.responses.retrieve(response.id)
    equal((response.status, response.output_text), ("completed", "Done."))
    prompt = script(tag + "c", [{"text": "Half of it."}], broken={"after": 3, "how": "hang"})
    response = client.responses.create(model=model, input=prompt, background=True)
    equal(client.responses.cancel(response.id).status, "cancelled")


@cases.platform_each
def conversations(model, tag):
    conversation = client.conversations.create(metadata={"of": "a test"})
    for words in ("one", "two"):
        response = client.responses.create(
            model=model, input=script(tag, [{"text": f"I say {words}."}]), conversation=conversation.id
        )
        equal(response.output_text, f"I say {words}.")
    check("I say one." in str(seen(tag)[-1]["body"]), "what was before did not arrive upstream")
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    equal([item.role for item in items if item.type == "message"], ["user", "assistant"] * 2)
    check(client.conversations.delete(conversation.id).deleted, "it is not deleted")


@cases.platform_each
def responses_socket(model, tag):
    """Turns over one WebSocket, the second of which goes on with the first though nothing is stored."""
    with client.responses.connect() as socket:
        last = None
        for words in ("I am the first.", "I am the second."):
            more = {"previous_response_id": last.id} if last else {}
            socket.response.create(model=model, input=script(tag, [{"text": words}]), store=False, **more)
            deltas = []
            for event in socket:
                if event.type == "response.output_text.delta":
                    deltas.append(event.delta)
                if event.type in ("response.completed", "response.failed", "error"):
                    break
            equal((event.type, "".join(deltas)), ("response.completed", words))
            last = event.response
    check("I am the first." in str(seen(tag)[-1]["body"]), "what was before did not arrive upstream")


@cases.platform_each
def responses_compact(model, tag):
    given = [user(script(tag, [{"text": "They said hello."}])), {"role": "assistant", "content": "Hello."}]
    compacted = client.responses.compact(model=model, input=given)
    equal(compacted.object, "response.compaction")
    check(any(item.type == "compaction" for item in compacted.output), compacted)
    more = [item.model_dump(exclude_none=True) for item in compacted.output]
    more.append(user(script(tag, [{"text": "Going on."}])))
    equal(respond(model, more).output_text, "Going on.")


@cases.platform_each
def responses_compact_of_what_is_kept(model, tag):
    first = client.responses.create(model=model, input=script(tag, [{"text": "I am the first."}]))
    compacted = client.responses.compact(model=model, previous_response_id=first.id, instructions="Keep the names.")
    check(any(item.type == "compaction" for item in compacted.output), compacted)
    body = str(seen(tag)[-1]["body"])
    for words in ("I am the first.", "Keep the names."):
        check(words in body, f"`{words}` was not there to be compacted: {body}")


@cases.each
def responses_compaction(model, tag):
    """A compaction comes in an answer where the context is long, and goes back in place of what was before."""
    settings = dict(model=model, store=False, context_management=[{"type": "compaction", "compact_threshold": 60000}])
    given = [user(script(tag, [{"compact": "They said hello."}, {"text": "Going on."}]))]
    raw = client.responses.with_raw_response.create(input=given, **settings)
    response = raw.parse()
    with client.responses.stream(input=given, **settings) as stream:
        streamed = stream.get_final_response()
    for each in (response, streamed):
        check(each.output_text.endswith("Going on."), each.output_text)
    body = seen(tag)[0]["body"]
    if model.endswith("chat"):
        check("context_management.compaction" in raw.headers["quire-dropped"], raw.headers["quire-dropped"])
        return
    for each in (response, streamed):
        equal([item.type for item in each.output], ["compaction", "message"])
        check(each.output[0].encrypted_content, "a compaction without its content")
    if model.endswith("messages"):
        edit = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 60000}}
        equal(body["context_management"], {"edits": [edit]})
    else:
        equal(body["context_management"], settings["context_management"])
    given += streamed.output + [user(script(tag, [{"text": "Yes."}]))]
    equal(client.responses.create(input=given, **settings).output_text, "Yes.")
    body = str(seen(tag)[-1]["body"])
    check(f"sealed_{tag}_0_0" in body, f"the compaction did not go back: {body}")


@cases.platform_each
def input_tokens(model, tag):
    counted = client.responses.input_tokens.count(model=model, input="How many are these?")
    check(counted.input_tokens > 0, counted)


@cases.each
def chat_text(model, tag):
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "system", "content": "Be brief."}, user(script(tag, [{"text": "Hello, you."}]))]
    )
    completion = raw.parse()
    choice = completion.choices[0]
    equal((choice.message.role, choice.message.content, choice.finish_reason), ("assistant", "Hello, you.", "stop"))
    equal(completion.object, "chat.completion")
    equal(chat_usage(completion.usage), (150, 40, 25, 175))
    check(raw.headers["x-request-id"].startswith("req_"), "no x-request-id")
    check("Be brief." in str(seen(tag)[0]["body"]), "the system prompt did not arrive")


@cases.each
def chat_stream(model, tag):
    prompt = script(tag, [{"think": "Hm, hm, hm."}, {"text": "Hello, all of you."}])
    chunks = list(chat(model, prompt, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    equal("".join(deltas), "Hello, all of you.")
    check(len(deltas) > 1, "the text came in one piece")
    equal(chunks[0].choices[0].delta.role, "assistant")
    equal(chat_usage(chunks[-1].usage), (150, 40, 25, 175))
    equal(chunks[-1].choices, [])
    equal([c.choices[0].finish_reason for c in chunks if c.choices][-1], "stop")
    chunks = list(chat(model, script(tag, [{"text": "Hello."}]), stream=True))
    check(all(not chunk.usage for chunk in chunks), "usage that nobody asked for")


@cases.each
def chat_tools(model, tag):
    turns = [
        [{"text": "I look."}] + [{"call": "get_weather", "input": {"city": city}} for city in ("Paris", "Bergen \u00e5")],
        [{"text": "Sun and {result}."}],
    ]
    messages = [user(script(tag, *turns))]
    for streamed in (True, False):
        settings = dict(model=model, messages=messages, tools=[CHAT_WEATHER], parallel_tool_calls=True)
        if streamed:
            with client.chat.completions.stream(**settings) as stream:
                completion = stream.get_final_completion()
        else:
            completion = client.chat.completions.create(**settings)
        message = completion.choices[0].message
        calls = message.tool_calls
        equal([json.loads(call.function.arguments) for call in calls], [{"city": "Paris"}, {"city": "Bergen \u00e5"}])
        equal((message.content, completion.choices[0].finish_reason), ("I look.", "tool_calls"))
        check(calls[0].id != calls[1].id, "two calls with one id")
    messages.append(message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": calls[0].id, "content": "sun"})
    messages.append({"role": "tool", "tool_call_id": calls[1].id, "content": "rain"})
    final = client.chat.completions.create(model=model, messages=messages, tools=[CHAT_WEATHER])
    equal(final.choices[0].message.content, "Sun and rain.")
    body = str(seen(tag)[-1]["body"])
    for word in ("Bergen \u00e5", "rain", f"_{tag}_0_1", f"_{tag}_0_2"):
        check(word in body, f"`{word}` did not arrive upstream: {body}")


@cases.each
def chat_stop(model, tag):
    completion = chat(model, script(tag, [{"text": "Cut he"}], stop="max_tokens"), max_completion_tokens=100)
    equal(completion.choices[0].finish_reason, "length")


@cases.each
def chat_images(model, tag):
    content = [
        {"type": "text", "text": script(tag, [{"text": "A pixel."}])},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    equal(chat(model, content).choices[0].message.content, "A pixel.")
    check(PIXEL in str(seen(tag)[0]["body"]), "the image did not arrive")


@cases.each
def chat_structured_output(model, tag):
    prompt = script(tag, [{"text": '{"name":"Ada","age":36}'}])
    completion = client.chat.completions.parse(model=model, messages=[user(prompt)], response_format=Person)
    equal(completion.choices[0].message.parsed, Person(name="Ada", age=36))
    body = seen(tag)[0]["body"]
    told = [body.get(name) for name in ("output_config", "text", "response_format")]
    check("json_schema" in str(told) and "age" in str(told), f"the schema did not arrive: {body}")


@cases.each
def chat_settings(model, tag):
    chat(model, script(tag, [{"text": "ok"}]), reasoning_effort="low", max_completion_tokens=77)
    body = str(seen(tag)[0]["body"])
    check("low" in body and "77" in body, f"the settings did not arrive: {body}")


@cases.platform
def models(model, tag):
    listed = {each.id: each for each in client.models.list()}
    for name in cases.models:
        check(name in listed, f"{name} is not in {list(listed)}")
    equal((listed[model].object, type(listed[model].created)), ("model", int))
    equal(client.models.retrieve(model).id, model)
    try:
        client.models.retrieve("no-such-model")
    except openai.NotFoundError:
        pass
    else:
        raise AssertionError("a model that is not there was found")


def both(model, prompt, of=client, **more):
    """The same of both APIs: each as what to call and what it says."""
    calls = []
    if not not_direct(model, "responses"):
        calls.append(lambda: respond(model, prompt, of=of, **more).output_text)
    if not not_direct(model, "chat"):
        calls.append(lambda: chat(model, prompt, of=of, **more).choices[0].message.content)
    return calls


def refused(call, expected, **more):
    """The error of a call, which has to be of a class."""
    try:
        call()
    except expected as error:
        for name, value in more.items():
            equal(getattr(error, name), value)
        return error
    raise AssertionError(f"there was no {expected.__name__}")


@cases.platform
def no_such_key(model, tag):
    wrong = openai.OpenAI(api_key="qk-wrong", base_url=BASE, max_retries=0)
    for call in both(model, "x", of=wrong):
        error = refused(call, openai.AuthenticationError, status_code=401, code="invalid_api_key")
        check(error.request_id.startswith("req_"), error.request_id)
        check("qk-wrong" not in str(error), "the key is in the error")


@cases.platform
def no_such_model(model, tag):
    for call in both("no-such-model", "x"):
        refused(call, openai.NotFoundError, status_code=404, code="model_not_found")


@cases.each
def an_upstreams_refusal(model, tag):
    for call in both(model, script(tag, [], fail=[{"status": 400}] * 9)):
        error = refused(call, openai.BadRequestError, type="invalid_request_error")
        check("mock says no" in error.message, error.message)


@cases.each
def rate_limit(model, tag):
    for number in range(len(both(model, ""))):
        name = f"{tag}{number}"
        prompt = script(name, [{"text": "at last"}], fail=[{"status": 429, "headers": {"retry-after": "1"}}])
        started = time.monotonic()
        equal(both(model, prompt, of=client.with_options(max_retries=2))[number](), "at last")
        check(time.monotonic() - started >= 0.9, "retry-after was not waited for")
        equal(len(seen(name)), 2)
        prompt = script(name + "b", [], fail=[{"status": 429, "headers": {"retry-after": "7"}}] * 9)
        error = refused(both(model, prompt)[number], openai.RateLimitError, code="rate_limit_exceeded")
        equal(error.response.headers["retry-after"], "7")


@cases.platform
def own_rate_limit(model, tag):
    tight = openai.OpenAI(api_key=os.environ["TIGHT_KEY"], base_url=BASE, max_retries=0)
    for _ in range(2):
        raw = tight.chat.completions.with_raw_response.create(
            model=model, messages=[user(script(tag, [{"text": "in"}]))]
        )
        equal(raw.headers["x-ratelimit-limit-requests"], "2")
    for call in both(model, script(tag, [{"text": "in"}]), of=tight):
        error = refused(call, openai.RateLimitError, code="rate_limit_exceeded")
        check(0 < int(error.response.headers["retry-after"]) <= 60, error.response.headers["retry-after"])


@cases.each
def overloaded(model, tag):
    for call in both(model, script(tag, [], fail=[{"status": 529 if model.endswith("messages") else 503}] * 9)):
        refused(call, openai.InternalServerError, status_code=503)


@cases.each
def told_not_to_try_again(model, tag):
    """What the upstream says of another try comes through, and the SDK heeds it."""
    fault = {"status": 429, "headers": {"x-should-retry": "false", "retry-after-ms": "250"}}
    for number in range(len(both(model, ""))):
        prompt = script(f"{tag}{number}", [], fail=[fault] * 9)
        call = both(model, prompt, of=client.with_options(max_retries=2))[number]
        headers = refused(call, openai.RateLimitError).response.headers
        equal((headers["x-should-retry"], headers["retry-after-ms"]), ("false", "250"))
        equal(len(seen(f"{tag}{number}")), 1)


@cases.each
def retried(model, tag):
    full = {"status": 529 if model.endswith("messages") else 503, "headers": {"retry-after": "0.2"}}
    for number, fault in enumerate([{"status": 500}, {"status": 502, "page": True}, {"status": 0}, full]):
        for which in range(len(both(model, ""))):
            name = f"{tag}{number}{which}"
            prompt = script(name, [{"text": "again"}], fail=[fault])
            equal(both(model, prompt, of=client.with_options(max_retries=1))[which](), "again")
            equal(len(seen(name)), 2)


@cases.each
def broken_streams(model, tag):
    for how in ("error", "cut"):
        prompt = script(tag + how, [{"text": "Half of it."}], broken={"after": 4, "how": how})
        streams = []
        if not not_direct(model, "chat"):
            streams.append(lambda: chat(model, prompt, stream=True))
        if not not_direct(model, "responses"):
            streams.append(lambda: respond(model, prompt, stream=True))
        for number, stream in enumerate(streams):
            try:
                events = list(stream())
            except openai.APIError as error:
                check(cases.direct or error.message, error)
                continue
            except Exception as error:
                check(cases.direct and how == "cut", f"{how}: {error!r}")
                continue
            last = events[-1]
            # Responses says that it failed in an event, which is no exception in this SDK.
            failed = getattr(last, "type", "") in ("response.failed", "error")
            check(failed or (cases.direct and how == "cut"), f"{how}: half an answer was taken for a whole one: {last}")


@cases.each
def timeouts(model, tag):
    for number in range(len(both(model, ""))):
        name = f"{tag}{number}"
        prompt = script(name, [{"text": "x"}], broken={"after": 0, "how": "hang"})
        refused(both(model, prompt, of=client.with_options(timeout=1.0))[number], openai.APITimeoutError)
        check(seen_gone(name), "the upstream was not told that nobody waits any more")


@cases.each
def cancelled(model, tag):
    for name, start in (("r", respond), ("c", chat)):
        if not_direct(model, {"r": "responses", "c": "chat"}[name]):
            continue
        prompt = script(tag + name, [{"text": "Half of it, and no more."}], broken={"after": 6, "how": "hang"})
        stream = start(model, prompt, stream=True)
        for _ in zip(range(2), stream):
            pass
        stream.close()
        check(seen_gone(tag + name), "the upstream was not told that nobody listens any more")


@cases.each
def many_at_once(model, tag):
    import asyncio

    async def all_of_them():
        async with openai.AsyncOpenAI(api_key=os.environ["KEY"], base_url=BASE) as many:
            prompts = [script(f"{tag}n{n}", [{"text": f"number {n}"}]) for n in range(20)]
            return await asyncio.gather(*(chat(model, prompt, of=many) for prompt in prompts))

    found = [completion.choices[0].message.content for completion in asyncio.run(all_of_them())]
    equal(found, [f"number {n}" for n in range(20)])


def only_its_own():
    """Without a platform in between each API has its own upstream alone."""
    if not cases.direct:
        return
    kept = []
    for case, model in cases.all:
        name = case.__name__
        wrong = (name.startswith("responses") and model != "via-responses") or (
            (name.startswith("chat") or name == "many_at_once") and model != "via-chat"
        )
        kept += [] if wrong or (name == "responses_custom_tools") else [(case, model)]
    cases.all = kept


only_its_own()
cases.run()
