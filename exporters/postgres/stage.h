/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/postgres/stage.h: records into the staging tables of a transaction. */
#ifndef WAYBILL_EXPORTERS_POSTGRES_STAGE_H
#define WAYBILL_EXPORTERS_POSTGRES_STAGE_H

#include "core/arena.h"
#include "core/entry.h"
#include "exporters/postgres/copy.h"

/** A place in the journal: everything up to it is in the store. */
typedef struct wb_stage_mark {
    int64_t seq;
    int64_t entry;
} wb_stage_mark;

/** Which of the staging tables have rows. */
typedef struct wb_staged {
    bool spans, logs, delegations, acceptances;
} wb_staged;

/* Resources and scopes, each once in a batch. */
typedef struct wb_stage_messages {
    wb_slice *of; /* owned array of borrowed bytes */
    size_t n, cap;
    uint32_t *slots; /* owned: open addressing, number + 1 */
    size_t n_slots;
} wb_stage_messages;

/** What staging needs again and again. Embedded: init, done. */
typedef struct wb_stage {
    wb_arena *arena; /* of the record in hand */
    wb_copy copy;
    wb_stage_messages messages[2]; /* resources, scopes */
} wb_stage;

WB_MUST_USE wb_status wb_stage_init(wb_stage *stage);
void wb_stage_done(wb_stage *stage);

bool wb_stage_is_delivered(const wb_stage_mark *mark, const wb_record_view *record);

/** Within a transaction: make the tables where they are not there, and fill them with what of `records` is
 *  behind `mark`.
 *  Errors  REJECTED a record that can never be stored | as wb_pg_exec */
WB_MUST_USE wb_status wb_stage_fill(wb_stage *stage, wb_pg *pg, const wb_record_view *records,
                                    size_t n, const wb_stage_mark *mark, wb_staged *out,
                                    wb_error *err);

/** Add the statements that bring what was staged into the store, as rows of sidecar `sidecar_id`. */
void wb_stage_merge(wb_pg_pipeline *pipeline, const wb_staged *staged, int64_t sidecar_id);

/** Days since 1970 on which spans of `records` started, or log records were written, each bit a day from `first_day` on. */
uint64_t wb_stage_days(const wb_record_view *records, size_t n, int64_t first_day);

#endif
