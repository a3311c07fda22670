/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/hold.h: how old a frame of the journal is at least. Embedded; one thread.
 *
 * Frames bear no time. But whoever looks now and then how far the journal goes knows later that all up
 * to there is as old as the look. */
#ifndef WAYBILL_SIDECAR_DELIVERY_HOLD_H
#define WAYBILL_SIDECAR_DELIVERY_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WB_HOLD_LOOKS = 32 }; /* within the time: what is held waits up to a 32nd too long */

typedef struct wb_hold {
    uint64_t ns;   /* 0: nothing is held */
    uint64_t ripe; /* all up to here is that old */
    struct {
        uint64_t at, seq;
    } looks[WB_HOLD_LOOKS + 2]; /* the oldest first, none of them ripe */
    size_t n;
} wb_hold;

/** `ripe`  delivered by an earlier run */
void wb_hold_init(wb_hold *hold, uint64_t ns, uint64_t ripe);

/** The journal goes to `durable_seq` at `now` (monotonic). Returns up to where it is ripe; all of it
 *  without a hold. */
uint64_t wb_hold_look(wb_hold *hold, uint64_t now, uint64_t durable_seq);

/** Nanoseconds after which to look again, more may be ripe by then. */
uint64_t wb_hold_next_ns(const wb_hold *hold, uint64_t now);

#endif
