// SPDX-License-Identifier: Apache-2.0
// The Vercel AI SDK, release 5: ../ai_sdk_legacy.mjs.
import { run } from '../ai_sdk_legacy.mjs';

await run('ai-5', '@ai-sdk/openai-5');
