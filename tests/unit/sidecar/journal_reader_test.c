/* SPDX-License-Identifier: Apache-2.0 */
/* Readers, and everything that several threads may do at once, on the real disk. */
#include "tests/support/journal_kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { READERS = 3, FRAMES = 1500 };

typedef struct on_disk {
    wb_journal_kit kit;
    char path[64];
} on_disk;

static int start(void **state)
{
    on_disk *d = malloc(sizeof *d);
    if (!d) return -1;
    wb_kit_init(&d->kit);
    (void)snprintf(d->path, sizeof d->path, "/tmp/waybill-journal-XXXXXX");
    if (!mkdtemp(d->path)) return -1;
    d->kit.options.ops = &wb_real_disk;
    d->kit.options.dir = d->path;
    *state = d;
    return wb_kit_open(&d->kit) == WB_OK ? 0 : -1;
}

static int remove_name(void *arg, const char *name) { return unlinkat(*(int *)arg, name, 0); }

static int stop(void **state)
{
    on_disk *d = *state;
    wb_kit_done(&d->kit);
    int dir = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rv = wb_real_disk.list(&wb_real_disk, dir, remove_name, &dir);
    (void)close(dir);
    if (rmdir(d->path) != 0) rv = -1;
    free(d);
    return rv;
}

static void a_reader_that_caught_up_goes_on_later(void **state)
{
    wb_journal_kit *kit = &((on_disk *)*state)->kit;
    wb_journal_reader *reader;
    wb_frame_view frame;
    assert_int_equal(wb_journal_reader_open(kit->journal, 0, &reader, NULL), WB_OK);
    assert_int_equal(wb_journal_reader_next(reader, &frame, NULL), WB_ERR_NOT_FOUND);
    for (uint64_t i = 1; i <= 200; i++) { /* over several segments */
        (void)wb_kit_commit(kit, 1, i, 1000);
        assert_int_equal(wb_journal_reader_next(reader, &frame, NULL), WB_OK);
        assert_int_equal(frame.seq, i);
        assert_int_equal(wb_kit_value(&frame), i);
        assert_int_equal(wb_journal_reader_next(reader, &frame, NULL), WB_ERR_NOT_FOUND);
    }
    wb_journal_reader_close(reader);
}

static void reading_starts_behind_any_sequence(void **state)
{
    wb_journal_kit *kit = &((on_disk *)*state)->kit;
    uint64_t values[256];
    for (uint64_t i = 1; i <= 150; i++) (void)wb_kit_commit(kit, 1, i, 1000);
    for (uint64_t after = 0; after <= 150; after++) {
        assert_int_equal(wb_kit_read(kit, after, values, WB_COUNT(values)), 150 - after);
        if (after < 150) assert_int_equal(values[0], after + 1);
    }
    assert_int_equal(wb_kit_read(kit, 1000, values, WB_COUNT(values)), 0);
}

static void a_segment_that_is_read_is_not_recycled_under_the_reader(void **state)
{
    wb_journal_kit *kit = &((on_disk *)*state)->kit;
    wb_journal_reader *reader;
    wb_frame_view frame;
    wb_journal_stats stats;
    uint64_t seq, last = 0;
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    for (uint64_t i = 1; i <= 60; i++) (void)wb_kit_commit(kit, 1, i, 2000);
    assert_int_equal(wb_journal_reader_open(kit->journal, 0, &reader, NULL), WB_OK);
    assert_int_equal(wb_journal_reader_next(reader, &frame, NULL), WB_OK);
    for (uint64_t i = 61; i <= 400; i++) {
        seq = wb_kit_commit(kit, 1, i, 2000);
        wb_kit_move_cursor(kit, "store", seq);
        while (wb_kit_idle(kit->journal)) continue;
    }
    wb_journal_get_stats(kit->journal, &stats);
    assert_true(stats.first_seq > 100);
    wb_status status; /* what its segment had, then a jump to what is left */
    for (last = frame.seq; (status = wb_journal_reader_next(reader, &frame, NULL)) == WB_OK;) {
        assert_true(frame.seq == last + 1 || frame.seq >= stats.first_seq);
        last = frame.seq;
    }
    assert_int_equal(status, WB_ERR_NOT_FOUND);
    assert_int_equal(last, stats.durable_seq);
    wb_journal_reader_close(reader);
}

