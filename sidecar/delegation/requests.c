/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded set. When it is full the row in the slot under a hand that walks round the slots makes
 * room; slots fill in order of arrival, so the hand meets the oldest first. A client
 * resends within seconds; were a row gone by then, the spans would be journalled twice, and stores
 * would still keep each once. */
#include "sidecar/delegation/requests.h"

#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/delegation/row_table.h"

#include <errno.h>
#include <stdlib.h>

typedef struct hot_part {
    uint32_t accepted, rejected;
} hot_part;

struct wb_requests {
    wb_row_table *rows;
    uint32_t hand; /* slot of the next row to go */
};

wb_requests *wb_requests_new(uint32_t kept)
{
    wb_requests *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->rows = wb_row_table_new(sizeof(wb_id), sizeof(hot_part), kept);
    if (r->rows) return r;
    free(r);
    return NULL;
}

void wb_requests_free(wb_requests *r)
{
    if (!r) return;
    wb_row_table_free(r->rows);
    free(r);
}

static void make_room(wb_requests *r)
{
    const void *key;
    if (wb_row_room(r->rows) > 0) return;
    do r->hand = (r->hand + 1) % wb_row_slots(r->rows);
    while (!wb_row_at(r->rows, r->hand, &key, NULL, NULL));
    wb_id id;
    memcpy(id.b, key, sizeof id.b); /* the key lives in the row that goes */
    wb_row_remove(r->rows, id.b);
}

static wb_status apply_row(void *self, wb_slice packed, wb_error *err)
{
    wb_requests *r = self;
    void *found;
    errno = 0;
    Waybill__V1__RequestRow *row = waybill__v1__request_row__unpack(NULL, packed.len, packed.ptr);
    if (!row || row->id.len != sizeof(wb_id)) {
        waybill__v1__request_row__free_unpacked(row, NULL);
        return wb_row_unreadable("request row", packed.len, err);
    }
    make_room(r);
    wb_status status = wb_row_put(r->rows, row->id.data, packed, &found);
    if (status == WB_OK) *(hot_part *)found = (hot_part){row->accepted, row->rejected};
    waybill__v1__request_row__free_unpacked(row, NULL);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no room for a request row");
}

static wb_status apply(void *self, const wb_entry *entry, wb_error *err)
{
    return apply_row(self, entry->payload, err);
}

static wb_status snapshot(void *self, wb_buffer *out, size_t *resume_at)
{
    return wb_row_snapshot(((wb_requests *)self)->rows, out, resume_at);
}

static wb_status load(void *self, wb_slice slice, wb_error *err)
{
    return wb_row_load(slice, apply_row, self, err);
}

static void reset(void *self)
{
    wb_requests *r = self;
    wb_row_table_reset(r->rows);
    r->hand = 0;
}

const wb_state_ops wb_requests_ops = {
    .name = "requests",
    .kinds = WB_KIND_BIT(WB_ENTRY_REQUEST),
    .apply = apply,
    .snapshot = snapshot,
    .load = load,
    .reset = reset,
};

bool wb_requests_find(const wb_requests *r, const wb_id *id, uint32_t *accepted, uint32_t *rejected)
{
    void *found;
    if (!wb_row_get(r->rows, id->b, NULL, &found)) return false;
    *accepted = ((hot_part *)found)->accepted;
    *rejected = ((hot_part *)found)->rejected;
    return true;
}
