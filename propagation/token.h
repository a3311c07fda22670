/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/token.h: what a delegation token says, and the reading of one link.
 * Format and limits: docs/design/token.md (TOKENS sections 3 to 5); codes: TOKENS sections 8 and 9. */
#ifndef WAYBILL_PROPAGATION_TOKEN_H
#define WAYBILL_PROPAGATION_TOKEN_H

#include "core/arena.h"
#include "core/delegation_state.h"
#include "core/ids.h"
#include "core/slice.h"
#include "core/status.h"
#include "propagation/b64url.h"
#include "propagation/ed25519.h"

enum {
    WB_LINK_MAX_BYTES = 4096,
    WB_CHAIN_MAX_LINKS = 8,
    WB_CHAIN_MAX_BYTES = 24576,
    WB_HEADER_MAX_BYTES = 256,   /* decoded */
    WB_PAYLOAD_MAX_BYTES = 2560, /* decoded */
    WB_ID_MAX_BYTES = 255,       /* agent ids */
    WB_TEXT_MAX_BYTES = 128,     /* message, context and task id */
    WB_SKILL_MAX_BYTES = 64,
    WB_SCP_MAX = 16,
    WB_DEPTH_MAX = 7,
    WB_HOP_MAX = 16,
    WB_FLAGS_MAX = 255,
    WB_EXP_MAX_S = 600,
    WB_EXP_DEFAULT_S = 120,
    WB_DLN_MAX_S = 86400,
    WB_DLN_DEFAULT_S = 3600,
    WB_MXD_DEFAULT = 4,
    WB_SKEW_DEFAULT_S = 60,
    WB_SKEW_MAX_S = 300,
    WB_SALT_BYTES = 16,
    WB_CURRENCY_LEN = 3,
};
#define WB_EXTENSION_URI "https://w3id.org/waybill/a2a/v1"

/* The codes of TOKENS sections 8 and 9, in the order in which the checks run. */
typedef enum wb_token_code {
    WB_E_NONE = 0, /* nothing failed */
    WB_E_MISSING,
    WB_E_CARRIER,
    WB_E_CHAIN_LEN,
    WB_E_SIZE,
    WB_E_SYNTAX,
    WB_E_B64,
    WB_E_UTF8,
    WB_E_JSON,
    WB_E_JSON_DUP,
    WB_E_NUM,
    WB_E_DEPTH_JSON,
    WB_E_CRIT,
    WB_E_HDR,
    WB_E_ALG,
    WB_E_TYP,
    WB_E_KID,
    WB_E_VER,
    WB_E_CLAIM_MISSING,
    WB_E_CLAIM_TYPE,
    WB_E_LIM_UNKNOWN,
    WB_E_CLAIM_RANGE,
    WB_E_AUD,
    WB_E_IAT_FUTURE,
    WB_E_EXPIRED,
    WB_E_TTL,
    WB_E_BIND_METHOD,
    WB_E_BIND_MSG,
    WB_E_BIND_TASK,
    WB_E_BIND_CTX,
    WB_E_BIND_BODY,
    WB_E_KEY_REVOKED,
    WB_E_ISS_UNKNOWN,
    WB_E_KEY_UNKNOWN,
    WB_E_KEY_TIME,
    WB_E_RATE,
    WB_E_SIG_POINT,
    WB_E_SIG,
    WB_E_CHAIN_ROOT,
    WB_E_CHAIN_SUB,
    WB_E_CHAIN_HASH,
    WB_E_CHAIN_ALIGN,
    WB_E_CHAIN_CNF,
    WB_E_CHAIN_DEPTH,
    WB_E_CHAIN_TRACE,
    WB_E_ATT_MXD,
    WB_E_ATT_TIME,
    WB_E_ATT_DLN,
    WB_E_ATT_CUR,
    WB_E_ATT_LIM,
    WB_E_ATT_SCP,
    WB_E_LOOP,
    WB_E_HOP,
    WB_E_CHAIN_SIG,
    WB_E_REPLAY,
    WB_E_REPLAY_FULL,
    WB_E_POLICY,
    WB_TOKEN_CODES, /* how many there are */
} wb_token_code;

