// What Anthropic's TypeScript SDK gets from the platform, whatever upstream answers. The environment is that of
// `anthropic_cases.py`; it is started in the folder where the SDK is installed.

import { Cases, PIXEL, check, env, equal, refused, require, script, seen, seenGone, user } from "./cases.mjs";

const Anthropic = require("@anthropic-ai/sdk").default;
const { jsonSchemaOutputFormat } = require("@anthropic-ai/sdk/helpers/json-schema");
const { betaTool } = require("@anthropic-ai/sdk/helpers/beta/json-schema");
const { toFile } = require("@anthropic-ai/sdk");
const { VERSION } = require("@anthropic-ai/sdk/version");

const cases = new Cases("@anthropic-ai/sdk", VERSION);
const client = new Anthropic({ apiKey: env.KEY, baseURL: env.BASE, maxRetries: 0 });

const WEATHER = {
  name: "get_weather",
  description: "Tells the weather of a place.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const ADAPTIVE = { type: "adaptive", display: "summarized" };

function ask(model, prompt, more = {}, of = client, options = {}) {
  return of.messages.create({ model, max_tokens: 1000, messages: [user(prompt)], ...more }, options);
}

function usageOf(usage) {
  return [usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens, usage.output_tokens];
}

cases.each("text", async (model, tag) => {
  const { data: message, response, request_id } = await ask(model, script(tag, [[{ text: "Hello, you." }]]), {
    system: "Be brief.",
  }).withResponse();
  equal(message.content[0].text, "Hello, you.");
  equal([message.role, message.type, message.stop_reason], ["assistant", "message", "end_turn"]);
  equal(usageOf(message.usage), [100, 40, 10, 25]);
  check(request_id.startsWith("req_"), request_id);
  equal(message._request_id, response.headers.get("request-id"));
  check(JSON.stringify((await seen(tag))[0].body).includes("Be brief."), "the system prompt did not arrive");
});

cases.each("stream", async (model, tag) => {
  const prompt = script(tag, [[{ think: "Let me think about it." }, { text: "Hello, all of you." }]]);
  const deltas = [];
  const kinds = [];
  const stream = client.messages.stream({ model, max_tokens: 1000, thinking: ADAPTIVE, messages: [user(prompt)] });
  stream.on("text", (text) => deltas.push(text));
  for await (const event of stream) kinds.push(event.type);
  const final = await stream.finalMessage();
  equal(deltas.join(""), "Hello, all of you.");
  check(deltas.length > 1, "the text came in one piece");
  equal(final.content.map((block) => block.type), ["thinking", "text"]);
  equal(final.content[0].thinking, "Let me think about it.");
  check(final.content[0].signature, "thinking without a signature");
  equal(final.stop_reason, "end_turn");
  equal(usageOf(final.usage), [100, 40, 10, 25]);
  equal([kinds[0], kinds.at(-1)], ["message_start", "message_stop"]);
});

cases.each("tools", async (model, tag) => {
  const cities = ["Paris", "Bergen å"].map((city) => ({ call: "get_weather", input: { city } }));
  const turns = [[{ think: "Two cities." }, { text: "I look." }, ...cities], [{ text: "Sun and {result}." }]];
  const messages = [user(script(tag, turns))];
  const settings = { model, max_tokens: 1000, tools: [WEATHER], thinking: ADAPTIVE, messages };
  const both = [await client.messages.stream(settings).finalMessage(), await client.messages.create(settings)];
  for (const message of both) {
    equal(message.content.map((block) => block.type), ["thinking", "text", "tool_use", "tool_use"]);
    const calls = message.content.slice(2);
    equal(calls.map((call) => call.input), [{ city: "Paris" }, { city: "Bergen å" }]);
    check(calls[0].id !== calls[1].id, "two calls with one id");
    equal(message.stop_reason, "tool_use");
  }
  const { content } = both[1];
  const result = (index, words) => ({ type: "tool_result", tool_use_id: content[index].id, content: words });
  const results = user([result(2, "sun"), result(3, [{ type: "text", text: "rain" }])]);
  const final = await client.messages.create({
    ...settings,
    messages: [...messages, { role: "assistant", content }, results],
  });
  equal(final.content[0].text, "Sun and rain.");
  const body = JSON.stringify((await seen(tag)).at(-1).body);
  for (const word of [`_${tag}_0_2`, `_${tag}_0_3`, "Bergen å", "rain"]) {
    check(body.includes(word), `${word} did not arrive upstream: ${body}`);
  }
  if (!model.endsWith("chat")) check(body.includes(`sig_${tag}_0_0`), `the signature did not arrive: ${body}`);
});

cases.each("tool_runner", async (model, tag) => {
  const tool = betaTool({
    name: "get_weather",
    description: "Tells it.",
    inputSchema: WEATHER.input_schema,
    run: ({ city }) => `snow in ${city}`,
  });
  const prompt = script(tag, [[{ call: "get_weather", input: { city: "Oslo" } }], [{ text: "It is {result}." }]]);
  const runner = client.beta.messages.toolRunner({ model, max_tokens: 1000, tools: [tool], messages: [user(prompt)] });
  equal((await runner.runUntilDone()).content[0].text, "It is snow in Oslo.");
});

cases.each("stop_reasons", async (model, tag) => {
  const cut = script(tag, [[{ text: "Cut he" }]], { stop: "max_tokens" });
  equal((await ask(model, cut)).stop_reason, "max_tokens");
  const stream = client.messages.stream({ model, max_tokens: 1000, messages: [user(cut)] });
  equal((await stream.finalMessage()).stop_reason, "max_tokens");
  equal((await ask(model, script(tag, [[{ refuse: "No." }]]))).stop_reason, "refusal");
});

cases.each("images", async (model, tag) => {
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } };
  const message = await ask(model, [image, { type: "text", text: script(tag, [[{ text: "A pixel." }]]) }]);
  equal(message.content[0].text, "A pixel.");
  check(JSON.stringify((await seen(tag))[0].body).includes(PIXEL), "the image did not arrive");
});

