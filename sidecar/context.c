/* SPDX-License-Identifier: Apache-2.0 */
/* A client hands over headers as they came and takes those to send as they are: what is valid, what is
 * cut and what passes is decided here, once for every client's language.
 *
 * IPC has one field for the first header of a name, from when there was no other, and a list for the
 * rest. Two traceparents make none (W3C Trace Context section 3.2.1), so it matters that there were
 * two; several tracestates or baggages are one list (section 3.3.1, Baggage section 3.1). */
#include "sidecar/context.h"

#include "propagation/list_header.h"

wb_status wb_headers_of(const char *first, char *const *more, size_t n_more, wb_arena *arena,
                        wb_headers *out)
{
    size_t n = 0;
    wb_slice *values = wb_arena_array(arena, n_more + 1, sizeof *values);
    if (!values) return WB_ERR_NO_MEMORY;
    if (first[0] != '\0' || n_more > 0) values[n++] = wb_slice_str(first);
    for (size_t i = 0; i < n_more; i++) values[n++] = wb_slice_str(more[i]);
    *out = (wb_headers){values, n};
    return WB_OK;
}

wb_slice wb_headers_only(const wb_headers *headers)
{
    return headers->n == 1 ? wb_trim_ows(headers->values[0]) : WB_S("");
}

char *wb_context_traceparent(const wb_traceparent *context, wb_arena *arena)
{
    char *out = wb_arena_alloc(arena, WB_TRACEPARENT_LEN + 1);
    if (out) wb_traceparent_format(context, out);
    return out;
}

char *wb_context_tracestate(const wb_headers *received, wb_tracestate_kind kind, const wb_id *id,
                            wb_arena *arena)
{
    char *out = wb_arena_alloc(arena, WB_TRACESTATE_MAX_BYTES + 1);
    if (out) (void)wb_tracestate_write(received->values, received->n, kind, id, out);
    return out;
}

char *wb_context_baggage(const wb_headers *received, const wb_baggage_rule *rule, wb_arena *arena)
{
    char *out = wb_arena_alloc(arena, received->n > 0 ? WB_BAGGAGE_MAX_BYTES + 1 : 1);
    if (out && received->n > 0) (void)wb_baggage_write(received->values, received->n, rule, out);
    return out;
}

static bool is_one(const wb_slice *words, size_t n, wb_slice word)
{
    return n == 1 && wb_slice_eq(words[0], word);
}

/* Of either border: as keys they could only be meant as something else. */
static bool is_word(wb_slice text)
{
    return wb_slice_eq(text, WB_S("all")) || wb_slice_eq(text, WB_S("none")) ||
           wb_slice_eq(text, WB_S("joined")) || wb_slice_eq(text, WB_S("peers"));
}

wb_status wb_baggage_border_make(const char *name, const wb_slice *words, size_t n, wb_slice known,
                                 wb_baggage_border *out, wb_error *err)
{
    const wb_baggage_rule all = {.all = true}, none = {.all = false},
                          keys = {.keys = words, .n_keys = n};
    if (n == 0) return wb_fail(err, WB_ERR_CONFIG, "%s: write `none` if nothing may pass", name);
    if (is_one(words, n, WB_S("none"))) {
        *out = (wb_baggage_border){none, none};
    } else if (is_one(words, n, WB_S("all"))) {
        *out = (wb_baggage_border){all, all};
    } else if (is_one(words, n, known)) {
        *out = (wb_baggage_border){all, none};
    } else {
        for (size_t i = 0; i < n; i++)
            if (!wb_baggage_key_ok(words[i]) || is_word(words[i]))
                return wb_fail(err, WB_ERR_CONFIG, "%s: \"%.*s\" is no key of baggage", name,
                               (int)(words[i].len < 64 ? words[i].len : 64),
                               (const char *)words[i].ptr);
        *out = (wb_baggage_border){keys, keys};
    }
    return WB_OK;
}
