/* SPDX-License-Identifier: Apache-2.0 */
/* tests/contract/exporter_contract.h: what every exporter must do, whatever its far side
 * (exporters/exporter.h says it in words). A far side brings the functions below and runs the battery
 * against the real thing. */
#ifndef WAYBILL_TESTS_CONTRACT_EXPORTER_CONTRACT_H
#define WAYBILL_TESTS_CONTRACT_EXPORTER_CONTRACT_H

#include "exporters/exporter.h"
#include "tests/support/records.h"

/** A far side that a test can break and look into. Failures of its own abort the test. */
typedef struct far_side_ops {
    const wb_exporter_ops *exporter;
    const void *impossible_settings; /* for open: can never work */
    uint32_t send_ms;                /* time for a send; 0: 2 s */
    /* Start an empty one. `values` of the exporter's section go to *settings, borrowed until stop. */
    void *(*start)(const void **settings);
    void (*stop)(void *far);
    /* Nobody can reach it until `back`. What it holds stays. */
    void (*away)(void *far);
    void (*back)(void *far);
    /* How many it holds; -1: it does not count such things. */
    int (*spans)(void *far);
    int (*delegations)(void *far);
    int (*acceptances)(void *far);
    /* State of the delegation with test_id(id), into `out`; "" if there is none. */
    void (*delegation_state)(void *far, uint32_t id, char out[32]);
} far_side_ops;

/** Run the battery; the number of failed tests. */
int exporter_contract_run(const far_side_ops *ops);

/* For a far side's own tests: an open exporter and records to send. */

enum { CONTRACT_RECORDS = 6 };

typedef struct contract_fixture {
    const far_side_ops *ops;
    void *far;
    const void *settings;
    wb_config_section section;
    wb_exporter_origin origin;
    void *exporter;
    wb_buffer bytes[CONTRACT_RECORDS];
    wb_record_view
        records[CONTRACT_RECORDS]; /* 3 span batches of 4 spans, 2 delegations, 1 acceptance */
} contract_fixture;

enum { CONTRACT_SPANS = 12, CONTRACT_DELEGATIONS = 2, CONTRACT_ACCEPTANCES = 1 };

/* cmocka set-up and tear-down; *state is a `const far_side_ops *` at first, the fixture afterwards. */
int contract_set_up(void **state);
int contract_tear_down(void **state);
void contract_open(contract_fixture *f);
void contract_close(contract_fixture *f);
wb_status contract_send(contract_fixture *f, size_t from, size_t n);
/** Holds exactly the fixture's records. */
void contract_holds_all(contract_fixture *f);

#endif
