/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/store_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void send_payload(store_kit *f, wb_entry_kind kind, const wb_buffer *bytes)
{
    wb_record_view record = {.kind = kind, .seq = ++f->seq, .payload = wb_buffer_slice(bytes)};
    wb_export_result result;
    wb_error err = {0};
    if (wb_exporter_sqlite.send(f->exporter, &record, 1, 2000, &result, &err) != WB_OK)
        fail_msg("%s", err.detail);
}

void store_kit_spans(store_kit *f, const test_span_spec *specs, size_t n)
{
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_spans_payload(&bytes, specs, n);
    send_payload(f, WB_ENTRY_SPANS, &bytes);
}

void store_kit_span(store_kit *f, test_span_spec spec)
{
    if (!spec.name) spec.name = "work";
    store_kit_spans(f, &spec, 1);
}

void store_kit_logs(store_kit *f, const test_log_spec *specs, size_t n)
{
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_logs_payload(&bytes, specs, n);
    send_payload(f, WB_ENTRY_LOGS, &bytes);
}

void store_kit_log(store_kit *f, test_log_spec spec) { store_kit_logs(f, &spec, 1); }

void store_kit_delegation(store_kit *f, test_delegation_spec spec)
{
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_delegation_payload(&bytes, &spec);
    send_payload(f, WB_ENTRY_DELEGATION, &bytes);
}

void store_kit_acceptance(store_kit *f, test_acceptance_spec spec)
{
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_acceptance_payload(&bytes, &spec);
    send_payload(f, WB_ENTRY_ACCEPTANCE, &bytes);
}

void store_kit_become(store_kit *f, uint32_t journal, const char *name)
{
    wb_error err = {0};
    if (f->exporter) wb_exporter_sqlite.close(f->exporter);
    f->origin.journal_id = test_id(journal);
    f->origin.name = name;
    f->origin.agent_id = name;
    assert_int_equal(wb_exporter_sqlite.open(&f->section, &f->origin, &f->exporter, &err), WB_OK);
}

int store_kit_set_up(void **state)
{
    store_kit *f = calloc(1, sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/wb-read-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/store.db", f->dir);
    f->config.path = f->path;
    f->section = (wb_config_section){.name = "sqlite", .values = &f->config};
    f->origin = (wb_exporter_origin){.version = "0", .isolation = "none"};
    store_kit_become(f, 1, "alpha");
    *state = f;
    return 0;
}

int store_kit_tear_down(void **state)
{
    store_kit *f = *state;
    char path[128];
    static const char *const ends[] = {"", "-wal", "-shm"};
    wb_store_close(f->store);
    wb_exporter_sqlite.close(f->exporter);
    for (size_t i = 0; i < WB_COUNT(ends); i++) {
        (void)snprintf(path, sizeof path, "%s%s", f->path, ends[i]);
        (void)unlink(path);
    }
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

void store_kit_open(store_kit *f)
{
    wb_error err = {0};
    if (wb_store_open(f->path, &f->store, &err) != WB_OK) fail_msg("%s", err.detail);
}
