// Does what test_openai_javascript.py asks for, with the official client, and prints it as JSON.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "unused", maxRetries: 0 });
const asked = {
  model: "shop",
  messages: [
    { role: "system", content: "You are a helpful assistant." },
    { role: "user", content: "How long can I return an item?" },
  ],
};

async function errorOf(more) {
  try {
    await client.chat.completions.create({ ...asked, ...more });
  } catch (error) {
    return { kind: error.constructor.name, status: error.status, code: error.code, param: error.param };
  }
  return null;
}

const models = [];
for await (const model of client.models.list()) models.push(model.id);

const chat = await client.chat.completions.create(asked);

const chunks = [];
const options = { stream: true, stream_options: { include_usage: true } };
for await (const chunk of await client.chat.completions.create({ ...asked, ...options })) chunks.push(chunk);

const helped = await client.chat.completions.stream(asked).finalContent();

const errors = [];
for (const stream of [false, true]) {
  for (const more of [
    { model: "garden" },
    { messages: [{ role: "user", content: "" }] },
    { messages: [{ role: "user", content: "x".repeat(4001) }] },
    { n: 2 },
  ]) errors.push(await errorOf({ ...more, stream }));
}

console.log(JSON.stringify({ models, chat, chunks, helped, errors }));
