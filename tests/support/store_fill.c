/* SPDX-License-Identifier: Apache-2.0 */
/* store_fill STORE: a store, a file or a Postgres that was migrated, with known traces, written by the real exporter as three sidecars would.
 * For tests of what reads stores. The traces, by id:
 *   1  planner -> writer -> researcher, all done; depth 2
 *   2  planner -> writer, still open
 *   3  an outsider's: LINK without a token, linked to trace 1
 *   4  hostile: escape sequences for names, an orphan, two spans that are each other's parent
 *   5  ends in an error     6  ends canceled     7  no root yet, nothing open
 *   8  300 spans, each the parent of the next */
#include "core/store_url.h"
#include "exporters/postgres/postgres.h"
#include "exporters/sqlite/sqlite.h"
#include "proto/span_batch.h"
#include "tests/support/records.h"

#include <stdio.h>
#include <unistd.h>

enum { PLANNER, WRITER, RESEARCHER, AGENTS };

static const char *const names[AGENTS] = {"planner", "writer", "researcher"};
static const char *const agent_ids[AGENTS] = {"spiffe://waybill.local/host/planner",
                                              "spiffe://waybill.local/host/writer",
                                              "spiffe://waybill.local/host/researcher"};

typedef struct filler {
    const wb_exporter_ops *ops;
    wb_exporter_origin origins[AGENTS];
    void *exporters[AGENTS];
    uint64_t seqs[AGENTS];
} filler;

static void send_payload(filler *f, int agent, wb_entry_kind kind, const wb_buffer *bytes)
{
    wb_record_view record = {
        .kind = kind, .seq = ++f->seqs[agent], .payload = wb_buffer_slice(bytes)};
    wb_export_result result;
    wb_error err = {0};
    if (f->ops->send(f->exporters[agent], &record, 1, 5000, &result, &err) == WB_OK) return;
    (void)fprintf(stderr, "store_fill: %s\n", err.detail);
    _exit(1);
}

static void add_spans(filler *f, int agent, const test_span_spec *specs, size_t n)
{
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_spans_payload(&bytes, specs, n);
    send_payload(f, agent, WB_ENTRY_SPANS, &bytes);
}

static void add_delegation(filler *f, int agent, const test_delegation_spec *spec)
{
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_delegation_payload(&bytes, spec);
    send_payload(f, agent, WB_ENTRY_DELEGATION, &bytes);
}

static void add_acceptance(filler *f, int agent, const test_acceptance_spec *spec)
{
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_acceptance_payload(&bytes, spec);
    send_payload(f, agent, WB_ENTRY_ACCEPTANCE, &bytes);
}

static void add_finished_chain(filler *f)
{
    static const char *const one[] = {"root.token.1", NULL};
    static const char *const two[] = {"root.token.1", "leaf.token.2", NULL};
    add_delegation(f, PLANNER,
                   &(test_delegation_spec){.id = 11,
                                           .trace = 1,
                                           .span = 2,
                                           .parent = 1,
                                           .version = 3,
                                           .state = WB_DELEGATION_COMPLETED,
                                           .target_name = "writer",
                                           .issuer = agent_ids[PLANNER],
                                           .task_id = "task-1",
                                           .opened_ms = 10,
                                           .closed_ms = 900,
                                           .deadline_ms = 60000,
                                           .chain = one,
                                           .token_hash = 0xA1});
    add_acceptance(f, WRITER,
                   &(test_acceptance_spec){.id = 21,
                                           .trace = 1,
                                           .span = 3,
                                           .parent = 2,
                                           .version = 2,
                                           .verdict = 1,
                                           .verified = true,
                                           .agent_id = agent_ids[WRITER],
                                           .issuer = agent_ids[PLANNER],
                                           .outcome = "ok",
                                           .opened_ms = 20,
                                           .finished_ms = 880,
                                           .chain = one,
                                           .token_hash = 0xA1});
    add_delegation(f, WRITER,
                   &(test_delegation_spec){.id = 12,
                                           .trace = 1,
                                           .span = 5,
                                           .parent = 4,
                                           .parent_acceptance = 21,
                                           .version = 2,
                                           .state = WB_DELEGATION_ANSWERED,
                                           .target_name = "researcher",
                                           .issuer = agent_ids[WRITER],
                                           .opened_ms = 100,
                                           .closed_ms = 500,
                                           .depth = 1,
                                           .chain = two,
                                           .token_hash = 0xA2});
    add_acceptance(f, RESEARCHER,
                   &(test_acceptance_spec){.id = 22,
                                           .trace = 1,
                                           .span = 6,
                                           .parent = 5,
                                           .version = 2,
                                           .verdict = 1,
                                           .verified = true,
                                           .agent_id = agent_ids[RESEARCHER],
                                           .issuer = agent_ids[WRITER],
                                           .outcome = "ok",
                                           .warning = "WB_W_SUB",
                                           .opened_ms = 110,
                                           .finished_ms = 480,
                                           .depth = 1,
                                           .chain = two,
                                           .token_hash = 0xA2});
}

