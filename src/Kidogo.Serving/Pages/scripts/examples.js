// The examples for developers, as texts: each in four languages, with an address and a model's name in their places. Knows no page.

/** The languages, by the name that their code is coloured under. */
export const languages = { bash: "curl", csharp: "C#", python: "Python", javascript: "JavaScript" };

/** What is shown, in order: a title's key, and whether it needs an encoder. */
export const examples = [
  { title: "apiChat", write: chat },
  { title: "apiStream", write: stream },
  { title: "apiSchema", write: schema },
  { title: "apiEmbeddings", write: embeddings, needsEncoder: true },
];

const question = "Habari? Answer in one sentence.";
const person = { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } }, required: ["name", "age"], additionalProperties: false };

// Every language here writes strings as JSON does, where they are of printable characters; a shell wants single quotes out of the way.
const text = value => JSON.stringify(value);
const shell = value => `'${value.replaceAll("'", String.raw`'\''`)}'`;

function curl(address, path, body) {
  return `curl ${shell(address + path)} \\
  -H "Authorization: Bearer $KIDOGO_API_KEY" -H "Content-Type: application/json" \\
  -d ${shell(JSON.stringify(body, null, 2))}`;
}

const csharp = (address, kind, model, code) => `#:package OpenAI@2.15.0
// Save as example.cs, and run it with: dotnet run example.cs
using System.ClientModel;
using OpenAI;
using OpenAI.${kind === "EmbeddingClient" ? "Embeddings" : "Chat"};

${kind} client = new(
    ${text(model)},
    new ApiKeyCredential(Environment.GetEnvironmentVariable("KIDOGO_API_KEY") ?? "none"),
    new OpenAIClientOptions { Endpoint = new Uri(${text(address)}) });
${code}`;

const python = (address, code) => `# pip install openai
import os
from openai import OpenAI

client = OpenAI(base_url=${text(address)}, api_key=os.environ.get("KIDOGO_API_KEY", "none"))
${code}`;

const javascript = (address, path, fields, code) => `const key = globalThis.process?.env.KIDOGO_API_KEY ?? "none";
const response = await fetch(${text(address + path)}, {
  method: "POST",
  headers: { "Content-Type": "application/json", Authorization: "Bearer " + key },
  body: JSON.stringify(${fields}),
});
${code}`;

function chat(language, address, model) {
  const messages = [{ role: "user", content: question }];
  return {
    bash: () => curl(address, "/chat/completions", { model, messages }),
    csharp: () => csharp(address, "ChatClient", model, `ChatCompletion answer = await client.CompleteChatAsync(${text(question)});
Console.WriteLine(answer.Content[0].Text);`),
    python: () => python(address, `answer = client.chat.completions.create(
    model=${text(model)},
    messages=[{"role": "user", "content": ${text(question)}}],
)
print(answer.choices[0].message.content)`),
    javascript: () => javascript(address, "/chat/completions", `{
    model: ${text(model)},
    messages: [{ role: "user", content: ${text(question)} }],
  }`, `const answer = await response.json();
console.log(answer.choices[0].message.content);`),
  }[language]();
}

function stream(language, address, model) {
  const messages = [{ role: "user", content: question }];
  return {
    bash: () => `${curl(address, "/chat/completions", { model, messages, stream: true })} --no-buffer`,
    csharp: () => csharp(address, "ChatClient", model, `await foreach (StreamingChatCompletionUpdate update in client.CompleteChatStreamingAsync(${text(question)}))
{
    Console.Write(string.Concat(update.ContentUpdate.Select(part => part.Text)));
}`),
    python: () => python(address, `stream = client.chat.completions.create(
    model=${text(model)},
    messages=[{"role": "user", "content": ${text(question)}}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)`),
    javascript: () => javascript(address, "/chat/completions", `{
    model: ${text(model)},
    messages: [{ role: "user", content: ${text(question)} }],
    stream: true,
  }`, `let held = "";
for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
  const lines = (held + piece).split("\\n");
  held = lines.pop();
  for (const line of lines.filter(each => each.startsWith("data: {"))) {
    console.log(JSON.parse(line.slice(6)).choices[0]?.delta.content ?? "");
  }
}`),
  }[language]();
}

function schema(language, address, model) {
  const asked = "Amina is 34 years old.";
  const messages = [{ role: "user", content: asked }];
  const format = { type: "json_schema", json_schema: { name: "person", strict: true, schema: person } };
  return {
    bash: () => curl(address, "/chat/completions", { model, messages, response_format: format }),
    csharp: () => csharp(address, "ChatClient", model, `string schema = """
    ${JSON.stringify(person)}
    """;
ChatCompletionOptions options = new()
{
    ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("person", BinaryData.FromString(schema), jsonSchemaIsStrict: true),
};
ChatCompletion answer = await client.CompleteChatAsync([new UserChatMessage(${text(asked)})], options);
Console.WriteLine(answer.Content[0].Text);`),
    python: () => python(address, `schema = ${JSON.stringify(person).replaceAll("false", "False")}
answer = client.chat.completions.create(
    model=${text(model)},
    messages=[{"role": "user", "content": ${text(asked)}}],
    response_format={"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": schema}},
)
print(answer.choices[0].message.content)`),
    javascript: () => javascript(address, "/chat/completions", `{
    model: ${text(model)},
    messages: [{ role: "user", content: ${text(asked)} }],
    response_format: ${JSON.stringify(format)},
  }`, `const answer = await response.json();
console.log(JSON.parse(answer.choices[0].message.content));`),
  }[language]();
}

function embeddings(language, address, model) {
  const input = ["Habari ya asubuhi", "Good morning"];
  return {
    bash: () => curl(address, "/embeddings", { model, input }),
    csharp: () => csharp(address, "EmbeddingClient", model, `OpenAIEmbeddingCollection answer = await client.GenerateEmbeddingsAsync([${input.map(text).join(", ")}]);
ReadOnlySpan<float> one = answer[0].ToFloats().Span, other = answer[1].ToFloats().Span;
float similarity = 0;
for (int i = 0; i < one.Length; i++)
{
    similarity += one[i] * other[i];
}

Console.WriteLine(similarity);`),
    python: () => python(address, `answer = client.embeddings.create(model=${text(model)}, input=${JSON.stringify(input)})
one, other = (each.embedding for each in answer.data)
print(sum(a * b for a, b in zip(one, other)))`),
    javascript: () => javascript(address, "/embeddings", `{ model: ${text(model)}, input: ${JSON.stringify(input)} }`, `const answer = await response.json();
const [one, other] = answer.data.map(each => each.embedding);
console.log(one.reduce((sum, value, at) => sum + value * other[at], 0));`),
  }[language]();
}
