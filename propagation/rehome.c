/* SPDX-License-Identifier: Apache-2.0 */
/* The map must outlive the process, or a trace that is worked on across a restart falls apart; and it
 * must be secret, or whoever knows a trace id could compute the one that stands for it here and claim
 * that in turn. So there is one secret per state directory, made once.
 *
 * File  rehome.key, one line: "waybill-rh-v1:" b64url(32 bytes) LF. A crash while it is made leaves none
 *       or a whole one; of two processes that make it at once one wins, and both read what is there.
 * Hash  BLAKE2b, 32 bytes, keyed (crypto_generichash); its first 16 are the id. */
#include "propagation/rehome.h"

#include "propagation/b64url.h"
#include "propagation/laid_file.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define PREFIX "waybill-rh-v1:"

enum {
    SECRET_BYTES = 32,
    LINE_LEN = sizeof PREFIX - 1 + WB_B64URL_LEN(SECRET_BYTES),
};

struct wb_rehome { /* in sodium_malloc memory, read-only */
    uint8_t secret[SECRET_BYTES];
};

static wb_status make_file(const char *dir, wb_error *err)
{
    uint8_t secret[SECRET_BYTES];
    char line[LINE_LEN + 2] = PREFIX;
    wb_random(secret, sizeof secret);
    wb_b64url_format(wb_slice_of(secret, sizeof secret), line + sizeof PREFIX - 1);
    line[LINE_LEN] = '\n';
    wb_status status = wb_file_put(dir, WB_REHOME_FILE, wb_slice_of(line, LINE_LEN + 1),
                                   S_IRUSR | S_IWUSR, false, err);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(line, sizeof line);
    return status == WB_ERR_REJECTED ? WB_OK : status; /* it is there by now */
}

static wb_status parse(wb_slice text, uint8_t secret[SECRET_BYTES])
{
    wb_slice line = {text.ptr, LINE_LEN};
    if (text.len != LINE_LEN + 1 || text.ptr[LINE_LEN] != '\n') return WB_ERR_MALFORMED;
    if (!wb_slice_starts(line, WB_S(PREFIX))) return WB_ERR_MALFORMED;
    return wb_b64url_parse_exact(
        wb_slice_of(line.ptr + sizeof PREFIX - 1, WB_B64URL_LEN(SECRET_BYTES)), secret,
        SECRET_BYTES);
}

static wb_status hold(wb_slice text, const char *dir, wb_rehome **out, wb_error *err)
{
    WB_AUTO(wb_rehome) rehome = sodium_malloc(sizeof *rehome);
    if (!rehome || sodium_mlock(rehome, sizeof *rehome) != 0)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno,
                             "the memory of a secret cannot be locked (ulimit -l)");
    if (parse(text, rehome->secret) != WB_OK)
        return wb_fail(err, WB_ERR_CONFIG,
                       "%s/" WB_REHOME_FILE " is damaged: remove it for a new one", dir);
    if (sodium_mprotect_readonly(rehome) != 0)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "secret of re-homing");
    *out = WB_STEAL(rehome);
    return WB_OK;
}

wb_status wb_rehome_open(const char *dir, wb_rehome **out, wb_error *err)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, 2 * LINE_LEN);
    wb_status status =
        wb_laid_file_get(dir, WB_REHOME_FILE, WB_LAID_SECRET, LINE_LEN + 1, &text, err);
    if (status == WB_ERR_NOT_FOUND) {
        WB_TRY(make_file(dir, err));
        status = wb_laid_file_get(dir, WB_REHOME_FILE, WB_LAID_SECRET, LINE_LEN + 1, &text, err);
    }
    if (status == WB_OK) status = hold(wb_buffer_slice(&text), dir, out, err);
    if (text.len > 0) sodium_memzero(text.ptr, text.len);
    return status;
}

void wb_rehome_free(wb_rehome *rehome)
{
    if (rehome) sodium_free(rehome); /* wipes; opens the pages by itself */
}

wb_trace_id wb_rehome_trace(const wb_rehome *rehome, const wb_trace_id *claimed)
{
    uint8_t hash[32];
    wb_trace_id trace;
    (void)crypto_generichash(hash, sizeof hash, claimed->b, sizeof claimed->b, rehome->secret,
                             SECRET_BYTES);
    memcpy(trace.b, hash, sizeof trace.b);
    if (WB_ID_ABSENT(trace)) trace.b[sizeof trace.b - 1] = 1;
    return trace;
}

void wb_rehome_pseudonym(const wb_rehome *rehome, wb_slice bytes,
                         uint8_t out[WB_REHOME_PSEUDONYM_LEN])
{
    static const uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = "wb-pseudonym-v1";
    (void)crypto_generichash_blake2b_salt_personal(out, WB_REHOME_PSEUDONYM_LEN, bytes.ptr,
                                                   bytes.len, rehome->secret, SECRET_BYTES, NULL,
                                                   personal);
}