static void a_frame_larger_than_the_read_buffer_is_read_whole(void **state)
{
    on_disk *d = *state;
    wb_journal_kit *kit = &d->kit;
    uint64_t values[8];
    wb_kit_close(kit);
    kit->options.segment_bytes = UINT64_C(16) << 20;
    kit->options.limit_bytes = UINT64_C(1) << 30;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    (void)wb_kit_commit(kit, 1, 1, 100);
    (void)wb_kit_commit(kit, 1, 2, 9 << 20);
    (void)wb_kit_commit(kit, 1, 3, 100);
    assert_int_equal(wb_kit_read(kit, 0, values, 8), 3);
    assert_int_equal(values[2], 3);
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->report.lost_frames, 0);
    assert_int_equal(kit->table.values[1], 3);
    kit->options.segment_bytes = WB_KIT_SEGMENT;
}

/* ---- several threads ---- */

typedef struct shared {
    wb_journal *journal;
    atomic_bool done;
    atomic_ullong slowest[READERS]; /* what each has read */
} shared;

typedef struct follower {
    shared *shared;
    size_t index;
    uint64_t rows, expected_seq;
    bool wrong;
} follower;

static void follow(follower *f, wb_journal_reader *reader)
{
    wb_frame_view frame;
    while (wb_journal_reader_next(reader, &frame, NULL) == WB_OK) {
        uint64_t value = wb_kit_value(&frame);
        if (frame.seq != f->expected_seq) f->wrong = true; /* its cursor keeps all of them */
        if (value != 0 && value != ++f->rows) f->wrong = true;
        f->expected_seq = frame.seq + 1;
        atomic_store(&f->shared->slowest[f->index], frame.seq);
    }
}

static void *run_follower(void *arg)
{
    follower *f = arg;
    wb_journal_reader *reader;
    if (wb_journal_reader_open(f->shared->journal, 0, &reader, NULL) != WB_OK) return NULL;
    f->expected_seq = 1;
    while (f->rows < FRAMES && !f->wrong) {
        wb_journal_stats stats;
        wb_status waited = wb_journal_wait(f->shared->journal, f->expected_seq - 1, 50);
        if (waited == WB_ERR_UNAVAILABLE) break;
        follow(f, reader);
        wb_journal_get_stats(f->shared->journal, &stats);
    }
    wb_journal_reader_close(reader);
    return NULL;
}

static void *run_spare(void *arg)
{
    shared *s = arg;
    while (!atomic_load(&s->done))
        if (wb_journal_wait_spare_wanted(s->journal, 20)) {
            wb_status status = wb_journal_prepare_spare(s->journal, NULL);
            (void)status; /* the writer can do without */
        }
    return NULL;
}

static uint64_t slowest(shared *s)
{
    uint64_t lowest = UINT64_MAX;
    for (size_t i = 0; i < READERS; i++) {
        uint64_t seq = atomic_load(&s->slowest[i]);
        if (seq < lowest) lowest = seq;
    }
    return lowest;
}

static void write_all(wb_journal_kit *kit, shared *s)
{
    uint64_t seq;
    for (uint64_t value = 1; value <= FRAMES;) {
        for (uint64_t n = value % 5; n > 0 && value < FRAMES; n--, value++)
            assert_int_equal(wb_kit_append(kit, 1, value, value * 7 % 3000, &seq), WB_OK);
        assert_int_equal(wb_kit_append(kit, 1, value, 10, &seq), WB_OK);
        value++;
        assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK);
        if (value % 3 == 0) wb_kit_move_cursor(kit, "store", slowest(s));
        (void)wb_kit_idle(kit->journal);
    }
}

static void readers_follow_a_writer_that_rolls_and_trims(void **state)
{
    wb_journal_kit *kit = &((on_disk *)*state)->kit;
    uint64_t seq;
    pthread_t threads[READERS], spare;
    follower followers[READERS];
    wb_kit_close(kit);
    kit->options.limit_bytes = UINT64_C(100) << 20;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    shared s = {.journal = kit->journal};
    for (size_t i = 0; i < READERS; i++) {
        followers[i] = (follower){.shared = &s, .index = i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_follower, &followers[i]), 0);
    }
    assert_int_equal(pthread_create(&spare, NULL, run_spare, &s), 0);
    write_all(kit, &s);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(followers[i].wrong);
        assert_int_equal(followers[i].rows, FRAMES);
    }
    atomic_store(&s.done, true);
    wb_journal_stop_waits(kit->journal);
    assert_int_equal(pthread_join(spare, NULL), 0);
    wb_journal_stats stats;
    wb_journal_get_stats(kit->journal, &stats);
    assert_true(stats.segments > 1 || stats.first_seq > 1);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(a_reader_that_caught_up_goes_on_later),
        ON_DISK(reading_starts_behind_any_sequence),
        ON_DISK(a_segment_that_is_read_is_not_recycled_under_the_reader),
        ON_DISK(a_frame_larger_than_the_read_buffer_is_read_whole),
        ON_DISK(readers_follow_a_writer_that_rolls_and_trims),
    };
    return cmocka_run_group_tests_name("journal_reader", tests, NULL, NULL);
}
