// What OpenAI's TypeScript SDK gets from the platform, whatever upstream answers: Responses and Chat Completions.
// The environment is that of `anthropic_cases.py`; it is started in the folder where the SDK is installed.

import { Cases, PIXEL, check, env, equal, refused, require, script, seen, seenGone, user } from "./cases.mjs";

const OpenAI = require("openai").default;
const { zodResponseFormat, zodTextFormat } = require("openai/helpers/zod");
const { VERSION } = require("openai/version");
const { z } = require("zod");

const cases = new Cases("openai", VERSION);
const baseURL = `${env.BASE}/v1`;
const client = new OpenAI({ apiKey: env.KEY, baseURL, maxRetries: 0 });

const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const WEATHER = { type: "function", name: "get_weather", description: "Tells it.", parameters, strict: true };
const CHAT_WEATHER = { type: "function", function: { name: "get_weather", description: "Tells it.", parameters } };
const Person = z.object({ name: z.string(), age: z.number() });
const CITIES = ["Paris", "Bergen å"].map((city) => ({ call: "get_weather", input: { city } }));

function respond(model, prompt, more = {}, options = {}, of = client) {
  return of.responses.create({ model, input: prompt, store: false, ...more }, options);
}

function chat(model, prompt, more = {}, options = {}, of = client) {
  return of.chat.completions.create({ model, messages: [user(prompt)], ...more }, options);
}

function responsesUsage(usage) {
  return [usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens, usage.total_tokens];
}

function chatUsage(usage) {
  return [usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens, usage.total_tokens];
}

/** Both APIs, each with what a call of it says; directly at the mock only the one that the model is named for. */
function both(model) {
  const all = {
    responses: async (...given) => (await respond(model, ...given)).output_text,
    chat: async (...given) => (await chat(model, ...given)).choices[0].message.content,
  };
  return Object.entries(all).filter(([name]) => !cases.direct || model === `via-${name}`);
}

function told({ output_config, text, response_format }) {
  return JSON.stringify([output_config, text, response_format]);
}

cases.each("responses_text", async (model, tag) => {
  const { data: response, request_id } = await respond(model, script(tag, [[{ text: "Hello, you." }]]), {
    instructions: "Be brief.",
  }).withResponse();
  equal(response.output_text, "Hello, you.");
  equal([response.object, response.status, response.error], ["response", "completed", null]);
  equal(responsesUsage(response.usage), [150, 40, 25, 175]);
  check(request_id.startsWith("req_"), request_id);
  check(JSON.stringify((await seen(tag))[0].body).includes("Be brief."), "the instructions did not arrive");
});

cases.each("responses_stream", async (model, tag) => {
  const input = script(tag, [[{ think: "Let me think about it." }, { text: "Hello, all of you." }]]);
  const settings = { model, input, store: false, reasoning: { effort: "low", summary: "auto" } };
  const stream = client.responses.stream(settings);
  const deltas = [];
  const kinds = [];
  const numbers = [];
  for await (const event of stream) {
    kinds.push(event.type);
    numbers.push(event.sequence_number);
    if (event.type === "response.output_text.delta") deltas.push(event.delta);
  }
  const final = await stream.finalResponse();
  equal(deltas.join(""), "Hello, all of you.");
  check(deltas.length > 1, "the text came in one piece");
  equal(numbers, [...numbers.keys()]);
  equal([kinds[0], kinds.at(-1)], ["response.created", "response.completed"]);
  equal(final.output.map((item) => item.type), ["reasoning", "message"]);
  const parts = final.output[0].summary.length ? final.output[0].summary : final.output[0].content;
  equal(parts.map((part) => part.text).join(""), "Let me think about it.");
  equal(responsesUsage(final.usage), [150, 40, 25, 175]);
});

