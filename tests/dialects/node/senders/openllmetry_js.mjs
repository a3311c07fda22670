// SPDX-License-Identifier: Apache-2.0
// @traceloop/instrumentation-openai (OpenLLMetry for JavaScript) alone. Session, user, workflow and agent belong to
// its SDK, which is not used here.
import { clientOptions, openaiScenes } from '../openai_scenes.mjs';
import { need, report, setupOtel } from '../scenes.mjs';

const { OpenAIInstrumentation } = need('@traceloop/instrumentation-openai');
const OpenAI = need('openai');

const provider = setupOtel();
const instrumentation = new OpenAIInstrumentation({ enrichTokens: false });
instrumentation.setTracerProvider(provider);
instrumentation.manuallyInstrument(OpenAI.OpenAI);
await openaiScenes(new OpenAI(clientOptions));
await provider.forceFlush();
report();
