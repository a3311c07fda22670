// SPDX-License-Identifier: Apache-2.0
// @arizeai/openinference-instrumentation-openai, with openinference-core for the session and the user. Spans of
// the agent and the tool are the program's own, as its documentation has them. It exports OTLP/JSON.
import { clientOptions, openaiScenes } from '../openai_scenes.mjs';
import { FACTS, lookupTide, need, report, setupOtel } from '../scenes.mjs';

const { context } = need('@opentelemetry/api');
const { setSession, setUser, traceAgent, traceTool } = need('@arizeai/openinference-core');
const { OpenAIInstrumentation } = need('@arizeai/openinference-instrumentation-openai');
const OpenAI = need('openai');

const provider = setupOtel('http');
new OpenAIInstrumentation({ tracerProvider: provider }).manuallyInstrument(OpenAI);

function around(_name, work) {
    const told = setUser(setSession(context.active(), { sessionId: FACTS.session }), { userId: FACTS.user });
    return context.with(told, traceAgent(async () => work(), { name: FACTS.agent, attributes: { 'agent.name': FACTS.agent } }));
}

const call = traceTool(lookupTide, { name: FACTS.tool.name, attributes: { 'tool.name': FACTS.tool.name } });
await openaiScenes(new OpenAI(clientOptions), { around, call });
await provider.forceFlush();
report();