cases.each("responses_tools", async (model, tag) => {
  const turns = [[{ think: "Two cities." }, ...CITIES], [{ text: "Sun and {result}." }]];
  const input = [user(script(tag, turns))];
  const settings = { model, tools: [WEATHER], store: false, include: ["reasoning.encrypted_content"] };
  settings.reasoning = { effort: "medium", summary: "auto" };
  const answers = [
    await client.responses.stream({ input, ...settings }).finalResponse(),
    await client.responses.create({ input, ...settings }),
  ];
  for (const response of answers) {
    equal(response.output.map((item) => item.type), ["reasoning", "function_call", "function_call"]);
    const given = response.output.slice(1).map((call) => JSON.parse(call.arguments));
    equal(given, [{ city: "Paris" }, { city: "Bergen å" }]);
    check(response.output[1].call_id !== response.output[2].call_id, "two calls with one id");
    if (!model.endsWith("chat")) check(response.output[0].encrypted_content, "reasoning without encrypted content");
  }
  const { output } = answers[1];
  const result = (index, words) => ({ type: "function_call_output", call_id: output[index].call_id, output: words });
  const next = [...input, ...output, result(1, "sun"), result(2, [{ type: "input_text", text: "rain" }])];
  equal((await client.responses.create({ input: next, ...settings })).output_text, "Sun and rain.");
  const body = JSON.stringify((await seen(tag)).at(-1).body);
  for (const word of ["Bergen å", "rain", `_${tag}_0_1`, `_${tag}_0_2`]) {
    check(body.includes(word), `${word} did not arrive upstream: ${body}`);
  }
  if (!model.endsWith("chat")) check(body.includes(`sig_${tag}_0_0`), `the reasoning did not arrive: ${body}`);
});

cases.each("responses_stop", async (model, tag) => {
  const cut = script(tag, [[{ text: "Cut he" }]], { stop: "max_tokens" });
  const response = await respond(model, cut, { max_output_tokens: 100 });
  equal([response.status, response.incomplete_details.reason], ["incomplete", "max_output_tokens"]);
  const kinds = [];
  for await (const event of await respond(model, cut, { stream: true })) kinds.push(event.type);
  equal(kinds.at(-1), "response.incomplete");
});

cases.each("responses_images", async (model, tag) => {
  const text = { type: "input_text", text: script(tag, [[{ text: "A pixel." }]]) };
  const image = { type: "input_image", image_url: `data:image/png;base64,${PIXEL}`, detail: "auto" };
  equal((await respond(model, [user([text, image])])).output_text, "A pixel.");
  check(JSON.stringify((await seen(tag))[0].body).includes(PIXEL), "the image did not arrive");
});

cases.each("responses_structured_output", async (model, tag) => {
  const input = script(tag, [[{ text: '{"name":"Ada","age":36}' }]]);
  const text = { format: zodTextFormat(Person, "person") };
  const response = await client.responses.parse({ model, input, text, store: false });
  equal(response.output_parsed, { name: "Ada", age: 36 });
  const schema = told((await seen(tag))[0].body);
  check(schema.includes("json_schema") && schema.includes("age"), `the schema did not arrive: ${schema}`);
});

cases.platformEach("responses_stored", async (model, tag) => {
  const first = await client.responses.create({ model, input: script(tag, [[{ text: "I am the first." }]]) });
  equal((await client.responses.retrieve(first.id)).output_text, "I am the first.");
  const input = script(tag, [[{ text: "I am the second." }]]);
  const second = await client.responses.create({ model, input, previous_response_id: first.id });
  equal([second.output_text, second.previous_response_id], ["I am the second.", first.id]);
  const body = JSON.stringify((await seen(tag)).at(-1).body);
  check(body.includes("I am the first."), "what was before did not arrive upstream");
  const items = [];
  for await (const item of client.responses.inputItems.list(second.id)) items.push(item);
  check(JSON.stringify(items).includes("script:"), items);
  await client.responses.delete(first.id);
  await refused(OpenAI.NotFoundError, () => client.responses.retrieve(first.id));
});

