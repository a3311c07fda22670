// SPDX-License-Identifier: Apache-2.0
// Send numbered items with OpenTelemetry's SDK for Node.
//
// Usage: send.js SIGNAL PROTOCOL ENDPOINT COUNT TAG [gzip]      as tests/peers/python/send.py
"use strict";

const { createRequire } = require("node:module");
const need = createRequire(`${process.env.PEERS_NODE_MODULES}/`);

const [signal, protocol, endpoint, howMany, tag, ...rest] = process.argv.slice(2);
const count = Number(howMany);
const outcomes = { success: 0, failure: 0 };
const { resourceFromAttributes } = need("@opentelemetry/resources");
const resource = resourceFromAttributes({ "service.name": `node-${tag}` });

function exporter() {
  const kind = { traces: ["trace", "OTLPTraceExporter"], logs: ["logs", "OTLPLogExporter"],
                 metrics: ["metrics", "OTLPMetricExporter"] }[signal];
  const suffix = { "http/protobuf": "proto", "http/json": "http", grpc: "grpc" }[protocol];
  const module = need(`@opentelemetry/exporter-${kind[0]}-otlp-${suffix}`);
  const url = protocol === "grpc" ? endpoint : `${endpoint}/v1/${signal}`;
  const made = new module[kind[1]]({ url, ...(rest.includes("gzip") ? { compression: "gzip" } : {}) });
  const send = made.export.bind(made);
  made.export = (items, done) => send(items, (result) => {
    outcomes[result.code === 0 ? "success" : "failure"] += 1;
    if (result.error) console.error(String(result.error));
    done(result);
  });
  return made;
}

const facts = (number) => ({ "peer.tag": tag, "peer.number": number });
const bounds = { maxQueueSize: count + 64, maxExportBatchSize: 64 };

async function sendTraces() {
  const { BasicTracerProvider, BatchSpanProcessor } = need("@opentelemetry/sdk-trace-base");
  const provider = new BasicTracerProvider({ resource,
    spanProcessors: [new BatchSpanProcessor(exporter(), bounds)] });
  const tracer = provider.getTracer("peers");
  for (let number = 0; number < count; number++) {
    const span = tracer.startSpan(`span ${number}`, { attributes: facts(number) });
    span.addEvent("seen", { "peer.list": ["a", "b"], "peer.ratio": 0.5, "peer.yes": true });
    span.end();
  }
  await provider.forceFlush();
  await provider.shutdown();
}

async function sendLogs() {
  const { LoggerProvider, BatchLogRecordProcessor } = need("@opentelemetry/sdk-logs");
  const processor = new BatchLogRecordProcessor({ exporter: exporter(), ...bounds });
  const provider = new LoggerProvider({ resource, processors: [processor] });
  const logger = provider.getLogger("peers");
  for (let number = 0; number < count; number++) {
    logger.emit({ severityNumber: 9, severityText: "INFO", body: `log ${number}`, attributes: facts(number) });
  }
  await provider.forceFlush();
  await provider.shutdown();
}

async function sendMetrics() {
  const { MeterProvider, PeriodicExportingMetricReader } = need("@opentelemetry/sdk-metrics");
  const reader = new PeriodicExportingMetricReader({ exporter: exporter(), exportIntervalMillis: 3600000 });
  const provider = new MeterProvider({ resource, readers: [reader] });
  const meter = provider.getMeter("peers");
  const counter = meter.createCounter("peer.count");
  const histogram = meter.createHistogram("peer.sizes");
  for (let number = 0; number < count; number++) {
    if (number % 2) counter.add(number, facts(number));
    else histogram.record(number, facts(number));
  }
  await provider.shutdown(); // collects and exports once
}

({ traces: sendTraces, logs: sendLogs, metrics: sendMetrics })[signal]().then(
  () => console.log(JSON.stringify({ sent: count, ...outcomes })),
  (error) => { console.error(error); process.exit(1); });