static void add_finished_spans(filler *f)
{
    add_spans(f, PLANNER,
              (test_span_spec[]){{.trace = 1,
                                  .span = 1,
                                  .name = "plan",
                                  .kind = WB_SPAN_INTERNAL,
                                  .status = WB_SPAN_OK,
                                  .end_ms = 1000,
                                  .service = "planner"},
                                 {.trace = 1,
                                  .span = 2,
                                  .parent = 1,
                                  .name = "delegate writer",
                                  .kind = WB_SPAN_CLIENT,
                                  .status = WB_SPAN_OK,
                                  .start_ms = 10,
                                  .end_ms = 900,
                                  .delegation = 11}},
              2);
    add_spans(f, WRITER,
              (test_span_spec[]){{.trace = 1,
                                  .span = 3,
                                  .parent = 2,
                                  .name = "SendMessage",
                                  .kind = WB_SPAN_SERVER,
                                  .status = WB_SPAN_OK,
                                  .start_ms = 20,
                                  .end_ms = 880,
                                  .service = "writer",
                                  .acceptance = 21},
                                 {.trace = 1,
                                  .span = 4,
                                  .parent = 3,
                                  .name = "write",
                                  .kind = WB_SPAN_INTERNAL,
                                  .start_ms = 30,
                                  .end_ms = 800,
                                  .acceptance = 21},
                                 {.trace = 1,
                                  .span = 5,
                                  .parent = 4,
                                  .name = "delegate researcher",
                                  .kind = WB_SPAN_CLIENT,
                                  .start_ms = 100,
                                  .end_ms = 500,
                                  .delegation = 12}},
              3);
    add_spans(f, RESEARCHER,
              (test_span_spec[]){{.trace = 1,
                                  .span = 6,
                                  .parent = 5,
                                  .name = "SendMessage",
                                  .kind = WB_SPAN_SERVER,
                                  .start_ms = 110,
                                  .end_ms = 480,
                                  .service = "researcher",
                                  .acceptance = 22}},
              1);
}

static void add_open_and_linked(filler *f)
{
    static const char *const chain[] = {"root.token.3", NULL};
    add_delegation(f, PLANNER,
                   &(test_delegation_spec){.id = 13,
                                           .trace = 2,
                                           .span = 31,
                                           .version = 2,
                                           .state = WB_DELEGATION_IN_FLIGHT,
                                           .target_name = "writer",
                                           .issuer = agent_ids[PLANNER],
                                           .task_id = "task-2",
                                           .opened_ms = 2000,
                                           .deadline_ms = 3602000,
                                           .chain = chain,
                                           .token_hash = 0xA3});
    add_acceptance(f, WRITER,
                   &(test_acceptance_spec){.id = 23,
                                           .trace = 2,
                                           .span = 32,
                                           .parent = 31,
                                           .version = 1,
                                           .verdict = 1,
                                           .verified = true,
                                           .agent_id = agent_ids[WRITER],
                                           .issuer = agent_ids[PLANNER],
                                           .opened_ms = 2010,
                                           .chain = chain,
                                           .token_hash = 0xA3});
    add_spans(f, WRITER,
              (test_span_spec[]){{.trace = 2,
                                  .span = 33,
                                  .parent = 32,
                                  .name = "drafting",
                                  .start_ms = 2020,
                                  .end_ms = 2030,
                                  .service = "writer",
                                  .acceptance = 23}},
              1);
    add_acceptance(f, RESEARCHER,
                   &(test_acceptance_spec){.id = 24,
                                           .trace = 3,
                                           .span = 41,
                                           .version = 2,
                                           .verdict = 2,
                                           .code = "WB_E_MISSING",
                                           .agent_id = agent_ids[RESEARCHER],
                                           .outcome = "ok",
                                           .link_trace = 1,
                                           .link_span = 1,
                                           .opened_ms = 3000,
                                           .finished_ms = 3100});
    add_spans(f, RESEARCHER,
              (test_span_spec[]){{.trace = 3,
                                  .span = 41,
                                  .name = "SendMessage",
                                  .kind = WB_SPAN_SERVER,
                                  .start_ms = 3000,
                                  .end_ms = 3100,
                                  .service = "researcher",
                                  .acceptance = 24}},
              1);
}

