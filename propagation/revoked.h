/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/revoked.h: what is believed no longer, from a moment on. TOKENS section 13, revoked.txt:
 *
 *     # why, who, when
 *     kid <43 characters> <Unix seconds>
 *     tth <43 characters> <Unix seconds>
 *     iss <agent id> <Unix seconds>
 *
 * A line is in force once the asker's time has reached its own. A loaded list never changes, so any
 * thread may ask it; a reload builds a new one. Asking takes no memory and no file. */
#ifndef WAYBILL_PROPAGATION_REVOKED_H
#define WAYBILL_PROPAGATION_REVOKED_H

#include "core/slice.h"
#include "core/status.h"
#include "propagation/b64url.h"

#define WB_REVOKED_FILE "revoked.txt" /* in the trust directory */
enum {
    WB_REVOKED_MAX_BYTES = 4 * 1024 * 1024,
    WB_REVOKED_MAX_LINES = 65536, /* comments and empty ones included */
};

typedef struct wb_revoked wb_revoked;

typedef enum wb_revoked_kind {
    WB_REVOKED_KID, /* a key: whatever it signed */
    WB_REVOKED_TTH, /* one token */
    WB_REVOKED_ISS, /* an agent: whatever its keys are */
} wb_revoked_kind;

typedef struct wb_revocation {
    wb_revoked_kind kind;
    wb_slice value;  /* as written; borrowed from the list */
    uint64_t from_s; /* Unix seconds */
} wb_revocation;

/** Read `trust_dir`/revoked.txt; no such file or directory: an empty list.
 *  A link that leads to nothing is a faulty file, not an absent one.
 *  Errors  CONFIG not a regular file that only its owner may write, or a line has a fault: none of
 *          the list counts, and the caller must not go on without one | FULL too large | NO_MEMORY */
WB_MUST_USE wb_status wb_revoked_load(const char *trust_dir, wb_revoked **out, wb_error *err);

/** The same from a text. Errors MALFORMED names the line | FULL too many bytes or lines | NO_MEMORY */
WB_MUST_USE wb_status wb_revoked_parse(wb_slice text, wb_revoked **out, wb_error *err);
void wb_revoked_free(wb_revoked *revoked);
WB_DEFINE_AUTO(wb_revoked)

/** Is a key, a token, an agent revoked at `now_s`? For what is stored, its arrival stands for now.
 *  `revoked` may be NULL: nothing is. */
bool wb_revoked_kid(const wb_revoked *revoked, wb_slice kid, uint64_t now_s);
bool wb_revoked_tth(const wb_revoked *revoked, const uint8_t hash[WB_HASH_BYTES], uint64_t now_s);
bool wb_revoked_iss(const wb_revoked *revoked, wb_slice issuer, uint64_t now_s);

/** Any of the three: what step 10 of TOKENS section 8 asks of a token. */
bool wb_revoked_token(const wb_revoked *revoked, wb_slice issuer, wb_slice kid,
                      const uint8_t hash[WB_HASH_BYTES], uint64_t now_s);

/** Was there a file, even an empty one? */
bool wb_revoked_is_laid(const wb_revoked *revoked);

/** How many lines say something, and each of them in the order of the file (i below the count). */
size_t wb_revoked_count(const wb_revoked *revoked);
wb_revocation wb_revoked_at(const wb_revoked *revoked, size_t i);

/** "kid", "tth", "iss". */
const char *wb_revoked_kind_name(wb_revoked_kind kind);
/** False for any other word. */
bool wb_revoked_kind_parse(wb_slice word, wb_revoked_kind *out);

/** Add a line to `trust_dir`/revoked.txt (both made if missing) by writing the whole file anew: a new
 *  file, fsync, rename, fsync of the directory. What stands there stays as it is, comments included.
 *  must_be_laid  somebody holds to a list that was there: where it is gone, a new one with this line
 *                alone would lift all others
 *  Errors  MALFORMED the value is none of that kind | REJECTED it is revoked by then already
 *          NOT_FOUND it must be laid and is not
 *          CONFIG the present file is faulty, or a link | FULL | UNAVAILABLE writing failed | NO_MEMORY */
WB_MUST_USE wb_status wb_revoked_add(const char *trust_dir, const wb_revocation *what,
                                     bool must_be_laid, wb_error *err);

#endif
