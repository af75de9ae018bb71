"""What Anthropic's Python SDK gets from the platform, whatever upstream answers.

Environment: BASE (where the platform is), KEY (one of its keys), TIGHT_KEY (one that may ask twice a minute),
MOCK (the upstream, which tells what arrived), VIA (models to go through: messages, responses, chat).
The program's arguments are names of cases to run; all of them without.
"""

import base64
import os
import time

import anthropic
from pydantic import BaseModel

from cases import Cases, check, equal, script, seen, seen_gone

cases = Cases("anthropic", anthropic.__version__)
client = anthropic.Anthropic(api_key=os.environ["KEY"], base_url=os.environ["BASE"], max_retries=0)

WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather of a place.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def ask(model, prompt, of=client, **more):
    return of.messages.create(model=model, max_tokens=1000, messages=[user(prompt)], **more)


def user(content):
    return {"role": "user", "content": content}


def usage_of(usage):
    return (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens, usage.output_tokens)


@cases.each
def text(model, tag):
    raw = client.messages.with_raw_response.create(
        model=model, max_tokens=1000, system="Be brief.", messages=[user(script(tag, [{"text": "Hello, you."}]))]
    )
    message = raw.parse()
    equal(message.content[0].text, "Hello, you.")
    equal((message.role, message.type, message.stop_reason), ("assistant", "message", "end_turn"))
    equal(usage_of(message.usage), (100, 40, 10, 25))
    check(message.id.startswith("msg_"), message.id)
    if not cases.direct:
        equal(raw.headers["quire-upstream"], model.removeprefix("via-"))
    check(raw.headers["request-id"].startswith("req_"), "no request-id")
    equal(message._request_id, raw.headers["request-id"])
    arrived = seen(tag)[0]
    check("Be brief." in str(arrived["body"]), "the system prompt did not arrive")
    check(cases.direct or os.environ["KEY"] not in str(arrived["headers"]), "the client's key went upstream")


@cases.each
def stream(model, tag):
    deltas, kinds = [], []
    prompt = script(tag, [{"think": "Let me think about it."}, {"text": "Hello, all of you."}])
    thinking = {"type": "adaptive", "display": "summarized"}
    with client.messages.stream(model=model, max_tokens=1000, thinking=thinking, messages=[user(prompt)]) as stream:
        for event in stream:
            kinds.append(event.type)
            if event.type == "text":
                deltas.append(event.text)
        final = stream.get_final_message()
        check(stream.response.headers["request-id"].startswith("req_"), "no request-id")
    equal("".join(deltas), "Hello, all of you.")
    check(len(deltas) > 1, "the text came in one piece")
    equal([block.type for block in final.content], ["thinking", "text"])
    equal(final.content[0].thinking, "Let me think about it.")
    check(final.content[0].signature, "thinking without a signature")
    equal(final.stop_reason, "end_turn")
    equal(usage_of(final.usage), (100, 40, 10, 25))
    equal((kinds[0], kinds[-1]), ("message_start", "message_stop"))


@cases.each
def raw_stream(model, tag):
    events = list(ask(model, script(tag, [{"text": "One two three."}]), stream=True))
    equal(events[0].type, "message_start")
    equal(events[0].message.content, [])
    equal([event.type for event in events][-2:], ["message_delta", "message_stop"])
    equal(events[-2].usage.output_tokens, 25)


