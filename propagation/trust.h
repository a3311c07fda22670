/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/trust.h: whose keys are believed, and what their tokens may do here.
 * Files: TOKENS section 13; policies: TOKENS section 10. A loaded wb_trust never changes, so any
 * thread may read it; a reload builds a new one. Call wb_self_test first. */
#ifndef WAYBILL_PROPAGATION_TRUST_H
#define WAYBILL_PROPAGATION_TRUST_H

#include "core/buffer.h"
#include "core/slice.h"
#include "core/status.h"
#include "propagation/ed25519.h"

enum {
    WB_TRUST_FILE_MAX_BYTES = 64 * 1024,
    WB_TRUST_KEYS_MAX = 64,        /* per issuer */
    WB_TRUST_REFRESH_HINT_S = 300, /* how often we ask peers to ask for our keys */
    WB_TRUST_ISSUERS_MAX = 65536,
    WB_TRUST_PROBLEMS_MAX = 64, /* kept in words; more are only counted */
};

typedef struct wb_trust wb_trust;

typedef struct wb_trust_key {
    uint8_t x[WB_KEY_BYTES];
    char kid[WB_HASH_B64 + 1];
    uint64_t nbf, exp; /* Unix seconds: nbf <= iat < exp; 0 and UINT64_MAX where not given */
} wb_trust_key;

typedef struct wb_trust_issuer {
    wb_slice id;
    uint64_t sequence;        /* spiffe_sequence, 0 if absent */
    const wb_trust_key *keys; /* may be none: an empty set revokes the issuer */
    size_t n_keys;
} wb_trust_issuer;

typedef struct wb_trust_problem {
    char file[96];    /* name in the directory, cut */
    char reason[160]; /* for the log */
    bool kept;        /* what was there before holds in its place; else nothing does */
} wb_trust_problem;

/** Read every *.json of `dir` in one go. A file with a fault is left out, said in the problems, and
 *  its issuer keeps the keys that `previous` (may be NULL) had. A directory that does not exist is an
 *  empty one.
 *  Errors  CONFIG the directory cannot be read or others may write to it | NO_MEMORY
 *          FULL more than WB_TRUST_ISSUERS_MAX issuers */
WB_MUST_USE wb_status wb_trust_load(const char *dir, const wb_trust *previous, wb_trust **out,
                                    wb_error *err);
void wb_trust_free(wb_trust *trust);
WB_DEFINE_AUTO(wb_trust)

/** The issuer, or NULL. Its slices and keys live as long as `trust`. */
const wb_trust_issuer *wb_trust_find(const wb_trust *trust, wb_slice issuer);
/** Its key of that id, or NULL. A kid is never looked up across issuers. */
const wb_trust_key *wb_trust_key_find(const wb_trust_issuer *issuer, wb_slice kid);
/** For listing: issuers in the order of their ids; NULL behind the last. */
const wb_trust_issuer *wb_trust_at(const wb_trust *trust, size_t i);
const wb_trust_problem *wb_trust_problem_at(const wb_trust *trust, size_t i);
/** Files that were refused, also those whose words were not kept. */
size_t wb_trust_problems(const wb_trust *trust);

/** Read one trust file's text, as wb_trust_load would. For `trust add` from another's file.
 *  Errors  MALFORMED with the reason | NO_MEMORY */
WB_MUST_USE wb_status wb_trust_parse(wb_slice text, wb_trust **out, wb_error *err);

/** As wb_trust_load over files with these texts: one with a fault is left out, said in the problems; an
 *  issuer that two of them name is in neither. For whoever has the files in hand, such as published
 *  test vectors. NO_MEMORY | FULL */
WB_MUST_USE wb_status wb_trust_from_texts(const wb_slice *texts, size_t n, wb_trust **out,
                                          wb_error *err);

/** The name of the file that `issuer` came from ("" from a text), NULL if it is not there. */
const char *wb_trust_file_of(const wb_trust *trust, wb_slice issuer);

/** Two of the files that name `issuer`, in the order of their names: neither counts. False: at most one
 *  names it. */
bool wb_trust_twice(const wb_trust *trust, wb_slice issuer, const char *files[2]);

/** Write `issuer` as a trust file, without a line feed: what peers lay down. NO_MEMORY */
WB_MUST_USE wb_status wb_trust_file_format(const wb_trust_issuer *issuer, wb_buffer *out);

