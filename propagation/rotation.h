/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/rotation.h: one key takes over from another. TOKENS section 13, "Rotation".
 * Changes files alone: a running sidecar opens another ring when it is told to reload. Whatever step a
 * crash interrupts, the directory holds a ring that loads, and the same call finishes the job. */
#ifndef WAYBILL_PROPAGATION_ROTATION_H
#define WAYBILL_PROPAGATION_ROTATION_H

#include "propagation/keyring.h"

enum {
    WB_KEY_PUBLISHED_S = 2 * WB_TRUST_REFRESH_HINT_S, /* before a next key may sign */
    /* How long after its rotation a key's signatures still count: until every sidecar of this agent
     * has reloaded. The longest life of a token and the largest skew. */
    WB_KEY_OVERLAP_S = 600 + 300,
};

typedef enum wb_rotation_step {
    WB_ROTATION_MADE_NEXT, /* there was none: publish it now */
    WB_ROTATION_TOO_EARLY, /* nothing was done; peers may not have seen it: see ready_s */
    WB_ROTATION_PROMOTED,  /* it signs; the key before it is retired */
} wb_rotation_step;

typedef struct wb_rotation {
    wb_rotation_step step;
    char current_kid[WB_HASH_B64 + 1]; /* after this step */
    char next_kid[WB_HASH_B64 + 1];    /* after this step; "" for none */
    char retired_kid[WB_HASH_B64 + 1]; /* PROMOTED only */
    uint64_t ready_s;                  /* MADE_NEXT, TOO_EARLY: when next may sign */
    uint64_t retired_exp_s;            /* PROMOTED: tokens signed by it then or later are refused */
} wb_rotation;

/** The next step of a rotation of `dir`.
 *  force   promote however short the next key was published; make one first if there is none
 *  Errors  NOT_FOUND no current key | CONFIG as wb_key_ring_open, or a link stands where a key would be
 *          written | FULL WB_RETIRED_MAX keys are retired
 *          UNAVAILABLE writing failed: mounted keys are rotated where they are made */
WB_MUST_USE wb_status wb_key_rotate(const char *dir, uint64_t now_s, bool force, wb_rotation *out,
                                    wb_error *err);

/** End a key that is not current: of what it signs from `now_s` on nothing counts; what it signed
 *  before can still be checked. A next key is withdrawn. With `drop` the key is forgotten altogether.
 *  was     which role it had
 *  Errors  NOT_FOUND no such key | REJECTED it is current: rotate first | as wb_key_rotate */
WB_MUST_USE wb_status wb_key_retire(const char *dir, const char *kid, uint64_t now_s, bool drop,
                                    wb_key_role *was, wb_error *err);

#endif