cases.each("structured_output", async (model, tag) => {
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer" } },
    required: ["name", "age"],
    additionalProperties: false,
  };
  const message = await client.messages.parse({
    model,
    max_tokens: 1000,
    output_config: { format: jsonSchemaOutputFormat(schema) },
    messages: [user(script(tag, [[{ text: '{"name":"Ada","age":36}' }]]))],
  });
  equal(message.parsed_output, { name: "Ada", age: 36 });
  const { output_config, text, response_format } = (await seen(tag))[0].body;
  const told = JSON.stringify([output_config, text, response_format]);
  check(told.includes("json_schema") && told.includes("age"), `the schema did not arrive: ${told}`);
});

cases.each("an_effort_and_a_schema", async (model, tag) => {
  const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"], additionalProperties: false };
  const output_config = { effort: "max", format: { type: "json_schema", schema } };
  const message = await ask(model, script(tag, [[{ text: '{"name":"Ada"}' }]]), { output_config });
  equal(message.content[0].text, '{"name":"Ada"}');
  const { body } = (await seen(tag))[0];
  if (model.endsWith("messages")) equal(body.output_config, output_config);
  else if (model.endsWith("responses")) equal([body.reasoning.effort, body.text.format.schema], ["max", schema]);
  else equal([body.reasoning_effort, body.response_format.json_schema.schema], ["max", schema]);
});

cases.each("compaction", async (model, tag) => {
  const settings = {
    model,
    max_tokens: 1000,
    betas: ["compact-2026-01-12"],
    context_management: { edits: [{ type: "compact_20260112", trigger: { type: "input_tokens", value: 50000 } }] },
  };
  const prompt = user(script(tag, [[{ compact: "They said hello." }, { text: "Going on." }]]));
  if (model.endsWith("chat")) {
    equal((await client.beta.messages.create({ ...settings, messages: [prompt] })).content.at(-1).text, "Going on.");
    return;
  }
  const final = await client.beta.messages.stream({ ...settings, messages: [prompt] }).finalMessage();
  equal(final.content.map((block) => block.type), ["compaction", "text"]);
  check(final.content[0].content, "a summary without words, which is one that failed");
  if (model.endsWith("messages")) {
    equal([final.content[0].content, final.content[0].encrypted_content], ["They said hello.", `sealed_${tag}_0_0`]);
  }
  const next = user(script(tag, [[{ text: "Yes." }]]));
  const messages = [prompt, { role: "assistant", content: final.content }, next];
  equal((await client.beta.messages.create({ ...settings, messages })).content[0].text, "Yes.");
  const arrived = (await seen(tag)).at(-1);
  check(JSON.stringify(arrived.body).includes(`sealed_${tag}_0_0`), "the block did not go back");
});

