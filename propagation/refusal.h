/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/refusal.h: what a refused message was about, as the refusing side keeps it under its `ref`
 * (TOKENS section 15), and the file of the newest ones. The peer learns class and ref, no more.
 * Format: propagation/refusal.c. */
#ifndef WAYBILL_PROPAGATION_REFUSAL_H
#define WAYBILL_PROPAGATION_REFUSAL_H

#include "core/clock.h"
#include "core/slice.h"
#include "core/status.h"
#include "propagation/token.h"

#define WB_REFUSAL_FILE "refusals.ring" /* in the state directory */
enum {
    WB_REF_BYTES = 8,
    WB_REF_HEX = 2 * WB_REF_BYTES, /* as a ref is written */
    WB_REFUSAL_SLOT_BYTES = 1024,
    WB_REFUSAL_SLOTS = 16384,
    WB_REFUSAL_FILE_BYTES = WB_REFUSAL_SLOT_BYTES * WB_REFUSAL_SLOTS,
};

typedef enum wb_refusal_kind {
    WB_REFUSAL_REJECT = 1,     /* an incoming token, or none where one was required */
    WB_REFUSAL_DUPLICATE = 2,  /* a token that was accepted before */
    WB_REFUSAL_DELEGATE = 3,   /* a delegation of our own agent's: its ask went beyond the grant */
    WB_REFUSAL_PASSED = 4,     /* as REJECT, but trust.mode observe let it pass */
    WB_REFUSAL_UNVERIFIED = 5, /* nothing was refused: a soft code, which `require` would refuse */
} wb_refusal_kind;

typedef struct wb_refusal {
    uint8_t ref[WB_REF_BYTES];
    wb_refusal_kind kind;
    wb_time_ns time_ns;
    /* What is too long for its place is cut, at a character's border. */
    wb_slice code;       /* by name, 31 bytes; empty: no check failed */
    wb_slice wire_class; /* 31 */
    wb_slice mode;       /* trust mode that held for the issuer, 15 */
    wb_slice peer;       /* as the agent told us, 95 */
    wb_slice issuer;     /* claimed; of a delegation: whom it was for. 255 */
    wb_slice key_id;     /* claimed, 43 */
    wb_slice message_id; /* 128 */
    wb_slice detail;     /* 159 */
} wb_refusal;

/** Write one slot, whole. */
void wb_refusal_format(const wb_refusal *refusal, uint8_t slot[WB_REFUSAL_SLOT_BYTES]);

/** Read one slot; slices point into it.
 *  Errors  NOT_FOUND never written | CORRUPT torn, or not of this program */
WB_MUST_USE wb_status wb_refusal_parse(const uint8_t slot[WB_REFUSAL_SLOT_BYTES], wb_refusal *out);

/** Call `each` with every refusal of `state_dir`'s file, in no order, borrowed for the call; a slot that
 *  is torn is passed over. Another status than OK of `each` ends it, and is returned.
 *  Errors  NOT_FOUND no such file: no sidecar began here yet, or it was removed | UNAVAILABLE it cannot be read */
WB_MUST_USE wb_status wb_refusals_read(const char *state_dir,
                                       wb_status (*each)(void *self, const wb_refusal *refusal),
                                       void *self, wb_error *err);

/** "reject" "duplicate" "delegate" "passed" "unverified". */
const char *wb_refusal_kind_name(wb_refusal_kind kind);

/** 16 hex digits of either case. */
bool wb_ref_parse(const char *text, uint8_t out[WB_REF_BYTES]);

/* What a code means to a person, and what to do about it. */
typedef struct wb_token_help {
    const char *step;    /* of TOKENS section 8: "10", "13" */
    const char *meaning; /* one sentence */
    const char *remedy;  /* one or two, for who runs the refusing side */
} wb_token_help;

/** propagation/token_help.c: of every code but WB_E_NONE; NULL for that and for no code. */
const wb_token_help *wb_token_help_of(wb_token_code code);
/** The code of that name, WB_E_NONE for any other text. */
wb_token_code wb_token_code_parse(wb_slice name);

#endif
