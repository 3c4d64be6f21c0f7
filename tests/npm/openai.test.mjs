// The official openai package against a server that runs: what programs that exist will do. Knows the server by its address alone.
//
//   KIDOGO_URL=http://127.0.0.1:8080 KIDOGO_KEY=… KIDOGO_LIMITED_KEY=… KIDOGO_MODEL=tiny KIDOGO_ENCODER=tiny-encoder node --test openai.test.mjs
//
// NodeClientTests.cs starts such a server. The limited key may ask once a minute; the model's context holds 20,000 tokens, and it never ends by itself.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';

const { KIDOGO_URL: url, KIDOGO_KEY: apiKey, KIDOGO_LIMITED_KEY: limitedKey, KIDOGO_MODEL: model, KIDOGO_ENCODER: encoder } = process.env;
const baseURL = `${url}/v1`;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Habari?' }];
const asked = { model, messages, temperature: 0, max_tokens: 24 };
const town = { type: 'object', properties: { town: { enum: ['Dakar', 'Moshi'] }, days: { type: 'integer', minimum: 1, maximum: 9 } }, required: ['town', 'days'], additionalProperties: false };
const tool = { type: 'function', function: { name: 'get_weather', description: 'Weather of a town', strict: true, parameters: town } };
const other = { type: 'function', function: { name: 'get_time', strict: true, parameters: { type: 'object', properties: { utc: { type: 'boolean' } }, required: ['utc'], additionalProperties: false } } };

function checkTown(text) {
  const value = JSON.parse(text);
  assert.ok(['Dakar', 'Moshi'].includes(value.town), text);
  assert.ok(Number.isInteger(value.days) && value.days >= 1 && value.days <= 9, text);
  assert.equal(Object.keys(value).length, 2);
  return value;
}

async function failure(promise, kind, status) {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof kind, `${error}`);
    assert.equal(error.status, status);
    return error;
  }

  assert.fail('It did not fail.');
}

// Nobody has a place, sooner or later: whoever waits for an answer that takes many minutes would wait in vain.
async function idle() {
  for (let i = 0; i < 3000; i++) {
    const response = await fetch(`${url}/slots`, { headers: { authorization: `Bearer ${apiKey}` } });
    if ((await response.json()).every((slot) => !slot.is_processing)) {
      return;
    }

    await new Promise((resolve) => setTimeout(resolve, 20));
  }

  assert.fail('A place is still taken.');
}

test('models are listed and found', async () => {
  const names = [];
  for await (const each of client.models.list()) {
    names.push(each.id);
  }

  assert.deepEqual(names, [model, encoder]);
  assert.equal((await client.models.retrieve(model)).object, 'model');
});

test('chat: a whole answer has its text, its end and its usage', async () => {
  const answer = await client.chat.completions.create(asked);
  assert.equal(answer.object, 'chat.completion');
  assert.match(answer.id, /^chatcmpl-/);
  assert.equal(answer.model, model);
  const [choice] = answer.choices;
  assert.equal(choice.finish_reason, 'length');
  assert.equal(choice.message.role, 'assistant');
  assert.equal(choice.message.refusal, null);
  assert.equal(choice.message.content.length, 24); // a character a token
  assert.equal(answer.usage.completion_tokens, 24);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + 24);
});

test('chat: a stream is the same text, and its pieces come in order', async () => {
  const whole = (await client.chat.completions.create(asked)).choices[0].message.content;
  const stream = await client.chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } });
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
  }

  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(chunks.slice(0, -1).map((chunk) => chunk.choices[0].delta.content ?? '').join(''), whole);
  assert.deepEqual(chunks.at(-2).choices[0].delta, {});
  assert.equal(chunks.at(-2).choices[0].finish_reason, 'length');
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.completion_tokens, 24);
});

test('chat: the stream helper gathers the same answer', async () => {
  const whole = await client.chat.completions.create(asked);
  const stream = client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
  let text = '';
  stream.on('content', (delta) => (text += delta));
  const final = await stream.finalChatCompletion();
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(final.choices[0].message.content, text);
  assert.deepEqual(final.usage.total_tokens, whole.usage.total_tokens);
});