cases.each("compaction_on_demand", async (model, tag) => {
  const messages = [user(script(tag, [[{ compact: "They said hello." }]], { stop: "compaction" }))];
  const settings = { model, max_tokens: 1000, betas: ["compact-2026-09-04"], messages, compaction: { type: "summarize" } };
  if (!model.endsWith("messages")) {
    const error = await refused(Anthropic.BadRequestError, () => client.beta.messages.create(settings));
    check(error.message.includes("compaction"), error.message);
    return;
  }
  const final = await client.beta.messages.stream(settings).finalMessage();
  equal([final.stop_reason, final.content.map((block) => block.type)], ["compaction", ["compaction"]]);
  equal((await seen(tag))[0].body.compaction, { type: "summarize" });
});

cases.each("context_edits", async (model, tag) => {
  const edits = [
    { type: "clear_thinking_20251015", keep: { type: "thinking_turns", value: 2 } },
    { type: "clear_tool_uses_20250919", trigger: { type: "input_tokens", value: 30000 }, keep: { type: "tool_uses", value: 3 } },
  ];
  const messages = [user(script(tag, [[{ text: "Going on." }]]))];
  const settings = { model, max_tokens: 1000, betas: ["context-management-2025-06-27"], context_management: { edits }, messages };
  const { data, response } = await client.beta.messages.create(settings).withResponse();
  const final = await client.beta.messages.stream(settings).finalMessage();
  equal([data.content[0].text, final.content[0].text], ["Going on.", "Going on."]);
  if (!model.endsWith("messages")) {
    const dropped = response.headers.get("quire-dropped");
    check(dropped.includes("clear_thinking_20251015") && !dropped.includes("clear_tool_uses"), dropped);
    for (const each of [data, final]) equal(each.context_management.applied_edits, []);
    return;
  }
  equal((await seen(tag))[0].body.context_management, { edits });
  for (const each of [data, final]) {
    equal(each.context_management.applied_edits.map((edit) => edit.type), edits.map((edit) => edit.type));
  }
});

cases.each("count_tokens", async (model) => {
  const counted = await client.messages.countTokens({ model, messages: [user("How many are these?")] });
  check(counted.input_tokens > 0, counted);
});

cases.platform("models", async (model) => {
  const listed = [];
  for await (const info of client.models.list({ limit: 1 })) listed.push(info.id);
  for (const name of cases.models) check(listed.includes(name), `${name} is not in ${listed}`);
  const info = await client.models.retrieve(model);
  equal([info.id, info.type], [model, "model"]);
  await refused(Anthropic.NotFoundError, () => client.models.retrieve("no-such-model"));
});

cases.platform("files", async () => {
  const api = client.files ?? client.beta.files;
  const words = "What is written in a file.\n".repeat(1000);
  const file = await api.upload({ file: await toFile(Buffer.from(words), "notes.txt", { type: "text/plain" }) });
  equal([file.filename, file.mime_type, file.size_bytes], ["notes.txt", "text/plain", words.length]);
  equal((await api.retrieveMetadata(file.id)).id, file.id);
  const listed = [];
  for await (const each of api.list()) listed.push(each.id);
  check(listed.includes(file.id), "it is not in the list");
  if (file.downloadable) equal(await (await api.download(file.id)).text(), words);
  await api.delete(file.id);
  await refused(Anthropic.NotFoundError, () => api.retrieveMetadata(file.id));
});

cases.platformEach("batches", async (model, tag) => {
  const params = (text) => ({ model, max_tokens: 100, messages: [user(script(tag, [[{ text }]]))] });
  const never = script(`${tag}bad`, [], { fail: Array(9).fill({ status: 400 }) });
  const requests = [0, 1, 2].map((n) => ({ custom_id: `r${n}`, params: params(`answer ${n}`) }));
  requests.push({ custom_id: "bad", params: { ...params("never"), messages: [user(never)] } });
  let batch = await client.messages.batches.create({ requests });
  equal([batch.type, batch.processing_status], ["message_batch", "in_progress"]);
  const until = Date.now() + 60_000;
  while (batch.processing_status !== "ended") {
    check(Date.now() < until, "a batch of four takes more than a minute");
    await new Promise((resolve) => setTimeout(resolve, 200));
    batch = await client.messages.batches.retrieve(batch.id);
  }
  equal([batch.request_counts.succeeded, batch.request_counts.errored], [3, 1]);
  const results = {};
  for await (const each of await client.messages.batches.results(batch.id)) results[each.custom_id] = each.result;
  equal(results.r1.message.content[0].text, "answer 1");
  equal(results.bad.error.error.type, "invalid_request_error");
  await client.messages.batches.delete(batch.id);
});