@cases.each
def tools(model, tag):
    """Thinking, two calls at once, their results, and everything arrives upstream as it left."""
    turns = [
        [{"think": "Two cities."}, {"text": "I look."}]
        + [{"call": "get_weather", "input": {"city": city}} for city in ("Paris", "Bergen \u00e5")],
        [{"text": "Sun and {result}."}],
    ]
    messages = [user(script(tag, *turns))]
    for streamed in (True, False):
        settings = dict(model=model, max_tokens=1000, tools=[WEATHER], messages=messages)
        settings["thinking"] = {"type": "adaptive", "display": "summarized"}
        if streamed:
            with client.messages.stream(**settings) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**settings)
        equal([block.type for block in message.content], ["thinking", "text", "tool_use", "tool_use"])
        calls = [block for block in message.content if block.type == "tool_use"]
        equal([call.input for call in calls], [{"city": "Paris"}, {"city": "Bergen \u00e5"}])
        equal([call.name for call in calls], ["get_weather"] * 2)
        check(calls[0].id != calls[1].id, "two calls with one id")
        equal(message.stop_reason, "tool_use")
    results = [{"type": "tool_result", "tool_use_id": calls[0].id, "content": "sun"}]
    results.append({"type": "tool_result", "tool_use_id": calls[1].id, "content": [{"type": "text", "text": "rain"}]})
    settings["messages"] = messages + [{"role": "assistant", "content": message.content}, user(results)]
    final = client.messages.create(**settings)
    equal(final.content[0].text, "Sun and rain.")
    equal(final.stop_reason, "end_turn")
    body = str(seen(tag)[-1]["body"])
    for word in (f"_{tag}_0_2", f"_{tag}_0_3", "Bergen \u00e5", "rain"):
        check(word in body, f"`{word}` did not arrive upstream: {body}")
    if not model.endswith("chat"):
        check(f"sig_{tag}_0_0" in body, f"the signature did not arrive upstream: {body}")