/* Changes to a trust directory: read, changed and replaced durably (new file, fsync, rename, fsync of
 * the directory), one at a time. A running sidecar sees them when it reloads. Errors of all three:
 *  CONFIG  the present file is faulty, or a link, or the issuer stands in a bundle file, which is its owner's to
 *          change, or in two files | UNAVAILABLE writing failed | NO_MEMORY */

/** Believe one more key of `agent_id`, or change the window of one that is believed; `dir` is made
 *  (0700) if absent. The sequence stays: it is the issuer's.
 *  Errors  MALFORMED not an agent id, x is no valid point, or its window is empty | REJECTED it is believed like that already
 *          FULL WB_TRUST_KEYS_MAX */
WB_MUST_USE wb_status wb_trust_add(const char *dir, wb_slice agent_id, const wb_trust_key *key,
                                   wb_error *err);

/** Lay down all that `issuer` publishes, in place of what was believed of it; `dir` as above.
 *  Errors  MALFORMED, also a key whose window is empty | REJECTED the present file has a higher sequence: this one is older */
WB_MUST_USE wb_status wb_trust_put(const char *dir, const wb_trust_issuer *issuer, wb_error *err);

/** Believe `agent_id` no longer: its file goes, faulty or not. With a `kid` (else empty) that key alone
 *  goes; an issuer whose last key went is refused, not unknown.
 *  Errors  NOT_FOUND no such issuer, no such key */
WB_MUST_USE wb_status wb_trust_remove(const char *dir, wb_slice agent_id, wb_slice kid,
                                      wb_error *err);

/** The file's name for an agent id: b64url of SHA-256, ".json", NUL. */
enum { WB_TRUST_NAME_LEN = WB_HASH_B64 + 5 };
void wb_trust_file_name(wb_slice agent_id, char name[WB_TRUST_NAME_LEN + 1]);

/* Policies. 0 is "not said" everywhere, so that an entry may say one thing only. */
typedef enum wb_policy_verdict {
    WB_POLICY_DEFAULT = 0,
    WB_POLICY_CONTINUE,
    WB_POLICY_LINK,
    WB_POLICY_REJECT,
} wb_policy_verdict;
typedef enum wb_policy_chain {
    WB_CHAIN_DEFAULT = 0,
    WB_CHAIN_FULL,
    WB_CHAIN_LEAF,
} wb_policy_chain;
typedef enum wb_trust_mode {
    WB_MODE_DEFAULT = 0,
    WB_MODE_LINK,
    WB_MODE_ENFORCE,
    WB_MODE_OBSERVE,
} wb_trust_mode;

typedef struct wb_trust_policy {
    wb_slice id; /* of the issuer; borrowed */
    wb_policy_verdict verdict;
    wb_policy_chain chain;
    wb_trust_mode mode;
    bool require; /* soft codes end in REJECT */
    bool carry;   /* unproven chains may CONTINUE */
} wb_trust_policy;

/* Configuration, borrowed for as long as the struct is used. */
typedef struct wb_policies {
    wb_slice self_id; /* the first own id: whose trust domain gets the friendly defaults */
    const wb_trust_policy *entries;
    size_t n;
    wb_trust_mode mode; /* trust.mode */
    bool callbacks;     /* trust.callbacks: an agent may meet itself in a chain */
} wb_policies;

/** What holds for `id` (may be empty: an unknown peer), all defaults resolved: no field of the answer
 *  is *_DEFAULT, and enforce has set `require`. Thread-safe. */
wb_trust_policy wb_policy_for(const wb_policies *policies, wb_slice id);

/* Why a field of a policy is as it is. */
typedef enum wb_policy_source {
    WB_FROM_DEFAULT = 0,
    WB_FROM_DOMAIN, /* the issuer is of the first own id's trust domain */
    WB_FROM_MODE,   /* trust.mode; of `require`: mode enforce, whoever said that */
    WB_FROM_ENTRY,  /* trust.policies */
} wb_policy_source;
typedef struct wb_policy_sources {
    wb_policy_source verdict, chain, mode, require, carry;
} wb_policy_sources;

/** wb_policy_for, and where each field comes from. */
wb_trust_policy wb_policy_explain(const wb_policies *policies, wb_slice id, wb_policy_sources *out);

/** "default", "own trust domain", "trust.mode", "entry". */
const char *wb_policy_source_name(wb_policy_source source);
/** "continue", "link", "reject"; "full", "leaf"; "default" for 0. */
const char *wb_policy_verdict_name(wb_policy_verdict verdict);
const char *wb_policy_chain_name(wb_policy_chain chain);
/** "link", "enforce", "observe"; "default" for 0. */
const char *wb_trust_mode_name(wb_trust_mode mode);

#endif
