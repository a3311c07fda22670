// SPDX-License-Identifier: Apache-2.0
// What every sender in Node needs: the facts, the packages (they lie in $DIALECTS_NODE_MODULES), and
// OpenTelemetry's SDK with an exporter that sends what ends at once.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

export const FACTS = JSON.parse(fs.readFileSync(new URL('../scenarios.json', import.meta.url), 'utf8'));
export const SCENES = FACTS.scenarios;
export const ASKED = Object.fromEntries(Object.entries(FACTS.models).map(([kind, names]) => [kind, names.asked]));
export const PROVIDER = process.env.DIALECTS_PROVIDER;
export const OTLP = process.env.DIALECTS_OTLP;
export const need = createRequire(path.join(process.env.DIALECTS_NODE_MODULES, 'from-here.js'));
const caught = {};

const { context } = need('@opentelemetry/api');
const { AsyncLocalStorageContextManager } = need('@opentelemetry/context-async-hooks');
const { resourceFromAttributes } = need('@opentelemetry/resources');
const { BasicTracerProvider, SimpleSpanProcessor } = need('@opentelemetry/sdk-trace-base');

// form: 'proto', or 'http' for OTLP/JSON; processors: others than one that sends in this form
export function setupOtel(form = 'proto', processors = undefined) {
    const { OTLPTraceExporter } = need(`@opentelemetry/exporter-trace-otlp-${form}`);
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    const provider = new BasicTracerProvider({
        resource: resourceFromAttributes({ 'service.name': 'harbour' }),
        spanProcessors: processors ?? [new SimpleSpanProcessor(new OTLPTraceExporter({ url: `${OTLP}/v1/traces` }))],
    });
    need('@opentelemetry/api').trace.setGlobalTracerProvider(provider);
    return provider;
}

export const pause = () => new Promise((done) => setTimeout(done, 50));

export function lookupTide({ harbour }) {
    same(harbour, FACTS.tool.arguments.harbour);
    return FACTS.tool.result;
}

export function same(found, wanted) {
    if (found !== wanted) throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
}

export async function expectedError(scene, work) {
    try {
        await work();
    } catch (error) {
        caught[scene] = [...new Set([error.name, error.constructor.name])];
        return;
    }
    throw new Error(`${scene}: no error`);
}

export function report() {
    console.log(JSON.stringify({ caught }));
}