test('chat: choices, likelihoods, stops, biases and seeds', async () => {
  const several = await client.chat.completions.create({ ...asked, n: 3, temperature: 1.5, seed: 7, logprobs: true, top_logprobs: 2 });
  assert.deepEqual(several.choices.map((choice) => choice.index), [0, 1, 2]);
  assert.equal(new Set(several.choices.map((choice) => choice.message.content)).size, 3);
  for (const choice of several.choices) {
    assert.equal(choice.logprobs.content.map((token) => token.token).join(''), choice.message.content);
    assert.ok(choice.logprobs.content.every((token) => token.logprob <= 0 && token.top_logprobs.length === 2));
  }

  const again = await client.chat.completions.create({ ...asked, n: 3, temperature: 1.5, seed: 7 });
  assert.deepEqual(again.choices.map((choice) => choice.message.content), several.choices.map((choice) => choice.message.content));
  const forced = await client.chat.completions.create({ ...asked, logit_bias: { 65: 100 } });
  assert.equal(forced.choices[0].message.content, 'A'.repeat(24));
  const free = (await client.chat.completions.create(asked)).choices[0].message.content;
  const stopped = await client.chat.completions.create({ ...asked, stop: ['never said', free.slice(6, 9)] });
  assert.equal(stopped.choices[0].message.content, free.slice(0, free.indexOf(free.slice(6, 9))));
  assert.equal(stopped.choices[0].finish_reason, 'stop');
});

test('JSON: a schema is obeyed, whole, parsed and streamed, and an object is an object', async () => {
  const response_format = { type: 'json_schema', json_schema: { name: 'town', description: 'A town and days', strict: true, schema: town } };
  for (let seed = 0; seed < 3; seed++) {
    const answer = await client.chat.completions.parse({ ...asked, max_tokens: 200, temperature: 1.5, seed, response_format });
    checkTown(answer.choices[0].message.content);
    assert.equal(answer.choices[0].finish_reason, 'stop');
  }

  const stream = client.chat.completions.stream({ ...asked, max_tokens: 200, response_format });
  checkTown((await stream.finalChatCompletion()).choices[0].message.content);
  const object = await client.chat.completions.create({ ...asked, response_format: { type: 'json_object' } });
  assert.ok(object.choices[0].message.content.startsWith('{'));
  const error = await failure(client.chat.completions.create({ ...asked, response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { not: {} } } } }), OpenAI.BadRequestError, 400);
  assert.equal(error.param, 'response_format');
});

test('tools: calls that have to come obey, one or several, and none come where none may', async () => {
  const call = { ...asked, max_tokens: 300, tools: [tool, other] };
  const named = await client.chat.completions.create({ ...call, tool_choice: { type: 'function', function: { name: 'get_weather' } }, parallel_tool_calls: false });
  assert.equal(named.choices[0].message.tool_calls.length, 1);
  assert.equal(named.choices[0].message.content, null);
  checkTown(named.choices[0].message.tool_calls[0].function.arguments);
  const required = await client.chat.completions.create({ ...call, tool_choice: 'required', parallel_tool_calls: false });
  assert.equal(required.choices[0].finish_reason, 'tool_calls');
  assert.ok(['get_weather', 'get_time'].includes(required.choices[0].message.tool_calls[0].function.name));
  const several = await client.chat.completions.create({ ...call, tool_choice: 'required', logit_bias: { 257: -100 } });
  assert.ok(several.choices[0].message.tool_calls.length > 1);
  assert.equal(new Set(several.choices[0].message.tool_calls.map((each) => each.id)).size, several.choices[0].message.tool_calls.length);
  const none = await client.chat.completions.create({ ...call, max_tokens: 10, tool_choice: 'none' });
  assert.equal(none.choices[0].message.tool_calls, undefined);
  const auto = await client.chat.completions.create({ ...call, max_tokens: 10, tool_choice: 'auto' });
  assert.equal(auto.choices[0].message.content.length, 10);
});

