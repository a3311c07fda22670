// SPDX-License-Identifier: Apache-2.0
// The Vercel AI SDK as its releases 5 and 6 send, with names of their own (ai.*). The session and the user are
// metadata, the agent is the function's id.
import { ASKED, expectedError, FACTS, lookupTide, need, pause, PROVIDER, report, same, SCENES, setupOtel } from './scenes.mjs';

export async function run(sdk, openaiProvider) {
    const { embed, generateText, jsonSchema, stepCountIs, streamText, tool } = need(sdk);
    const { createOpenAI } = need(openaiProvider);

    const provider = setupOtel();
    const openai = createOpenAI({ apiKey: 'sk-not-a-key', baseURL: `${PROVIDER}/v1` });
    const experimental_telemetry = {
        isEnabled: true,
        functionId: FACTS.agent,
        metadata: { sessionId: FACTS.session, userId: FACTS.user },
    };
    const common = (scene) => ({
        model: openai.chat(ASKED.chat), system: FACTS.system, prompt: SCENES[scene].prompt, maxRetries: 0, experimental_telemetry,
    });

    same((await generateText(common('chat'))).text, SCENES.chat.text);
    await pause();
    same(await streamText(common('stream')).text, SCENES.stream.text);
    await pause();
    const tools = {
        [FACTS.tool.name]: tool({
            description: FACTS.tool.description, inputSchema: jsonSchema(FACTS.tool.parameters), execute: lookupTide,
        }),
    };
    same((await generateText({ ...common('tool'), tools, stopWhen: stepCountIs(3) })).text, SCENES['tool-answer'].text);
    await pause();
    same((await generateText(common('cached'))).text, SCENES.cached.text);
    await pause();
    await embed({ model: openai.embedding(ASKED.embedding), value: SCENES.embed.prompt, maxRetries: 0, experimental_telemetry });
    for (const scene of ['refused', 'broken']) {
        await pause();
        await expectedError(scene, () => generateText(common(scene)));
    }
    await provider.forceFlush();
    report();
}
