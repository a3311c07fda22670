/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/store_kit.h: a store in a folder of its own, written by the real exporter, for cmocka
 * tests of what reads it. Every call fails the test that it cannot serve. */
#ifndef WAYBILL_TESTS_SUPPORT_STORE_KIT_H
#define WAYBILL_TESTS_SUPPORT_STORE_KIT_H

#include "exporters/sqlite/sqlite.h"
#include "store/store.h"
#include "tests/support/records.h"

typedef struct store_kit {
    char dir[64], path[96];
    wb_sqlite_config config;
    wb_config_section section;
    wb_exporter_origin origin;
    void *exporter;
    wb_store *store;
    uint64_t seq;
} store_kit;

/* A fixture's set-up and tear-down; the state is the kit. It is the sidecar "alpha" at first. */
int store_kit_set_up(void **state);
int store_kit_tear_down(void **state);

/** Go on as another sidecar, or as the same again. */
void store_kit_become(store_kit *f, uint32_t journal, const char *name);
/** Open the store for reading, as kit->store. */
void store_kit_open(store_kit *f);

/* Deliver one record each. */
void store_kit_spans(store_kit *f, const test_span_spec *specs, size_t n);
void store_kit_span(store_kit *f, test_span_spec spec);
void store_kit_logs(store_kit *f, const test_log_spec *specs, size_t n);
void store_kit_log(store_kit *f, test_log_spec spec);
void store_kit_delegation(store_kit *f, test_delegation_spec spec);
void store_kit_acceptance(store_kit *f, test_acceptance_spec spec);

#endif
