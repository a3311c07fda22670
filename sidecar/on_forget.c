/* SPDX-License-Identifier: Apache-2.0 */
/* Forget: the cursor of an exporter that is not configured any more. It holds nothing back; forgetting it
 * is tidiness, and makes an exporter that comes back under this name begin anew. */
#include "sidecar/request.h"

#include "proto/waybill/v1/ipc.pb-c.h"

typedef struct forget_verb {
    Waybill__V1__ForgetExporterReply reply;
} forget_verb;

static bool find(wb_request *r, const char *name, wb_cursor_row *out)
{
    wb_cursor_row rows[WB_JOURNAL_CURSORS];
    size_t n = wb_journal_cursors(r->sidecar->journal, rows);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        *out = rows[i];
        return true;
    }
    return false;
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    forget_verb *f = r->verb;
    const char *name = r->in->forget_exporter->name;
    wb_cursor_row row;
    wb_entry entry;
    (void)state;
    if (!find(r, name, &row))
        return wb_fail(err, WB_ERR_NOT_FOUND, "the journal knows no exporter of this name");
    if (row.registered)
        return wb_fail(err, WB_ERR_REJECTED,
                       "this exporter is configured: take it out of the configuration first");
    f->reply.cursor = row.seq;
    f->reply.dropped_records = row.dropped_records;
    WB_TRY(wb_cursor_forget_entry(name, &r->spans, &entry)); /* the buffer goes with the reply */
    wb_txn_add(out, entry.kind, entry.payload);
    return WB_OK;
}

void wb_on_forget(wb_request *r)
{
    forget_verb *f = wb_arena_alloc(r->arena, sizeof *f);
    if (!f) {
        wb_request_reply(r, WB_ERR_NO_MEMORY, NULL);
        return;
    }
    waybill__v1__forget_exporter_reply__init(&f->reply);
    r->verb = f;
    r->txn.work = WB_WORK_HOUSE;
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_FORGET_EXPORTER;
    r->reply->forget_exporter = &f->reply;
    wb_request_submit(r, prepare);
}
