/* SPDX-License-Identifier: Apache-2.0 */
/* Several headers of one name mean their values joined by commas (RFC 9110 section 5.3), so a value's
 * end ends a member as a comma does, and nothing has to be joined to be read. Empty members are
 * allowed in what is received (section 5.6.1.2) and mean nothing. */
#include "propagation/list_header.h"

static bool is_ows(uint8_t c) { return c == ' ' || c == '\t'; }

wb_slice wb_trim_ows(wb_slice s)
{
    while (s.len > 0 && is_ows(s.ptr[0])) s.ptr++, s.len--;
    while (s.len > 0 && is_ows(s.ptr[s.len - 1])) s.len--;
    return s;
}

bool wb_list_header_next(wb_list_header *walk, wb_slice *out)
{
    while (walk->rest.len > 0 || walk->n > 0) {
        if (walk->rest.len == 0) {
            walk->rest = *walk->values++;
            walk->n--;
            continue;
        }
        const uint8_t *comma = memchr(walk->rest.ptr, ',', walk->rest.len);
        size_t len = comma ? (size_t)(comma - walk->rest.ptr) : walk->rest.len;
        wb_slice member = wb_trim_ows((wb_slice){walk->rest.ptr, len});
        size_t taken = comma ? len + 1 : len;
        walk->rest = (wb_slice){walk->rest.ptr + taken, walk->rest.len - taken};
        if (member.len == 0) continue;
        *out = member;
        return true;
    }
    return false;
}