cases.platform("no_such_key", async (model) => {
  for (const header of [{ apiKey: "qk-wrong" }, { apiKey: null, authToken: "qk-wrong" }]) {
    const wrong = new Anthropic({ baseURL: env.BASE, maxRetries: 0, ...header });
    const error = await refused(Anthropic.AuthenticationError, () => ask(model, "x", {}, wrong));
    equal([error.status, error.error.error.type], [401, "authentication_error"]);
    check(error.requestID?.startsWith("req_"), `no request id: ${error.requestID}`);
  }
});

cases.platform("no_such_model", async () => {
  const error = await refused(Anthropic.NotFoundError, () => ask("no-such-model", "x"));
  equal(error.error.error.type, "not_found_error");
});

cases.each("an_upstreams_refusal", async (model, tag) => {
  const prompt = script(tag, [], { fail: Array(9).fill({ status: 400 }) });
  const error = await refused(Anthropic.BadRequestError, () => ask(model, prompt));
  equal(error.error.error.type, "invalid_request_error");
  check(error.message.includes("mock says no"), error.message);
});

cases.each("rate_limit", async (model, tag) => {
  const fault = { status: 429, headers: { "retry-after": "1" } };
  const prompt = script(tag, [[{ text: "at last" }]], { fail: [fault] });
  const started = Date.now();
  equal((await ask(model, prompt, {}, client, { maxRetries: 2 })).content[0].text, "at last");
  check(Date.now() - started >= 900, "retry-after was not waited for");
  equal((await seen(tag)).length, 2);
  const never = script(`${tag}b`, [], { fail: Array(9).fill({ status: 429, headers: { "retry-after": "7" } }) });
  const error = await refused(Anthropic.RateLimitError, () => ask(model, never));
  equal([error.error.error.type, error.headers.get("retry-after")], ["rate_limit_error", "7"]);
});

cases.each("overloaded", async (model, tag) => {
  const status = model.endsWith("messages") ? 529 : 503;
  const prompt = script(tag, [], { fail: Array(9).fill({ status }) });
  const error = await refused(Anthropic.InternalServerError, () => ask(model, prompt));
  equal([error.status, error.error.error.type], [529, "overloaded_error"]);
});

cases.each("told_not_to_try_again", async (model, tag) => {
  const fault = { status: 429, headers: { "x-should-retry": "false", "retry-after-ms": "250" } };
  const prompt = script(tag, [], { fail: Array(9).fill(fault) });
  const { headers } = await refused(Anthropic.RateLimitError, () => ask(model, prompt, {}, client, { maxRetries: 2 }));
  equal([headers.get("x-should-retry"), headers.get("retry-after-ms")], ["false", "250"]);
  equal((await seen(tag)).length, 1);
});

cases.each("retried", async (model, tag) => {
  const full = { status: model.endsWith("messages") ? 529 : 503, headers: { "retry-after": "0.2" } };
  const faults = [{ status: 500 }, { status: 502, page: true }, { status: 0 }, full];
  for (const [number, fault] of faults.entries()) {
    const name = `${tag}${number}`;
    const prompt = script(name, [[{ text: "again" }]], { fail: [fault] });
    equal((await ask(model, prompt, {}, client, { maxRetries: 1 })).content[0].text, "again");
    equal((await seen(name)).length, 2);
  }
});

cases.each("broken_streams", async (model, tag) => {
  for (const how of ["error", "cut"]) {
    const prompt = script(tag + how, [[{ text: "Half of it." }]], { broken: { after: 5, how } });
    const stream = client.messages.stream({ model, max_tokens: 10, messages: [user(prompt)] });
    const error = await refused(Error, () => stream.finalMessage());
    if (!cases.direct || how === "error") {
      const kind = how === "error" && model.endsWith("messages") ? "overloaded_error" : "api_error";
      check(error instanceof Anthropic.APIError && error.error?.error?.type === kind, `${how}: ${error}`);
    }
  }
});

cases.each("timeouts", async (model, tag) => {
  const prompt = script(tag, [[{ text: "x" }]], { broken: { after: 0, how: "hang" } });
  await refused(Anthropic.APIConnectionTimeoutError, () => ask(model, prompt, {}, client, { timeout: 1000 }));
  check(await seenGone(tag), "the upstream was not told that nobody waits any more");
});

cases.each("cancelled", async (model, tag) => {
  const prompt = script(tag, [[{ text: "Half of it, and no more." }]], { broken: { after: 5, how: "hang" } });
  const stream = await ask(model, prompt, { stream: true });
  for await (const event of stream) if (event.type === "content_block_delta") break;
  stream.controller.abort();
  check(await seenGone(tag), "the upstream was not told that nobody listens any more");
});

await cases.run();