test('tools: arguments stream, and results are fed back', async () => {
  const call = { ...asked, max_tokens: 300, tools: [tool], tool_choice: { type: 'function', function: { name: 'get_weather' } }, parallel_tool_calls: false };
  const whole = await client.chat.completions.create(call);
  let parts = 0;
  const stream = client.chat.completions.stream(call);
  stream.on('tool_calls.function.arguments.delta', () => parts++);
  const message = (await stream.finalChatCompletion()).choices[0].message;
  assert.equal(message.tool_calls[0].function.arguments, whole.choices[0].message.tool_calls[0].function.arguments);
  assert.ok(parts > 3, `${parts} parts`);
  const { parsed_arguments: _, ...fn } = message.tool_calls[0].function;
  const history = [...messages, { role: 'assistant', content: message.content, tool_calls: [{ ...message.tool_calls[0], function: fn }] }];
  const before = await client.chat.completions.create({ ...asked, tools: [tool], messages: history });
  const after = await client.chat.completions.create({ ...asked, tools: [tool], messages: [...history, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'Sunny.' }] });
  assert.ok(after.usage.prompt_tokens > before.usage.prompt_tokens);
});

test('tools: the runner calls a function of this program', async () => {
  let seen;
  const runner = client.chat.completions.runTools({
    ...asked,
    max_tokens: 300,
    parallel_tool_calls: false,
    tool_choice: { type: 'function', function: { name: 'get_weather' } },
    tools: [{ type: 'function', function: { ...tool.function, parse: JSON.parse, function: (value) => ((seen = value), 'Sunny.') } }],
  });
  await runner.done();
  checkTown(JSON.stringify(seen));
  assert.equal(runner.messages.at(-1).role, 'tool');
  assert.equal(runner.messages.at(-1).content, 'Sunny.');
});

test('completions: texts, ids, echoes with likelihoods, several, streams', async () => {
  const prompt = 'Habari';
  const text = await client.completions.create({ model, prompt, temperature: 0, max_tokens: 12 });
  const ids = await client.completions.create({ model, prompt: [...Buffer.from(prompt)], temperature: 0, max_tokens: 12 });
  assert.equal(text.object, 'text_completion');
  assert.equal(text.choices[0].text, ids.choices[0].text);
  const scored = await client.completions.create({ model, prompt, max_tokens: 0, echo: true, logprobs: 1 });
  assert.equal(scored.choices[0].text, prompt);
  assert.deepEqual(scored.choices[0].logprobs.tokens, [...prompt]);
  assert.equal(scored.choices[0].logprobs.token_logprobs[0], null);
  const several = await client.completions.create({ model, prompt: ['a', 'b'], n: 2, best_of: 3, temperature: 1, max_tokens: 4 });
  assert.deepEqual(several.choices.map((choice) => choice.index), [0, 1, 2, 3]);
  let streamed = '';
  for await (const chunk of await client.completions.create({ model, prompt, temperature: 0, max_tokens: 12, stream: true })) {
    streamed += chunk.choices[0]?.text ?? '';
  }

  assert.equal(streamed, text.choices[0].text);
  const error = await failure(client.completions.create({ model, prompt, suffix: 'x' }), OpenAI.BadRequestError, 400);
  assert.equal(error.param, 'suffix');
});

test('embeddings: as numbers, as the client likes them, cut, and in a batch', async () => {
  const coded = await client.embeddings.create({ model: encoder, input: ['habari', 'maji safi'] }); // the client asks for base64
  const plain = await client.embeddings.create({ model: encoder, input: 'maji safi', encoding_format: 'float' });
  assert.equal(coded.data.length, 2);
  assert.deepEqual(coded.data.map((each) => each.index), [0, 1]);
  assert.deepEqual(plain.data[0].embedding.map(Math.fround), coded.data[1].embedding.map(Math.fround));
  assert.ok(Math.abs(Math.hypot(...plain.data[0].embedding) - 1) < 1e-5);
  const cut = await client.embeddings.create({ model: encoder, input: 'maji safi', dimensions: 8, encoding_format: 'float' });
  assert.equal(cut.data[0].embedding.length, 8);
  assert.ok(plain.usage.prompt_tokens > 0);
  await failure(client.embeddings.create({ model, input: 'a' }), OpenAI.BadRequestError, 400);
  await failure(client.embeddings.create({ model: encoder, input: '' }), OpenAI.BadRequestError, 400);
});

