/* SPDX-License-Identifier: Apache-2.0 */
/* W3C Baggage section 3.2.1:
 *
 *     baggage   member *( OWS "," OWS member )
 *     member    key OWS "=" OWS value *( OWS ";" OWS property )
 *     property  key [ OWS "=" OWS value ]
 *     key       1*tchar                                      RFC 9110's token
 *     value     *( 0x21-7E but " , ; \ )                     percent-encoded; "=" is legal
 *
 * A member is passed on as the bytes it came as: decoding and encoding again would rewrite what is only
 * carried. So nothing here decodes, and a key is compared as it stands, for keys have no encoding. */
#include "propagation/baggage.h"

#include "propagation/list_header.h"

static bool tchar(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

static bool value_char(uint8_t c) { return c > 0x20 && c < 0x7f && !strchr("\",;\\", c); }

static bool all_of(wb_slice s, bool (*legal)(uint8_t))
{
    for (size_t i = 0; i < s.len; i++)
        if (!legal(s.ptr[i])) return false;
    return true;
}

bool wb_baggage_key_ok(wb_slice key) { return key.len > 0 && all_of(key, tchar); }

/* Split off what stands before the first `c`; false: there is none, and `head` is all. */
static bool cut(wb_slice *rest, uint8_t c, wb_slice *head)
{
    const uint8_t *at = rest->len ? memchr(rest->ptr, c, rest->len) : NULL;
    size_t len = at ? (size_t)(at - rest->ptr) : rest->len;
    *head = wb_trim_ows((wb_slice){rest->ptr, len});
    *rest = at ? (wb_slice){at + 1, rest->len - len - 1} : (wb_slice){rest->ptr + len, 0};
    return at != NULL;
}

/* key [ "=" value ]; a member needs the value, a property does not. */
static bool pair_ok(wb_slice pair, bool needs_value, wb_slice *key)
{
    bool has_value = cut(&pair, '=', key);
    return wb_baggage_key_ok(*key) && (has_value || !needs_value) &&
           all_of(wb_trim_ows(pair), value_char);
}

static bool member_ok(wb_slice member, wb_slice *key)
{
    wb_slice pair, ignored;
    bool more = cut(&member, ';', &pair);
    if (!pair_ok(pair, true, key)) return false;
    while (more) {
        more = cut(&member, ';', &pair);
        if (!pair_ok(pair, false, &ignored)) return false;
    }
    return true;
}

static bool passes(const wb_baggage_rule *rule, wb_slice key)
{
    for (size_t i = 0; i < rule->n_keys && !rule->all; i++)
        if (wb_slice_eq(rule->keys[i], key)) return true;
    return rule->all;
}

static bool too_much(const wb_slice *values, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n && total <= WB_BAGGAGE_READ_BYTES; i++) total += values[i].len;
    return total > WB_BAGGAGE_READ_BYTES;
}

size_t wb_baggage_write(const wb_slice *values, size_t n, const wb_baggage_rule *rule,
                        char out[WB_BAGGAGE_MAX_BYTES + 1])
{
    wb_list_header walk = {.values = values, .n = too_much(values, n) ? 0 : n};
    size_t len = 0, members = 0;
    wb_slice member, key;
    while (members < WB_BAGGAGE_MAX_MEMBERS && wb_list_header_next(&walk, &member)) {
        size_t comma = len > 0;
        if (!member_ok(member, &key) || !passes(rule, key)) continue;
        if (len + comma + member.len > WB_BAGGAGE_MAX_BYTES) continue;
        if (comma) out[len++] = ',';
        memcpy(out + len, member.ptr, member.len);
        len += member.len;
        members++;
    }
    out[len] = '\0';
    return len;
}
