/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/contract/stored_state.h"

#include "store/store.h"
#include "tests/support/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct wanted_state {
    uint32_t id;
    char *out;
} wanted_state;

static wb_status take_state(void *ctx, const wb_stored_delegation *row)
{
    wanted_state *wanted = ctx;
    wb_id id = test_id(wanted->id);
    if (WB_ID_EQ(row->delegation_id, id))
        (void)snprintf(wanted->out, 32, "%.*s", WB_SLICE_ARG(row->state));
    return WB_OK;
}

void contract_stored_state(const char *url, uint32_t id, char out[32])
{
    WB_AUTO(wb_store) store = NULL;
    wb_error err = {0};
    wanted_state wanted = {id, out};
    out[0] = '\0';
    if (wb_store_open(url, &store, &err) != WB_OK) fail_msg("%s", err.detail);
    if (wb_store_delegations(store, &(wb_delegation_filter){0}, take_state, &wanted, &err) != WB_OK)
        fail_msg("%s", err.detail);
}
