/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/journal_kit.h: a journal with one table on a disk, for tests that say what happens to
 * it and look at what is left. Asserts on what a test takes for granted. */
#ifndef WAYBILL_TESTS_SUPPORT_JOURNAL_KIT_H
#define WAYBILL_TESTS_SUPPORT_JOURNAL_KIT_H

#include "sidecar/journal/journal.h"
#include "tests/support/kv_table.h"
#include "tests/support/model_disk.h"

enum { WB_KIT_SEGMENT = 64 * 1024 };

typedef struct wb_journal_kit {
    wb_model_disk *disk;
    wb_journal *journal; /* NULL: not open */
    wb_kv_table table;
    wb_state_table tables[1];
    wb_journal_options options; /* 64 KiB segments, 16 of them; change before opening */
    wb_journal_report report;
    wb_error err;
    wb_work work; /* of what is appended; new work at first */
} wb_journal_kit;

/** A fresh disk; nothing is open. The kit must not move. */
void wb_kit_init(wb_journal_kit *kit);
void wb_kit_done(wb_journal_kit *kit);

/** For cmocka: *state is a kit with an open journal; and its end. */
int wb_kit_start(void **state);
int wb_kit_stop(void **state);

/** Empty the table and open; the outcome is in kit->report or kit->err. */
wb_status wb_kit_open(wb_journal_kit *kit);
/** A clean stop. */
void wb_kit_close(wb_journal_kit *kit);
/** kill -9: nothing more is written, and the cache stays. */
void wb_kit_kill(wb_journal_kit *kit);

/** All housekeeping once; true if there is more to do now. */
bool wb_kit_idle(wb_journal *journal);

/** Append one transaction: the row key = value, then `len` bytes of SPANS if len > 0. */
wb_status wb_kit_append(wb_journal_kit *kit, uint32_t key, uint64_t value, size_t len,
                        uint64_t *seq);
/** The same and commit; asserts that both work. Returns the sequence. */
uint64_t wb_kit_commit(wb_journal_kit *kit, uint32_t key, uint64_t value, size_t len);
/** Append and commit an exporter's cursor. */
void wb_kit_move_cursor(wb_journal_kit *kit, const char *name, uint64_t seq);

/** Values of the rows in the frames above `after`, in order, 0 for a frame without; returns how many
 *  frames there are. */
size_t wb_kit_read(wb_journal_kit *kit, uint64_t after, uint64_t *values, size_t max);

/** Value of the first DELEGATION in a frame; 0 if there is none. */
uint64_t wb_kit_value(const wb_frame_view *frame);

#endif
