// SPDX-License-Identifier: Apache-2.0
// @langfuse/openai around OpenAI's client, with @langfuse/tracing for the agent and the tool, and @langfuse/otel
// as the exporter. It has no words for a workflow.
import { clientOptions, openaiScenes } from '../openai_scenes.mjs';
import { FACTS, lookupTide, need, OTLP, report, SCENES, setupOtel } from '../scenes.mjs';

const { observeOpenAI } = need('@langfuse/openai');
const { LangfuseSpanProcessor } = need('@langfuse/otel');
const { propagateAttributes, startActiveObservation } = need('@langfuse/tracing');
const OpenAI = need('openai');

const processor = new LangfuseSpanProcessor({ publicKey: 'pk-lf-none', secretKey: 'sk-lf-none', baseUrl: OTLP, exportMode: 'immediate' });
const provider = setupOtel('proto', [processor]);

function around(name, work) {
    const told = { sessionId: FACTS.session, userId: FACTS.user };
    return propagateAttributes(told, () => startActiveObservation(FACTS.agent, async (agent) => {
        agent.update({ input: SCENES[name].prompt });
        return work();
    }, { asType: 'agent' }));
}

function call(args) {
    return startActiveObservation(FACTS.tool.name, async (tool) => {
        tool.update({ input: args, output: lookupTide(args) });
        return lookupTide(args);
    }, { asType: 'tool' });
}

await openaiScenes(observeOpenAI(new OpenAI(clientOptions)), { around, call });
await processor.forceFlush();
await provider.forceFlush();
report();
