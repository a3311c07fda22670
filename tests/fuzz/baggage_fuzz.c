/* SPDX-License-Identifier: Apache-2.0 */
/* The input's first line names the keys that pass, separated by commas, or is `*`; each further line is a
 * header. What passes keeps within the limits, has only named keys, was received in that order, and
 * passes unchanged when it comes again. */
#include "propagation/baggage.h"

#include "core/status.h"
#include "propagation/list_header.h"

static wb_slice take_line(wb_slice *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    wb_slice line = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t taken = end ? line.len + 1 : line.len;
    *rest = (wb_slice){rest->ptr + taken, rest->len - taken};
    return line;
}

static bool named(const wb_baggage_rule *rule, wb_slice member)
{
    for (size_t i = 0; i < rule->n_keys; i++)
        if (wb_slice_starts(member, rule->keys[i])) return true;
    return rule->all;
}

static void check(const wb_slice *values, size_t n, const wb_baggage_rule *rule)
{
    static char once[WB_BAGGAGE_MAX_BYTES + 1], twice[WB_BAGGAGE_MAX_BYTES + 1];
    size_t len = wb_baggage_write(values, n, rule, once), members = 0;
    const wb_slice written = wb_slice_of(once, len);
    WB_ASSERT(len <= WB_BAGGAGE_MAX_BYTES && strlen(once) == len);
    wb_list_header received = {.values = values, .n = n}, sent = {.values = &written, .n = 1};
    wb_slice had, member;
    for (; wb_list_header_next(&sent, &member); members++) {
        WB_ASSERT(named(rule, member));
        do WB_ASSERT(wb_list_header_next(&received, &had));
        while (!wb_slice_eq(had, member));
    }
    WB_ASSERT(members <= WB_BAGGAGE_MAX_MEMBERS);
    WB_ASSERT(wb_baggage_write(&written, 1, rule, twice) == len && memcmp(once, twice, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_slice values[8], keys[4], rest = {data, size};
    wb_slice first = take_line(&rest), key;
    wb_baggage_rule rule = {.all = wb_slice_eq(first, WB_S("*")), .keys = keys};
    wb_list_header walk = {.values = &first, .n = 1};
    size_t n = 0;
    while (rule.n_keys < WB_COUNT(keys) && wb_list_header_next(&walk, &key))
        keys[rule.n_keys++] = key;
    while (n < WB_COUNT(values) && rest.len > 0) values[n++] = take_line(&rest);
    check(values, n, &rule);
    return 0;
}
