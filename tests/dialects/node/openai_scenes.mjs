// SPDX-License-Identifier: Apache-2.0
// What every sender that uses OpenAI's client does. A sender says how its package instruments a client, what
// it puts around a scenario, and how it calls a tool.
import { ASKED, expectedError, FACTS, lookupTide, pause, PROVIDER, same, SCENES } from './scenes.mjs';

export const clientOptions = { apiKey: 'sk-not-a-key', baseURL: `${PROVIDER}/v1`, maxRetries: 0 };

const question = (scene) => [{ role: 'system', content: FACTS.system }, { role: 'user', content: SCENES[scene].prompt }];

// around(name, work): runs the work; call(args): the tool, as the package wants it called
export async function openaiScenes(openai, { around = (_name, work) => work(), call = lookupTide } = {}) {
    const create = (more) => openai.chat.completions.create({ model: ASKED.chat, ...more });
    const ask = async (scene) => (await create({ messages: question(scene) })).choices[0].message.content;

    async function scene(name, work, wanted) {
        const found = await around(name, work);
        if (wanted !== undefined) same(found, wanted);
        await pause();
    }

    async function askStreamed(name) {
        let text = '';
        const options = { stream: true, stream_options: { include_usage: true } };
        for await (const part of await create({ messages: question(name), ...options })) {
            text += part.choices[0]?.delta?.content ?? '';
        }
        return text;
    }

    async function askWithTool() {
        const { name, description, parameters } = FACTS.tool;
        const tools = [{ type: 'function', function: { name, description, parameters } }];
        const messages = question('tool');
        const message = (await create({ messages, tools })).choices[0].message;
        const wanted = message.tool_calls[0];
        const content = await call(JSON.parse(wanted.function.arguments));
        messages.push(message, { role: 'tool', tool_call_id: wanted.id, content });
        return (await create({ messages, tools })).choices[0].message.content;
    }

    await scene('chat', () => ask('chat'), SCENES.chat.text);
    await scene('stream', () => askStreamed('stream'), SCENES.stream.text);
    await scene('tool', askWithTool, SCENES['tool-answer'].text);
    await scene('cached', () => ask('cached'), SCENES.cached.text);
    await scene('embed', () => openai.embeddings.create({ model: ASKED.embedding, input: SCENES.embed.prompt }));
    for (const name of ['refused', 'broken']) await scene(name, () => expectedError(name, () => ask(name)));
}
