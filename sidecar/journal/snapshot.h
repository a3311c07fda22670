/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/journal/snapshot.h: the state tables as a file, written slice by slice between commits.
 * Private to the journal; the writer's. */
#ifndef WAYBILL_SIDECAR_JOURNAL_SNAPSHOT_H
#define WAYBILL_SIDECAR_JOURNAL_SNAPSHOT_H

#include "core/entry.h"
#include "core/file_ops.h"
#include "core/ids.h"
#include "sidecar/journal/layout.h"

enum { WB_SNAPSHOT_SLICE_MAX = 4 * 1024 * 1024, WB_SNAPSHOT_NAME_MAX = 32 };

/** Where and for whom: borrowed for each call. */
typedef struct wb_snapshot_place {
    const wb_file_ops *ops;
    int dir;
    const wb_state_table *tables;
    size_t n_tables;
} wb_snapshot_place;

/** What a good file says of itself. */
typedef struct wb_snapshot_info {
    wb_id journal_id;
    uint64_t base_seq;    /* frames above it are applied on top; in the file's name too */
    uint64_t durable_seq; /* was safe when it was finished; its slices are no newer */
    uint64_t bytes;
} wb_snapshot_info;

/** One being written. Zeroed: none is. */
typedef struct wb_snapshot_draft {
    bool active;
    const char
        *from; /* the file that it was made of, and becomes again when it is abandoned; static,
                       * NULL: none */
    int file;
    wb_snapshot_info info;
    uint32_t crc, chunks;
    size_t table, resume_at; /* where the next slice starts */
    wb_buffer slice;
} wb_snapshot_draft;

/** Begin. `info` says journal_id and base_seq. `from` is a file whose space will do, or NULL; it keeps
 *  its name in `draft`. Errors UNAVAILABLE; then nothing is active and `from` is as it was. */
WB_MUST_USE wb_status wb_snapshot_begin(wb_snapshot_draft *draft, const wb_snapshot_place *place,
                                        wb_snapshot_info info, const char *from, wb_error *err);
/** Copy one slice. *through is true behind the last. Errors UNAVAILABLE | NO_MEMORY | a table's. */
WB_MUST_USE wb_status wb_snapshot_slice(wb_snapshot_draft *draft, const wb_snapshot_place *place,
                                        bool *through, wb_error *err);
/** Make it durable and give it its name; *out is what it is. Nothing is active afterwards.
 *  Errors UNAVAILABLE */
WB_MUST_USE wb_status wb_snapshot_finish(wb_snapshot_draft *draft, const wb_snapshot_place *place,
                                         uint64_t durable_seq, wb_snapshot_info *out,
                                         wb_error *err);
/** Stop, if one is active: its file has the name again that it came from, or is gone. */
void wb_snapshot_abandon(wb_snapshot_draft *draft, const wb_snapshot_place *place);

/** Read the whole file named by `base_seq` and check every byte. *newer: a later version of Waybill
 *  wrote it.
 *  Errors  CORRUPT | UNAVAILABLE the disk fails | NO_MEMORY */
WB_MUST_USE wb_status wb_snapshot_check(const wb_snapshot_place *place, uint64_t base_seq,
                                        wb_snapshot_info *out, bool *newer, wb_error *err);
/** Does the file `name` have the header of the snapshot at `base_seq`? */
bool wb_snapshot_is(const wb_snapshot_place *place, const char *name, uint64_t base_seq);
/** Hand a checked file's slices to the tables, which are empty. Sections of tables that are not there
 *  are left out. Errors as above, and a table's. */
WB_MUST_USE wb_status wb_snapshot_load(const wb_snapshot_place *place, uint64_t base_seq,
                                       wb_error *err);

static inline void wb_snapshot_name(char name[WB_FILE_NAME], uint64_t base_seq)
{
    wb_numbered_name(name, WB_SNAPSHOT_PREFIX, base_seq);
}

#endif