static void add_hostile(filler *f)
{
    add_spans(f, WRITER,
              (test_span_spec[]){{.trace = 4,
                                  .span = 51,
                                  .name = "\x1b]0;owned\x07\x1b[2Jroot\r\nforged line",
                                  .status = WB_SPAN_ERROR,
                                  /* NOLINTNEXTLINE(misc-misleading-bidirectional): the point */
                                  .status_message = "bad \xE2\x80\xAEtxt\xC2\x9B"
                                                    "31m",
                                  .start_ms = 4000,
                                  .end_ms = 3990,
                                  .service = "ev\x1b[31mil"},
                                 {.trace = 4,
                                  .span = 52,
                                  .parent = 999,
                                  .name = "orphan",
                                  .start_ms = 4001,
                                  .end_ms = 4002},
                                 {.trace = 4,
                                  .span = 53,
                                  .parent = 54,
                                  .name = "ring one",
                                  .start_ms = 4003,
                                  .end_ms = 4004},
                                 {.trace = 4,
                                  .span = 54,
                                  .parent = 53,
                                  .name = "ring two",
                                  .start_ms = 4003,
                                  .end_ms = 4004},
                                 {.trace = 4,
                                  .span = 55,
                                  .parent = 55,
                                  .name = "own parent",
                                  .start_ms = 4005,
                                  .end_ms = 4006},
                                 {.trace = 4,
                                  .span = 56,
                                  .parent = 54,
                                  .name = "below the ring",
                                  .start_ms = 4004,
                                  .end_ms = 4005}},
              6);
}

static void add_ends(filler *f)
{
    add_spans(f, PLANNER,
              (test_span_spec[]){{.trace = 5,
                                  .span = 61,
                                  .name = "fails",
                                  .status = WB_SPAN_ERROR,
                                  .status_message = "no luck",
                                  .error_type = "ValueError",
                                  .start_ms = 5000,
                                  .end_ms = 5001}},
              1);
    add_delegation(f, PLANNER,
                   &(test_delegation_spec){.id = 14,
                                           .trace = 6,
                                           .span = 62,
                                           .version = 2,
                                           .state = WB_DELEGATION_CANCELED,
                                           .target_name = "writer",
                                           .issuer = agent_ids[PLANNER],
                                           .opened_ms = 6000,
                                           .closed_ms = 6100});
    add_spans(f, PLANNER,
              (test_span_spec[]){{.trace = 6,
                                  .span = 62,
                                  .name = "delegate writer",
                                  .kind = WB_SPAN_CLIENT,
                                  .status = WB_SPAN_ERROR,
                                  .start_ms = 6000,
                                  .end_ms = 6100,
                                  .delegation = 14}},
              1);
    add_spans(f, PLANNER,
              (test_span_spec[]){{.trace = 7,
                                  .span = 71,
                                  .parent = 70,
                                  .name = "early",
                                  .start_ms = 7000,
                                  .end_ms = 7001}},
              1);
    for (uint32_t i = 0; i < 300; i++)
        add_spans(f, PLANNER,
                  (test_span_spec[]){{.trace = 8,
                                      .span = 1000 + i,
                                      .parent = i ? 999 + i : 0,
                                      .name = "deep",
                                      .start_ms = 8000 + i,
                                      .end_ms = 9000}},
                  1);
}

int main(int argc, char **argv)
{
    filler f = {0};
    if (argc != 2) {
        (void)fprintf(stderr, "usage: store_fill STORE\n");
        return 2;
    }
    bool is_postgres = wb_is_postgres_url(argv[1]);
    wb_sqlite_config file = {.path = argv[1]};
    wb_postgres_config server = {.url = argv[1], .connect_timeout_ms = 5000};
    wb_config_section section = {.name = "store",
                                 .values = is_postgres ? (const void *)&server : &file};
    f.ops = is_postgres ? &wb_exporter_postgres : &wb_exporter_sqlite;
    for (int i = 0; i < AGENTS; i++) {
        wb_error err = {0};
        f.origins[i] = (wb_exporter_origin){.journal_id = test_id(900 + (uint32_t)i),
                                            .agent_id = agent_ids[i],
                                            .name = names[i],
                                            .version = WAYBILL_VERSION,
                                            .isolation = "none"};
        if (f.ops->open(&section, &f.origins[i], &f.exporters[i], &err) != WB_OK) return 1;
    }
    add_finished_chain(&f);
    add_finished_spans(&f);
    add_open_and_linked(&f);
    add_hostile(&f);
    add_ends(&f);
    for (int i = 0; i < AGENTS; i++) f.ops->close(f.exporters[i]);
    return 0;
}