cases.platformEach("conversations", async (model, tag) => {
  const conversation = await client.conversations.create({ metadata: { of: "a test" } });
  for (const words of ["one", "two"]) {
    const input = script(tag, [[{ text: `I say ${words}.` }]]);
    const response = await client.responses.create({ model, input, conversation: conversation.id });
    equal(response.output_text, `I say ${words}.`);
  }
  const roles = [];
  for await (const item of client.conversations.items.list(conversation.id, { order: "asc" })) {
    if (item.type === "message") roles.push(item.role);
  }
  equal(roles, ["user", "assistant", "user", "assistant"]);
  equal((await client.conversations.delete(conversation.id)).deleted, true);
});

cases.platformEach("responses_compact", async (model, tag) => {
  const said = script(tag, [[{ text: "They said hello." }]]);
  const compacted = await client.responses.compact({ model, input: [user(said), { role: "assistant", content: "Hi." }] });
  equal(compacted.object, "response.compaction");
  const next = user(script(tag, [[{ text: "Going on." }]]));
  equal((await respond(model, [...compacted.output, next])).output_text, "Going on.");
});

cases.each("responses_compaction", async (model, tag) => {
  const context_management = [{ type: "compaction", compact_threshold: 60000 }];
  const input = [user(script(tag, [[{ compact: "They said hello." }, { text: "Going on." }]]))];
  const settings = { model, store: false, context_management };
  const final = await client.responses.stream({ ...settings, input }).finalResponse();
  check(final.output_text.endsWith("Going on."), final.output_text);
  const { body } = (await seen(tag))[0];
  if (model.endsWith("chat")) return;
  equal(final.output.map((item) => item.type), ["compaction", "message"]);
  const edit = { type: "compact_20260112", trigger: { type: "input_tokens", value: 60000 } };
  equal(body.context_management, model.endsWith("messages") ? { edits: [edit] } : context_management);
  const next = [...input, ...final.output, user(script(tag, [[{ text: "Yes." }]]))];
  equal((await client.responses.create({ ...settings, input: next })).output_text, "Yes.");
  const last = JSON.stringify((await seen(tag)).at(-1).body);
  check(last.includes(`sealed_${tag}_0_0`), `the compaction did not go back: ${last}`);
});

cases.each("chat_text", async (model, tag) => {
  const { data: completion, request_id } = await chat(model, script(tag, [[{ text: "Hello, you." }]])).withResponse();
  const [choice] = completion.choices;
  const { role, content } = choice.message;
  equal([role, content, choice.finish_reason], ["assistant", "Hello, you.", "stop"]);
  equal(chatUsage(completion.usage), [150, 40, 25, 175]);
  check(request_id.startsWith("req_"), request_id);
});

cases.each("chat_stream", async (model, tag) => {
  const prompt = script(tag, [[{ think: "Hm, hm, hm." }, { text: "Hello, all of you." }]]);
  const more = { stream: true, stream_options: { include_usage: true } };
  const chunks = [];
  for await (const chunk of await chat(model, prompt, more)) chunks.push(chunk);
  const deltas = chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean);
  equal(deltas.join(""), "Hello, all of you.");
  check(deltas.length > 1, "the text came in one piece");
  equal(chunks[0].choices[0].delta.role, "assistant");
  equal(chatUsage(chunks.at(-1).usage), [150, 40, 25, 175]);
  equal(chunks.at(-2).choices[0].finish_reason, "stop");
});

cases.each("chat_tools", async (model, tag) => {
  const turns = [[{ text: "I look." }, ...CITIES], [{ text: "Sun and {result}." }]];
  const messages = [user(script(tag, turns))];
  const settings = { model, messages, tools: [CHAT_WEATHER], parallel_tool_calls: true };
  const answers = [
    await client.chat.completions.stream(settings).finalChatCompletion(),
    await client.chat.completions.create(settings),
  ];
  for (const { choices } of answers) {
    const { content, tool_calls } = choices[0].message;
    equal([content, choices[0].finish_reason], ["I look.", "tool_calls"]);
    const given = tool_calls.map((call) => JSON.parse(call.function.arguments));
    equal(given, [{ city: "Paris" }, { city: "Bergen å" }]);
    check(tool_calls[0].id !== tool_calls[1].id, "two calls with one id");
  }
  const { message } = answers[1].choices[0];
  const result = (index, content) => ({ role: "tool", tool_call_id: message.tool_calls[index].id, content });
  const next = [...messages, message, result(0, "sun"), result(1, "rain")];
  const final = await client.chat.completions.create({ ...settings, messages: next });
  equal(final.choices[0].message.content, "Sun and rain.");
  const body = JSON.stringify((await seen(tag)).at(-1).body);
  for (const word of ["Bergen å", "rain", `_${tag}_0_1`, `_${tag}_0_2`]) {
    check(body.includes(word), `${word} did not arrive upstream: ${body}`);
  }
});