/* Bits. */
typedef enum wb_token_warning {
    WB_W_CHAIN_UNVERIFIED = 1, /* an ancestor's issuer or key is unknown, or a lone link, dep > 0 */
    WB_W_TRACE_CONFLICT = 2,   /* the trace id has another owner */
    WB_W_TRACEPARENT = 4,      /* the header names another trace than the token */
} wb_token_warning;
enum { WB_TOKEN_WARNINGS = 3 };

/** "WB_E_AUD"; "" for WB_E_NONE. Never NULL. */
const char *wb_token_code_name(wb_token_code code);
/** All a peer may learn: "malformed" "stale" "unauthenticated" "replayed" "refused"; "" for none. */
const char *wb_token_code_class(wb_token_code code);
/** MISSING, ISS_UNKNOWN, KEY_UNKNOWN: an unverified LINK unless the policy says `require`. */
bool wb_token_code_is_soft(wb_token_code code);
/** The name of warning bit number `i` < WB_TOKEN_WARNINGS ("WB_W_CHAIN_UNVERIFIED" for 0). */
const char *wb_token_warning_name(unsigned i);

typedef enum wb_method {
    WB_METHOD_NONE = 0, /* none of the two: such a call has no token */
    WB_METHOD_SEND_MESSAGE,
    WB_METHOD_SEND_STREAMING_MESSAGE,
} wb_method;
/** From the 1.0 name ("SendMessage"); NONE for any other text. */
wb_method wb_method_parse(wb_slice name);
const char *wb_method_name(wb_method method);

typedef struct wb_token_limits {
    char cur[WB_CURRENCY_LEN + 1]; /* ISO 4217, NUL-terminated */
    uint64_t cost;                 /* millionths of the currency's unit; WB_NOLIM: none */
    uint64_t tok;                  /* input + output tokens */
    uint64_t ms;                   /* milliseconds of work */
} wb_token_limits;

/* The claims of TOKENS section 5. Slices live in the arena or the text that they were read from. */
typedef struct wb_claims {
    char kid[WB_HASH_B64 + 1]; /* of the header: the key that signed */
    wb_slice iss, sub, aud;
    wb_id jti;
    uint64_t iat, exp, dln; /* Unix seconds */
    wb_trace_id tid;
    wb_span_id psid;
    uint8_t tfl;
    uint8_t dep, mxd;
    uint8_t pth[WB_HASH_BYTES]; /* iff dep > 0 */
    bool has_lnk, has_cnf, has_scp;
    uint8_t lnk_tth[WB_HASH_BYTES];
    uint64_t lnk_hop;
    char cnf_jkt[WB_HASH_B64 + 1];
    wb_slice scp[WB_SCP_MAX];
    size_t n_scp;
    wb_token_limits lim;
    wb_method mth;
    wb_slice mid, ctx, tsk; /* ctx, tsk: len 0 = absent */
    uint8_t bdg[WB_HASH_BYTES];
} wb_claims;

/* The tokens of a carrier, root first. A reader fills `n` with what arrived even above
 * WB_CHAIN_MAX_LINKS, and leaves ptr NULL where a link is longer than WB_LINK_MAX_BYTES (len says how
 * long): the verifier refuses both by name, and nobody takes memory for them. */
typedef struct wb_chain {
    wb_slice links[WB_CHAIN_MAX_LINKS];
    size_t n;
} wb_chain;

/* One link taken apart; slices point into the JWS, the arena, or both. */
typedef struct wb_token {
    wb_slice jws;
    wb_slice signed_part; /* header, dot, payload: what the signature covers */
    uint8_t sig[WB_SIG_BYTES];
    uint8_t hash[WB_HASH_BYTES];
    wb_claims claims;
} wb_token;

/** Steps 2 (one link's size) to 6 of TOKENS section 8 over one link: form, not truth.
 *  code   WB_E_NONE, or the first check that failed; then `out` is untouched
 *  Status OK with any code | NO_MEMORY arena limit (128 KiB is ample for any link) */
WB_MUST_USE wb_status wb_token_parse(wb_slice jws, wb_arena *arena, wb_token *out,
                                     wb_token_code *code);

/** The hash by which children, receipts and replay rows name a token: SHA-256 over its ASCII. */
void wb_token_hash(wb_slice jws, uint8_t out[WB_HASH_BYTES]);

/** TOKENS section 5, "id". Byte by byte, never normalised. */
bool wb_agent_id_ok(wb_slice id);

#endif
