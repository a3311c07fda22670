/* SPDX-License-Identifier: Apache-2.0 */
/* core/json.h: a strict reader of JSON whose limits come before its memory, and the one escaping of
 * strings. Source: RFC 8259, RFC 3629; which fault counts: docs/design/token.md. */
#ifndef WAYBILL_CORE_JSON_H
#define WAYBILL_CORE_JSON_H

#include "core/arena.h"
#include "core/buffer.h"
#include "core/slice.h"
#include "core/status.h"

#define WB_JSON_INT_MAX UINT64_C(9007199254740991) /* 2^53 - 1 */

typedef enum wb_json_fault {
    WB_JSON_NO_FAULT = 0,
    WB_JSON_UTF8,      /* not UTF-8, a byte order mark, an escape for U+0000 or half a pair */
    WB_JSON_SYNTAX,    /* not one RFC 8259 object */
    WB_JSON_DUPLICATE, /* a name twice in an object, compared after unescaping */
    WB_JSON_NUMBER,    /* a number that the profile refuses */
    WB_JSON_DEPTH,
    WB_JSON_SIZE, /* members, elements, or a name or string too long */
} wb_json_fault;
/** In words, for logs. Never NULL. */
const char *wb_json_fault_text(wb_json_fault fault);

typedef struct wb_json_limits {
    uint32_t depth;        /* outermost object: 1 */
    uint32_t members;      /* of one object */
    uint32_t elements;     /* of one array */
    uint32_t string_bytes; /* of a name or string, unescaped */
    bool any_number; /* all RFC 8259 numbers; else 0 or [1-9][0-9]*, at most WB_JSON_INT_MAX */
    bool any_value;  /* the text may be any value; else one object */
    bool any_char;   /* an escape may give U+0000 */
    /* Members in the order of their names' UTF-16 units, as RFC 8785 wants them. A repeated name is
     * found where its object ends, in O(n log n); for objects of more members than a few dozen. */
    bool sort_members;
    /* Strings too long, and string elements too many, are checked and counted but not kept; without
     * it they are faults. */
    bool count_excess;
} wb_json_limits;

typedef enum wb_json_type {
    WB_JSON_NULL,
    WB_JSON_BOOL,
    WB_JSON_INT,
    WB_JSON_STRING,
    WB_JSON_ARRAY,
    WB_JSON_OBJECT,
    WB_JSON_REAL, /* a number that is no WB_JSON_INT; with `any_number` only */
} wb_json_type;

/* One value; all in the arena, but text without escapes points into what was read. */
typedef struct wb_json {
    wb_json_type type;
    bool truth;      /* BOOL */
    wb_slice name;   /* of a member of an object */
    wb_slice text;   /* STRING: unescaped; ptr NULL if it was only counted. REAL: as written */
    uint64_t number; /* INT */
    size_t n;        /* ARRAY, OBJECT: how many there were, also those only counted */
    struct wb_json *first, *next;
} wb_json;

/** Read one object, or what `any_value` lets through, within JSON white space, and nothing else. Of several faults the leftmost counts;
 *  UTF-8 is checked over the whole text first.
 *  fault   NO_FAULT, or why there is no `root`
 *  Status  OK with any fault | NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_json_parse(wb_slice text, const wb_json_limits *limits, wb_arena *arena,
                                    const wb_json **root, wb_json_fault *fault);

/** `0|[1-9][0-9]*`, at most WB_JSON_INT_MAX, and nothing else: how this project writes numbers outside
 *  of JSON, too. False for any other text. */
bool wb_json_int(wb_slice text, uint64_t *out);

/** The member of that name, or NULL. `object` may be any value or NULL: then NULL. */
const wb_json *wb_json_member(const wb_json *object, wb_slice name);

/** Append `text`, quoted; `"`, `\` and U+0000 to U+001F escaped, nothing else. `text` is UTF-8. */
WB_MUST_USE wb_status wb_json_add_string(wb_buffer *out, wb_slice text);

#endif
