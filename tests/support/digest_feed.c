/* SPDX-License-Identifier: Apache-2.0 */
/* digest_feed: the C digest for whoever compares it. Requests on standard input, each a line
 *
 *     DIALECT SALT LEN
 *
 * and LEN bytes behind it. DIALECT 1.0, rpc or http: the body digest of the parts that the bytes are, with
 * SALT in hex. DIALECT canonical: the RFC 8785 form of the bytes; SALT is a dash. One line of answer each on
 * standard output: "= " and the digest in hex, or the form, which has no line end in it; or "! " and why
 * there is none. The locale is the environment's, which must not matter. A request that is none ends the
 * program: the test is wrong. */
#include "client/digest.h"
#include "core/jcs.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 64 << 20, LINE = 128 };

static size_t number_in(const char *text, int base)
{
    char *end;
    unsigned long value = strtoul(text, &end, base);
    WB_ASSERT(*end == '\0' && end != text && value <= LIMIT);
    return value;
}

static void read_salt(const char *hex, uint8_t salt[WB_SALT_LEN])
{
    WB_ASSERT(strlen(hex) == (size_t)2 * WB_SALT_LEN);
    for (size_t i = 0; i < WB_SALT_LEN; i++) {
        const char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        salt[i] = (uint8_t)number_in(byte, 16);
    }
}

static wb_a2a_dialect dialect_of(const char *word)
{
    if (strcmp(word, "1.0") == 0) return WB_A2A_1_0;
    if (strcmp(word, "rpc") == 0) return WB_A2A_0_3_JSON_RPC;
    WB_ASSERT(strcmp(word, "http") == 0);
    return WB_A2A_0_3_HTTP;
}

static wb_status digest(const char *dialect, const char *hex, wb_slice parts, wb_buffer *out,
                        wb_error *err)
{
    uint8_t salt[WB_SALT_LEN], made[WB_BODY_DIGEST_LEN];
    read_salt(hex, salt);
    WB_TRY(wb_body_digest_of_json(salt, dialect_of(dialect), parts, LIMIT, made, err));
    for (size_t i = 0; i < sizeof made; i++) WB_TRY(wb_buffer_printf(out, "%02x", made[i]));
    return WB_OK;
}

static wb_status canonical(wb_slice text, wb_buffer *out, wb_error *err)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(LIMIT);
    WB_ASSERT(arena);
    return wb_jcs_format(text, arena, out, err);
}

static void answer(const char *dialect, const char *salt, wb_slice bytes)
{
    WB_AUTO_BUFFER out;
    wb_error err = {0};
    wb_buffer_init(&out, LIMIT);
    wb_status st = strcmp(dialect, "canonical") == 0 ? canonical(bytes, &out, &err)
                                                     : digest(dialect, salt, bytes, &out, &err);
    if (st == WB_OK)
        (void)printf("= %.*s\n", WB_SLICE_ARG(wb_buffer_slice(&out)));
    else
        (void)printf("! %s: %s\n", wb_status_name(st), err.detail);
}

int main(void)
{
    char line[LINE];
    (void)setlocale(LC_ALL, "");
    while (fgets(line, sizeof line, stdin)) {
        char *rest;
        const char *dialect = strtok_r(line, " \n", &rest);
        const char *salt = strtok_r(NULL, " \n", &rest);
        const char *len = strtok_r(NULL, " \n", &rest);
        WB_ASSERT(dialect && salt && len);
        size_t want = number_in(len, 10);
        uint8_t *bytes = malloc(want + 1);
        WB_ASSERT(bytes && fread(bytes, 1, want, stdin) == want);
        answer(dialect, salt, wb_slice_of(bytes, want));
        free(bytes);
    }
    return 0;
}