test('responses: whole, streamed, with forms, calls and results', async () => {
  const input = { model, instructions: 'Be brief.', input: 'Habari?', temperature: 0, max_output_tokens: 24, store: false };
  const whole = await client.responses.create(input);
  const chat = await client.chat.completions.create(asked);
  assert.equal(whole.output_text, chat.choices[0].message.content);
  assert.equal(whole.status, 'incomplete');
  assert.equal(whole.incomplete_details.reason, 'max_output_tokens');
  const stream = client.responses.stream(input);
  let text = '';
  stream.on('response.output_text.delta', (event) => (text += event.delta));
  const final = await stream.finalResponse();
  assert.equal(text, whole.output_text);
  assert.equal(final.output_text, text);
  const formed = await client.responses.create({ ...input, max_output_tokens: 200, text: { format: { type: 'json_schema', name: 'town', strict: true, schema: town } } });
  checkTown(formed.output_text);
  const tools = [{ type: 'function', name: 'get_weather', strict: true, parameters: town }];
  const called = await client.responses.create({ ...input, max_output_tokens: 300, tools, tool_choice: 'required', parallel_tool_calls: false });
  const call = called.output.find((item) => item.type === 'function_call');
  checkTown(call.arguments);
  const back = await client.responses.create({ ...input, tools, input: [{ role: 'user', content: 'Habari?' }, call, { type: 'function_call_output', call_id: call.call_id, output: 'Sunny.' }] });
  assert.equal(back.output_text.length, 24);
  const error = await failure(client.responses.create({ ...input, previous_response_id: 'resp_1' }), OpenAI.BadRequestError, 400);
  assert.equal(error.param, 'previous_response_id');
});

test('errors are those of the package', async () => {
  const field = await failure(client.chat.completions.create({ ...asked, temprature: 1 }), OpenAI.BadRequestError, 400);
  assert.equal(field.param, 'temprature');
  assert.equal(field.code, 'unknown_parameter');
  assert.match(field.message, /`temperature`/);
  const missing = await failure(client.chat.completions.create({ ...asked, model: 'tinny' }), OpenAI.NotFoundError, 404);
  assert.equal(missing.code, 'model_not_found');
  await failure(client.models.retrieve('nobody'), OpenAI.NotFoundError, 404);
  const long = await failure(client.completions.create({ model, prompt: 'a'.repeat(20_100) }), OpenAI.BadRequestError, 400);
  assert.equal(long.type, 'exceed_context_size_error');
  assert.equal(long.error.n_prompt_tokens, 20_100);
  assert.equal(long.error.n_ctx, 20_000);
  await failure(new OpenAI({ baseURL, apiKey: 'wrong', maxRetries: 0 }).models.list(), OpenAI.AuthenticationError, 401);
  const limited = new OpenAI({ baseURL, apiKey: limitedKey, maxRetries: 0 });
  await limited.models.list();
  const often = await failure(limited.models.list(), OpenAI.RateLimitError, 429);
  assert.ok(Number(often.headers.get('retry-after')) >= 1);
});

test('cancelled requests free their places, however they were asked and left', async () => {
  const endless = { model, messages, temperature: 0 };
  const stream = await client.chat.completions.create({ ...endless, stream: true });
  for await (const chunk of stream) {
    if (chunk.choices[0].delta.content) {
      break; // leaves the loop, and the client the server
    }
  }

  await idle();
  const aborted = await client.chat.completions.create({ ...endless, stream: true });
  for await (const _ of aborted) {
    aborted.controller.abort();
  }

  await idle();
  const control = new AbortController();
  const whole = client.chat.completions.create(endless, { signal: control.signal });
  setTimeout(() => control.abort(), 200);
  await assert.rejects(whole, OpenAI.APIUserAbortError);
  await idle();
  await assert.rejects(client.chat.completions.create(endless, { timeout: 200 }), OpenAI.APIConnectionTimeoutError);
  await idle();
});

test('a client that is patient gets its answer when others are done', async () => {
  const answers = await Promise.all(Array.from({ length: 12 }, () => client.chat.completions.create(asked)));
  assert.equal(new Set(answers.map((answer) => answer.choices[0].message.content)).size, 1);
});