cases.each("chat_runner", async (model, tag) => {
  const prompt = script(tag, [[{ call: "get_weather", input: { city: "Oslo" } }], [{ text: "It is {result}." }]]);
  const tool = structuredClone(CHAT_WEATHER);
  Object.assign(tool.function, { parse: JSON.parse, function: ({ city }) => `snow in ${city}` });
  const runner = client.chat.completions.runTools({ model, messages: [user(prompt)], tools: [tool] });
  equal(await runner.finalContent(), "It is snow in Oslo.");
});

cases.each("chat_stop", async (model, tag) => {
  const completion = await chat(model, script(tag, [[{ text: "Cut he" }]], { stop: "max_tokens" }));
  equal(completion.choices[0].finish_reason, "length");
});

cases.each("chat_images", async (model, tag) => {
  const text = { type: "text", text: script(tag, [[{ text: "A pixel." }]]) };
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } };
  equal((await chat(model, [text, image])).choices[0].message.content, "A pixel.");
  check(JSON.stringify((await seen(tag))[0].body).includes(PIXEL), "the image did not arrive");
});

cases.each("chat_structured_output", async (model, tag) => {
  const messages = [user(script(tag, [[{ text: '{"name":"Ada","age":36}' }]]))];
  const response_format = zodResponseFormat(Person, "person");
  const completion = await client.chat.completions.parse({ model, messages, response_format });
  equal(completion.choices[0].message.parsed, { name: "Ada", age: 36 });
  const schema = told((await seen(tag))[0].body);
  check(schema.includes("json_schema") && schema.includes("age"), `the schema did not arrive: ${schema}`);
});

cases.platform("models", async (model) => {
  const listed = [];
  for await (const each of client.models.list()) listed.push(each.id);
  for (const name of cases.models) check(listed.includes(name), `${name} is not in ${listed}`);
  equal((await client.models.retrieve(model)).id, model);
  await refused(OpenAI.NotFoundError, () => client.models.retrieve("no-such-model"));
});

cases.platform("no_such_key", async (model) => {
  const wrong = new OpenAI({ apiKey: "qk-wrong", baseURL, maxRetries: 0 });
  for (const [, call] of both(model)) {
    const error = await refused(OpenAI.AuthenticationError, () => call("x", {}, {}, wrong));
    equal([error.status, error.code], [401, "invalid_api_key"]);
    check(error.requestID?.startsWith("req_"), `no request id: ${error.requestID}`);
  }
});

cases.platform("no_such_model", async () => {
  for (const [, call] of both("no-such-model")) {
    const error = await refused(OpenAI.NotFoundError, () => call("x"));
    equal([error.status, error.code], [404, "model_not_found"]);
  }
});

cases.each("an_upstreams_refusal", async (model, tag) => {
  for (const [, call] of both(model)) {
    const prompt = script(tag, [], { fail: Array(9).fill({ status: 400 }) });
    const error = await refused(OpenAI.BadRequestError, () => call(prompt));
    check(error.message.includes("mock says no"), error.message);
  }
});

