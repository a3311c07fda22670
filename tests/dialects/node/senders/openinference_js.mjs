// SPDX-License-Identifier: Apache-2.0
// @arizeai/openinference-instrumentation-openai, with openinference-core for the session and the user. Spans of
// the agent and the tool are the program's own, as its documentation has them. It exports OTLP/JSON.
import { ASKED, expectedError, FACTS, lookupTide, need, pause, PROVIDER, report, same, SCENES, setupOtel } from '../scenes.mjs';

const { context } = need('@opentelemetry/api');
const { setSession, setUser, traceAgent, traceTool } = need('@arizeai/openinference-core');
const { OpenAIInstrumentation } = need('@arizeai/openinference-instrumentation-openai');
const OpenAI = need('openai');

const provider = setupOtel('http');
const instrumentation = new OpenAIInstrumentation({ tracerProvider: provider });
instrumentation.manuallyInstrument(OpenAI);
const openai = new OpenAI({ apiKey: 'sk-not-a-key', baseURL: `${PROVIDER}/v1`, maxRetries: 0 });
const question = (scene) => [{ role: 'system', content: FACTS.system }, { role: 'user', content: SCENES[scene].prompt }];
const create = (more) => openai.chat.completions.create({ model: ASKED.chat, ...more });
const ask = async (scene) => (await create({ messages: question(scene) })).choices[0].message.content;

async function scene(name, work, wanted) {
    const told = setUser(setSession(context.active(), { sessionId: FACTS.session }), { userId: FACTS.user });
    const agent = traceAgent(async () => work(), { name: FACTS.agent, attributes: { 'agent.name': FACTS.agent } });
    const found = await context.with(told, agent);
    if (wanted !== undefined) same(found, wanted);
    await pause();
}

async function askStreamed(name) {
    let text = '';
    for await (const part of await create({ messages: question(name), stream: true, stream_options: { include_usage: true } })) {
        text += part.choices[0]?.delta?.content ?? '';
    }
    return text;
}

async function askWithTool() {
    const { name, description, parameters } = FACTS.tool;
    const tools = [{ type: 'function', function: { name, description, parameters } }];
    const messages = question('tool');
    const message = (await create({ messages, tools })).choices[0].message;
    const call = message.tool_calls[0];
    const result = await traceTool(lookupTide, { name, attributes: { 'tool.name': name } })(JSON.parse(call.function.arguments));
    messages.push(message, { role: 'tool', tool_call_id: call.id, content: result });
    return (await create({ messages, tools })).choices[0].message.content;
}

await scene('chat', () => ask('chat'), SCENES.chat.text);
await scene('stream', () => askStreamed('stream'), SCENES.stream.text);
await scene('tool', askWithTool, SCENES['tool-answer'].text);
await scene('cached', () => ask('cached'), SCENES.cached.text);
await scene('embed', () => openai.embeddings.create({ model: ASKED.embedding, input: SCENES.embed.prompt }));
for (const name of ['refused', 'broken']) await scene(name, () => expectedError(name, () => ask(name)));
await provider.forceFlush();
report();