@cases.each
def tool_choice(model, tag):
    prompt = script(tag, [{"call": "get_weather", "input": {"city": "Rome"}}])
    choice = {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    message = ask(model, prompt, tools=[WEATHER], tool_choice=choice)
    equal(message.content[0].input, {"city": "Rome"})
    body = seen(tag)[0]["body"]
    check("get_weather" in str(body["tool_choice"]), f"the choice did not arrive: {body['tool_choice']}")
    if body.get("parallel_tool_calls") is not None:
        equal(body["parallel_tool_calls"], False)


@cases.each
def tool_runner(model, tag):
    from anthropic import beta_tool

    @beta_tool
    def get_weather(city: str) -> str:
        """Tells the weather of a place.

        Args:
            city: where
        """
        return f"snow in {city}"

    prompt = script(tag, [{"call": "get_weather", "input": {"city": "Oslo"}}], [{"text": "It is {result}."}])
    runner = client.beta.messages.tool_runner(
        model=model, max_tokens=1000, tools=[get_weather], messages=[user(prompt)]
    )
    equal(runner.until_done().content[0].text, "It is snow in Oslo.")


@cases.each
def stop_reasons(model, tag):
    message = ask(model, script(tag, [{"text": "Cut he"}], stop="max_tokens"))
    equal(message.stop_reason, "max_tokens")
    with client.messages.stream(
        model=model, max_tokens=1000, messages=[user(script(tag, [{"text": "Cut he"}], stop="max_tokens"))]
    ) as stream:
        equal(stream.get_final_message().stop_reason, "max_tokens")
    message = ask(model, script(tag, [{"refuse": "No."}]))
    equal(message.stop_reason, "refusal")


@cases.each
def images(model, tag):
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": script(tag, [{"text": "A pixel."}])}]
    equal(ask(model, content).content[0].text, "A pixel.")
    check(PIXEL in str(seen(tag)[0]["body"]), "the image did not arrive")


@cases.each
def structured_output(model, tag):
    class Person(BaseModel):
        name: str
        age: int

    prompt = script(tag, [{"text": '{"name":"Ada","age":36}'}])
    message = client.messages.parse(model=model, max_tokens=1000, output_format=Person, messages=[user(prompt)])
    equal(message.parsed_output, Person(name="Ada", age=36))
    body = seen(tag)[0]["body"]
    told = body.get("output_config") or body.get("text") or body.get("response_format")
    check(told and "json_schema" in str(told) and "age" in str(told), f"the schema did not arrive: {body}")


@cases.each
def effort(model, tag):
    ask(model, script(tag, [{"text": "ok"}]), output_config={"effort": "low"})
    body = seen(tag)[0]["body"]
    told = body.get("output_config") or body.get("reasoning") or body.get("reasoning_effort")
    check("low" in str(told), f"the effort did not arrive: {body}")


@cases.each
def an_effort_and_a_schema(model, tag):
    """Both stand in one setting, and each API has words of its own for either."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}
    given = {"effort": "max", "format": {"type": "json_schema", "schema": schema}}
    message = ask(model, script(tag, [{"text": '{"name":"Ada"}'}]), output_config=given)
    equal(message.content[0].text, '{"name":"Ada"}')
    body = seen(tag)[0]["body"]
    if model.endswith("messages"):
        equal(body["output_config"], given)
    elif model.endswith("responses"):
        equal((body["reasoning"]["effort"], body["text"]["format"]["schema"]), ("max", schema))
    else:
        equal((body["reasoning_effort"], body["response_format"]["json_schema"]["schema"]), ("max", schema))


def compact_edit(**more):
    return {"edits": [{"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 50000}, **more}]}


@cases.each
def compaction(model, tag):
    """A summary comes as a block and goes back as it came."""
    settings = dict(model=model, max_tokens=1000, context_management=compact_edit(), betas=["compact-2026-01-12"])
    prompt = user(script(tag, [{"compact": "They said hello."}, {"text": "Going on."}]))
    if model.endswith("chat"):
        raw = client.beta.messages.with_raw_response.create(messages=[prompt], **settings)
        equal(raw.parse().content[-1].text, "Going on.")
        check("context_management.compaction" in raw.headers["quire-dropped"], raw.headers["quire-dropped"])
        return
    message = client.beta.messages.create(messages=[prompt], **settings)
    with client.beta.messages.stream(messages=[prompt], **settings) as stream:
        final = stream.get_final_message()
    for each in (message, final):
        equal([block.type for block in each.content], ["compaction", "text"])
        check(each.content[0].content, "a summary without words, which is one that failed")
    if model.endswith("messages"):
        equal((final.content[0].content, final.content[0].encrypted_content), ("They said hello.", f"sealed_{tag}_0_0"))
    more = [prompt, {"role": "assistant", "content": final.content}, user(script(tag, [{"text": "Yes."}]))]
    equal(client.beta.messages.create(messages=more, **settings).content[0].text, "Yes.")
    arrived = seen(tag)[-1]
    check(f"sealed_{tag}_0_0" in str(arrived["body"]), f"the block did not go back: {arrived['body']}")
    if model.endswith("messages"):
        check("compact-2026-01-12" in arrived["headers"]["anthropic-beta"], "the beta did not arrive")


@cases.once
def compaction_that_pauses(model, tag):
    prompt = user(script(tag, [{"compact": "They said hello."}], stop="compaction"))
    message = client.beta.messages.create(
        model=model, max_tokens=1000, messages=[prompt], betas=["compact-2026-01-12"],
        context_management=compact_edit(pause_after_compaction=True, instructions="Keep the names."),
    )
    equal((message.stop_reason, [block.type for block in message.content]), ("compaction", ["compaction"]))
    equal(seen(tag)[0]["body"]["context_management"], compact_edit(pause_after_compaction=True, instructions="Keep the names."))


@cases.each
def compaction_on_demand(model, tag):
    """Only Anthropic has it: elsewhere it is refused, as nothing else in the request asks for an answer."""
    prompt = user(script(tag, [{"compact": "They said hello."}], stop="compaction"))
    ask = lambda messages, **more: client.beta.messages.create(
        model=model, max_tokens=1000, messages=messages, betas=["compact-2026-09-04"], **more
    )
    wish = {"type": "summarize", "instructions": "Keep the names."}
    if not model.endswith("messages"):
        try:
            ask([prompt], compaction=wish)
        except anthropic.BadRequestError as error:
            equal(error.body["error"]["type"], "invalid_request_error")
            check("compaction" in error.message, error.message)
            equal(seen(tag), [])
            return
        raise AssertionError("a compaction was served that the upstream does not know")
    message = ask([prompt], compaction=wish)
    equal((message.stop_reason, [block.type for block in message.content]), ("compaction", ["compaction"]))
    arrived = seen(tag)[0]
    equal(arrived["body"]["compaction"], wish)
    check("compact-2026-09-04" in arrived["headers"]["anthropic-beta"], "the beta did not arrive")
    more = [{"role": "assistant", "content": message.content}, user(script(tag, [{"text": "Yes."}]))]
    equal(ask(more).content[0].text, "Yes.")
    check(f"sealed_{tag}_0_0" in str(seen(tag)[-1]["body"]["messages"][0]), "the block did not go back")


@cases.each
def context_edits(model, tag):
    """Anthropic takes old results and thoughts out of a context; elsewhere the server takes out the results, and names the rest."""
    edits = {"edits": [
        {"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 2}},
        {"type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 30000},
         "keep": {"type": "tool_uses", "value": 3}, "exclude_tools": ["get_weather"], "clear_tool_inputs": True},
    ]}
    settings = dict(model=model, max_tokens=1000, betas=["context-management-2025-06-27"], context_management=edits)
    settings["messages"] = [user(script(tag, [{"text": "Going on."}]))]
    raw = client.beta.messages.with_raw_response.create(**settings)
    message = raw.parse()
    with client.beta.messages.stream(**settings) as stream:
        final = stream.get_final_message()
    equal((message.content[0].text, final.content[0].text), ("Going on.", "Going on."))
    arrived = seen(tag)[0]
    if model.endswith("messages"):
        equal(arrived["body"]["context_management"], edits)
        check("context-management-2025-06-27" in arrived["headers"]["anthropic-beta"], "the beta did not arrive")
        for each in (message, final):
            applied = each.context_management.applied_edits
            equal([(edit.type, edit.cleared_input_tokens) for edit in applied], [(edit["type"], 1000) for edit in edits["edits"]])
    else:
        dropped = raw.headers["quire-dropped"]
        check("context_management.clear_thinking_20251015" in dropped and "clear_tool_uses" not in dropped, dropped)
        for each in (message, final):
            equal(each.context_management.applied_edits, [])
        check("clear_" not in str(arrived["body"]), f"an edit went where nobody knows it: {arrived['body']}")


@cases.once
def unknown_betas(model, tag):
    ask(model, script(tag, [{"text": "ok"}]), extra_headers={"anthropic-beta": "never-heard-2031-01-01"},
        extra_body={"never_heard": {"of": 1}})
    arrived = seen(tag)[0]
    equal(arrived["body"]["never_heard"], {"of": 1})
    check("never-heard-2031-01-01" in arrived["headers"]["anthropic-beta"], "the beta did not arrive")


@cases.each
def count_tokens(model, tag):
    counted = client.messages.count_tokens(model=model, messages=[user("How many are these?")])
    check(counted.input_tokens > 0, counted)


@cases.platform
def models(model, tag):
    listed = [info.id for info in client.models.list(limit=1)]
    for name in cases.models:
        check(name in listed, f"{name} is not in {listed}")
    info = client.models.retrieve(model)
    equal((info.id, info.type), (model, "model"))
    try:
        client.models.retrieve("no-such-model")
    except anthropic.NotFoundError:
        pass
    else:
        raise AssertionError("a model that is not there was found")


@cases.platform
def files(model, tag):
    api = client.files if hasattr(client, "files") else client.beta.files
    words = b"What is written in a file.\n" * 1000
    file = api.upload(file=("notes.txt", words, "text/plain"))
    equal((file.filename, file.mime_type, file.size_bytes), ("notes.txt", "text/plain", len(words)))
    equal(api.retrieve_metadata(file.id).id, file.id)
    check(file.id in [each.id for each in api.list()], "it is not in the list")
    if file.downloadable:
        equal(api.download(file.id).read(), words)
    api.delete(file.id)
    try:
        api.retrieve_metadata(file.id)
    except anthropic.NotFoundError:
        pass
    else:
        raise AssertionError("a deleted file was found")


@cases.platform_each
def batches(model, tag):
    params = lambda text: dict(model=model, max_tokens=100, messages=[user(script(tag, [{"text": text}]))])
    bad = dict(params("never"), messages=[user(script(tag + "bad", [], fail=[{"status": 400}] * 9))])
    requests = [dict(custom_id=f"r{n}", params=params(f"answer {n}")) for n in range(3)]
    batch = client.messages.batches.create(requests=requests + [dict(custom_id="bad", params=bad)])
    equal((batch.type, batch.processing_status), ("message_batch", "in_progress"))
    check(batch.id in [each.id for each in client.messages.batches.list(limit=2)], "it is not in the list")
    until = time.monotonic() + 60
    while batch.processing_status != "ended":
        check(time.monotonic() < until, f"a batch of four takes more than a minute: {batch}")
        time.sleep(0.2)
        batch = client.messages.batches.retrieve(batch.id)
    equal((batch.request_counts.succeeded, batch.request_counts.errored), (3, 1))
    results = {each.custom_id: each.result for each in client.messages.batches.results(batch.id)}
    equal(results["r1"].message.content[0].text, "answer 1")
    equal(results["bad"].error.error.type, "invalid_request_error")
    client.messages.batches.delete(batch.id)


@cases.platform
def no_such_key(model, tag):
    for header in (dict(api_key="qk-wrong"), dict(auth_token="qk-wrong", api_key=None)):
        try:
            ask(model, "x", of=anthropic.Anthropic(base_url=os.environ["BASE"], max_retries=0, **header))
        except anthropic.AuthenticationError as error:
            equal(error.status_code, 401)
            equal(error.body["error"]["type"], "authentication_error")
            check(error.request_id.startswith("req_"), error.request_id)
            check("qk-wrong" not in str(error), "the key is in the error")
        else:
            raise AssertionError("a wrong key was taken")


@cases.once
def both_ways_of_a_key(model, tag):
    key = os.environ["KEY"]
    header = {"x-api-key": key, "authorization": anthropic.Omit()}
    for given in (dict(auth_token=key, api_key=None), dict(api_key="unused", default_headers=header)):
        of = anthropic.Anthropic(base_url=os.environ["BASE"], max_retries=0, **given)
        equal(ask(model, script(tag, [{"text": "in"}]), of=of).content[0].text, "in")
    headers = [each["headers"] for each in seen(tag)]
    if cases.direct:
        equal([("authorization" in each, "x-api-key" in each) for each in headers], [(True, False), (False, True)])


@cases.platform
def no_such_model(model, tag):
    try:
        ask("no-such-model", "x")
    except anthropic.NotFoundError as error:
        equal(error.body["error"]["type"], "not_found_error")
        check("no-such-model" in error.message, error.message)
    else:
        raise AssertionError("a model that is not there answered")


@cases.platform_each
def bad_requests(model, tag):
    for wrong in (dict(messages="none"), dict(messages=[{"role": "user", "content": [{"type": "text"}]}])):
        try:
            client.messages.create(**dict(dict(model=model, max_tokens=10, messages=[user("x")]), **wrong))
        except anthropic.BadRequestError as error:
            equal(error.body["error"]["type"], "invalid_request_error")
        else:
            # An upstream of the same API is asked as it came, and the mock takes everything.
            check(model.endswith("via-messages"), "a broken request was served")


@cases.each
def an_upstreams_refusal(model, tag):
    try:
        ask(model, script(tag, [], fail=[{"status": 400}] * 9))
    except anthropic.BadRequestError as error:
        equal(error.body["error"]["type"], "invalid_request_error")
        check("mock says no" in error.message, error.message)
    else:
        raise AssertionError("a refusal was no error")


@cases.each
def rate_limit(model, tag):
    """`retry-after` arrives and is honoured; the second try is served."""
    prompt = script(tag, [{"text": "at last"}], fail=[{"status": 429, "headers": {"retry-after": "1"}}])
    started = time.monotonic()
    equal(ask(model, prompt, of=client.with_options(max_retries=2)).content[0].text, "at last")
    check(time.monotonic() - started >= 0.9, "retry-after was not waited for")
    equal(len(seen(tag)), 2)
    try:
        ask(model, script(tag + "b", [], fail=[{"status": 429, "headers": {"retry-after": "7"}}] * 9))
    except anthropic.RateLimitError as error:
        equal(error.body["error"]["type"], "rate_limit_error")
        equal(error.response.headers["retry-after"], "7")
    else:
        raise AssertionError("a limit was no error")


@cases.platform
def own_rate_limit(model, tag):
    tight = anthropic.Anthropic(api_key=os.environ["TIGHT_KEY"], base_url=os.environ["BASE"], max_retries=0)
    for _ in range(2):
        raw = tight.messages.with_raw_response.create(
            model=model, max_tokens=10, messages=[user(script(tag, [{"text": "in"}]))]
        )
        equal(raw.headers["anthropic-ratelimit-requests-limit"], "2")
    try:
        ask(model, script(tag, [{"text": "in"}]), of=tight)
    except anthropic.RateLimitError as error:
        check(0 < int(error.response.headers["retry-after"]) <= 60, error.response.headers["retry-after"])
    else:
        raise AssertionError("a limit was not held")


@cases.each
def overloaded(model, tag):
    try:
        ask(model, script(tag, [], fail=[{"status": 529 if model.endswith("messages") else 503}] * 9))
    except anthropic.APIStatusError as error:
        equal((error.status_code, error.body["error"]["type"]), (529, "overloaded_error"))
    else:
        raise AssertionError("an overload was no error")


@cases.each
def told_not_to_try_again(model, tag):
    """What the upstream says of another try comes through, and the SDK heeds it."""
    fault = {"status": 429, "headers": {"x-should-retry": "false", "retry-after-ms": "250"}}
    try:
        ask(model, script(tag, [], fail=[fault] * 9), of=client.with_options(max_retries=2))
    except anthropic.RateLimitError as error:
        headers = error.response.headers
        equal((headers["x-should-retry"], headers["retry-after-ms"]), ("false", "250"))
        equal(len(seen(tag)), 1)
    else:
        raise AssertionError("a limit was no error")


@cases.each
def retried(model, tag):
    """Whoever fails once, by whatever, is asked again by the platform or by the SDK."""
    full = {"status": 529 if model.endswith("messages") else 503, "headers": {"retry-after": "0.2"}}
    for number, fault in enumerate([{"status": 500}, {"status": 502, "page": True}, {"status": 0}, full]):
        name = f"{tag}{number}"
        prompt = script(name, [{"text": "again"}], fail=[fault])
        equal(ask(model, prompt, of=client.with_options(max_retries=1)).content[0].text, "again")
        equal(len(seen(name)), 2)


@cases.each
def a_page_instead(model, tag):
    try:
        ask(model, script(tag, [], fail=[{"status": 502, "page": True}] * 9))
    except anthropic.InternalServerError as error:
        if not cases.direct:
            equal(error.body["type"], "error")
            check("<html" not in error.message, error.message)
    else:
        raise AssertionError("a page of HTML was no error")


@cases.each
def broken_streams(model, tag):
    for how in ("error", "cut"):
        prompt = script(tag + how, [{"text": "Half of it."}], broken={"after": 5, "how": how})
        try:
            with client.messages.stream(model=model, max_tokens=10, messages=[user(prompt)]) as stream:
                stream.get_final_message()
        except anthropic.APIStatusError as error:
            kind = "overloaded_error" if how == "error" and model.endswith("messages") else "api_error"
            equal((error.body["type"], error.body["error"]["type"]), ("error", kind))
        except Exception as error:
            check(cases.direct and how == "cut", f"{how}: {error!r}")
        else:
            raise AssertionError(f"{how}: half an answer was taken for a whole one")


@cases.each
def timeouts(model, tag):
    prompt = script(tag, [{"text": "x"}], broken={"after": 0, "how": "hang"})
    try:
        ask(model, prompt, of=client.with_options(timeout=1.0))
    except anthropic.APITimeoutError:
        check(seen_gone(tag), "the upstream was not told that nobody waits any more")
    else:
        raise AssertionError("a silent upstream answered")


@cases.each
def cancelled(model, tag):
    prompt = script(tag, [{"text": "Half of it, and no more."}], broken={"after": 5, "how": "hang"})
    with client.messages.stream(model=model, max_tokens=10, messages=[user(prompt)]) as stream:
        for event in stream:
            if event.type == "text":
                break
    check(seen_gone(tag), "the upstream was not told that nobody listens any more")


@cases.once
def unicode(model, tag):
    words = "\u00e9\u4e2d\U0001f980 \\ \" \n\t\u2028 end"
    with client.messages.stream(
        model=model, max_tokens=10, messages=[user(script(tag, [{"text": words}]))]
    ) as stream:
        equal(stream.get_final_text(), words)


@cases.each
def many_at_once(model, tag):
    import asyncio

    async def all_of_them():
        async with anthropic.AsyncAnthropic(api_key=os.environ["KEY"], base_url=os.environ["BASE"]) as many:
            prompts = [script(f"{tag}n{n}", [{"text": f"number {n}"}]) for n in range(20)]
            return await asyncio.gather(*(ask(model, prompt, of=many) for prompt in prompts))

    equal([message.content[0].text for message in asyncio.run(all_of_them())], [f"number {n}" for n in range(20)])


cases.run()