cases.each("rate_limit", async (model, tag) => {
  for (const [which, call] of both(model)) {
    const name = tag + which;
    const fault = { status: 429, headers: { "retry-after": "1" } };
    const prompt = script(name, [[{ text: "at last" }]], { fail: [fault] });
    const started = Date.now();
    equal(await call(prompt, {}, { maxRetries: 2 }), "at last");
    check(Date.now() - started >= 900, "retry-after was not waited for");
    equal((await seen(name)).length, 2);
    const never = script(`${name}b`, [], { fail: Array(9).fill({ status: 429, headers: { "retry-after": "7" } }) });
    const error = await refused(OpenAI.RateLimitError, () => call(never));
    equal([error.code, error.headers.get("retry-after")], ["rate_limit_exceeded", "7"]);
  }
});

cases.each("overloaded", async (model, tag) => {
  const status = model.endsWith("messages") ? 529 : 503;
  for (const [, call] of both(model)) {
    const prompt = script(tag, [], { fail: Array(9).fill({ status }) });
    equal((await refused(OpenAI.InternalServerError, () => call(prompt))).status, 503);
  }
});

cases.each("told_not_to_try_again", async (model, tag) => {
  for (const [which, call] of both(model)) {
    const fault = { status: 429, headers: { "x-should-retry": "false", "retry-after-ms": "250" } };
    const prompt = script(tag + which, [], { fail: Array(9).fill(fault) });
    const { headers } = await refused(OpenAI.RateLimitError, () => call(prompt, {}, { maxRetries: 2 }));
    equal([headers.get("x-should-retry"), headers.get("retry-after-ms")], ["false", "250"]);
    equal((await seen(tag + which)).length, 1);
  }
});

cases.each("retried", async (model, tag) => {
  const full = { status: model.endsWith("messages") ? 529 : 503, headers: { "retry-after": "0.2" } };
  const faults = [{ status: 500 }, { status: 502, page: true }, { status: 0 }, full];
  for (const [number, fault] of faults.entries()) {
    for (const [which, call] of both(model)) {
      const name = tag + number + which;
      equal(await call(script(name, [[{ text: "again" }]], { fail: [fault] }), {}, { maxRetries: 1 }), "again");
      equal((await seen(name)).length, 2);
    }
  }
});

cases.each("broken_streams", async (model, tag) => {
  for (const how of ["error", "cut"]) {
    for (const [which] of both(model)) {
      const prompt = script(tag + how, [[{ text: "Half of it." }]], { broken: { after: 4, how } });
      let last;
      try {
        const stream = await (which === "chat" ? chat : respond)(model, prompt, { stream: true });
        for await (const event of stream) last = event;
      } catch (error) {
        check((cases.direct && how === "cut") || error instanceof OpenAI.APIError, `${how}: ${error}`);
        continue;
      }
      // Responses says that it failed in an event, which is no exception in this SDK.
      const failed = ["response.failed", "error"].includes(last?.type);
      check(failed || (cases.direct && how === "cut"), `${how}: half an answer was taken for a whole one`);
    }
  }
});

cases.each("timeouts", async (model, tag) => {
  for (const [which, call] of both(model)) {
    const prompt = script(tag + which, [[{ text: "x" }]], { broken: { after: 0, how: "hang" } });
    await refused(OpenAI.APIConnectionTimeoutError, () => call(prompt, {}, { timeout: 1000 }));
    check(await seenGone(tag + which), "the upstream was not told that nobody waits any more");
  }
});

cases.each("cancelled", async (model, tag) => {
  for (const [which] of both(model)) {
    const prompt = script(tag + which, [[{ text: "Half of it, and no more." }]], { broken: { after: 6, how: "hang" } });
    const stream = await (which === "chat" ? chat : respond)(model, prompt, { stream: true });
    let count = 0;
    for await (const _ of stream) if (++count === 2) break;
    stream.controller.abort();
    check(await seenGone(tag + which), "the upstream was not told that nobody listens any more");
  }
});

if (cases.direct) {
  // Each API has its own upstream alone.
  cases.all = cases.all.filter(({ name, model }) => {
    const of = name.startsWith("responses") ? "via-responses" : name.startsWith("chat") ? "via-chat" : model;
    return of === model;
  });
}
await cases.run();
