/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/baggage.h: which members of a baggage header pass a border. Source: W3C Baggage, sections
 * 3.2 and 3.3; where the borders are: docs/design/context.md. Thread-safe, no memory taken.
 *
 * Baggage is what anybody wrote. Nothing of ours (verdicts, budgets, traces, sampling) reads it. */
#ifndef WAYBILL_PROPAGATION_BAGGAGE_H
#define WAYBILL_PROPAGATION_BAGGAGE_H

#include "core/slice.h"

enum {
    WB_BAGGAGE_MAX_MEMBERS = 64, /* what must be passed on; no more is */
    WB_BAGGAGE_MAX_BYTES = 8192,
    WB_BAGGAGE_READ_BYTES = 64 * 1024, /* more than any HTTP server takes: dropped unread */
};

/* One border's rule. */
typedef struct wb_baggage_rule {
    bool all;             /* every key, else only these: */
    const wb_slice *keys; /* compared byte by byte */
    size_t n_keys;
} wb_baggage_rule;

/** A key that a header can have: RFC 9110's token. */
bool wb_baggage_key_ok(wb_slice key);

/** What `rule` lets pass. Members stay as they were written (percent-encoding, properties, keys that
 *  come twice) and in order; one that breaks the grammar, or that a limit has no room for, is left out
 *  whole.
 *  values  every header of that name, in order
 *  out     NUL-terminated; returns its length, at most WB_BAGGAGE_MAX_BYTES */
size_t wb_baggage_write(const wb_slice *values, size_t n, const wb_baggage_rule *rule,
                        char out[WB_BAGGAGE_MAX_BYTES + 1]);

#endif
