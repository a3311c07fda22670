/* SPDX-License-Identifier: Apache-2.0 */
/* libsodium does the work, under rules that close its three doors. Given a `b64_end` it returns success
 * on "QUJD?" having stopped at the '?', so none is given; given none it returns -1 there with bin_len
 * already set, so the result is looked at before the length; and it looks characters up as signed
 * chars, so that 1.0.18 takes some bytes above 0x7f for letters ("QU\xc3\xa4" decodes), so the alphabet
 * is checked here first. It refuses padding, white space and set unused bits by itself. The self-test
 * holds all of it to that. */
#include "propagation/b64url.h"

#include <sodium.h>

void wb_b64url_format(wb_slice bytes, char *out)
{
    (void)sodium_bin2base64(out, WB_B64URL_LEN(bytes.len) + 1, bytes.ptr, bytes.len,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* RFC 4648 section 5, table 2. */
static bool in_alphabet(wb_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_') return false;
    }
    return true;
}

wb_status wb_b64url_parse(wb_slice text, uint8_t *out, size_t cap, size_t *len)
{
    size_t got = 0;
    if (text.len % 4 == 1) return WB_ERR_MALFORMED;
    if (text.len / 4 * 3 + text.len % 4 * 3 / 4 > cap) return WB_ERR_FULL;
    if (!in_alphabet(text)) return WB_ERR_MALFORMED;
    if (text.len > 0 && sodium_base642bin(out, cap, (const char *)text.ptr, text.len, NULL, &got,
                                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return WB_ERR_MALFORMED;
    *len = got;
    return WB_OK;
}

wb_status wb_b64url_parse_exact(wb_slice text, uint8_t *out, size_t len)
{
    size_t got;
    if (text.len != WB_B64URL_LEN(len)) return WB_ERR_MALFORMED;
    WB_TRY(wb_b64url_parse(text, out, len, &got));
    return got == len ? WB_OK : WB_ERR_MALFORMED;
}
