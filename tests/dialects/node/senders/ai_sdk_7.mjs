// SPDX-License-Identifier: Apache-2.0
// The Vercel AI SDK, release 7, with @ai-sdk/otel, which writes gen_ai.* names. The agent is the function's id;
// the session and the user are runtime context that is let into the telemetry.
import { ASKED, expectedError, FACTS, lookupTide, need, pause, PROVIDER, report, same, SCENES, setupOtel } from '../scenes.mjs';

const at = (name) => need.resolve(name);
const { embed, generateText, jsonSchema, registerTelemetry, stepCountIs, streamText, tool } = await import(at('ai'));
const { OpenTelemetry } = await import(at('@ai-sdk/otel'));
const { createOpenAI } = await import(at('@ai-sdk/openai'));

const provider = setupOtel();
registerTelemetry(new OpenTelemetry({ runtimeContext: true }));
const openai = createOpenAI({ apiKey: 'sk-not-a-key', baseURL: `${PROVIDER}/v1` });
const told = {
    runtimeContext: { sessionId: FACTS.session, userId: FACTS.user },
    telemetry: { functionId: FACTS.agent, includeRuntimeContext: { sessionId: true, userId: true } },
};
const common = (scene) => ({
    model: openai.chat(ASKED.chat), system: FACTS.system, prompt: SCENES[scene].prompt, maxRetries: 0, ...told,
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
await embed({ model: openai.embedding(ASKED.embedding), value: SCENES.embed.prompt, maxRetries: 0, ...told });
for (const scene of ['refused', 'broken']) {
    await pause();
    await expectedError(scene, () => generateText(common(scene)));
}
await provider.forceFlush();
report();
