/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/records.h: journal records with known contents, for tests of what delivers and reads
 * them. Everything is made from small numbers: equal numbers make equal bytes. */
#ifndef WAYBILL_TESTS_SUPPORT_RECORDS_H
#define WAYBILL_TESTS_SUPPORT_RECORDS_H

#include "core/buffer.h"
#include "core/clock.h"
#include "core/delegation_state.h"
#include "core/entry.h"
#include "core/ids.h"

/* 2026-01-02 03:04:05 UTC */
#define TEST_T0 (UINT64_C(1767323045) * WB_NS_PER_S)

wb_trace_id test_trace(uint32_t n); /* n > 0; 00..n in all */
wb_span_id test_span(uint32_t n);
wb_id test_id(uint32_t n);

typedef struct test_span_spec {
    uint32_t trace, span, parent; /* parent 0: root */
    const char *name;
    uint8_t kind, status;      /* wb_span_kind, wb_span_status */
    uint64_t start_ms, end_ms; /* after TEST_T0 */
    const char *service;       /* resource; NULL: "agent" */
    const char *error_type, *status_message;
    uint32_t acceptance, delegation; /* attributes; 0: none */
} test_span_spec;

/** The payload of WB_ENTRY_SPANS with these spans, each under its own resource. Aborts on failure. */
void test_spans_payload(wb_buffer *out, const test_span_spec *spans, size_t n);

typedef struct test_log_spec {
    uint32_t trace, span;          /* 0: none */
    uint64_t time_ms, observed_ms; /* after TEST_T0; 0: not said */
    uint8_t severity;
    const char *severity_text, *event_name, *body;
    uint32_t acceptance, delegation; /* attributes; 0: none */
} test_log_spec;

/** The payload of WB_ENTRY_LOGS with these log records, of the service "agent". Aborts on failure. */
void test_logs_payload(wb_buffer *out, const test_log_spec *logs, size_t n);

typedef struct test_delegation_spec {
    uint32_t id, trace, span, parent, parent_acceptance;
    uint64_t version;
    wb_delegation_state state;
    const char *target_name, *target_url, *issuer, *task_id;
    const char *error_type;
    uint64_t opened_ms, closed_ms, deadline_ms; /* after TEST_T0; closed 0: open */
    uint32_t depth;
    const char *const *chain; /* NULL-terminated, or NULL */
    uint8_t token_hash;       /* 32 times this byte; 0: none */
} test_delegation_spec;

void test_delegation_payload(wb_buffer *out, const test_delegation_spec *spec);

typedef struct test_acceptance_spec {
    uint32_t id, trace, span, parent;
    uint64_t version;
    uint32_t verdict; /* waybill.v1.Verdict */
    bool verified;
    const char *code, *agent_id, *issuer, *outcome, *warning;
    uint32_t link_trace, link_span;
    uint64_t opened_ms, finished_ms; /* after TEST_T0; finished 0: open */
    uint32_t depth;
    const char *const *chain;
    uint8_t token_hash;
} test_acceptance_spec;

void test_acceptance_payload(wb_buffer *out, const test_acceptance_spec *spec);

#endif
