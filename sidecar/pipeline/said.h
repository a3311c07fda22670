/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/said.h: what one span says, between reading it and adding what it lacks. Private to the
 * normalise stage. */
#ifndef WAYBILL_SIDECAR_PIPELINE_SAID_H
#define WAYBILL_SIDECAR_PIPELINE_SAID_H

#include "core/batch.h"
#include "core/buffer.h"
#include "proto/key_set.h"
#include "proto/otlp_read.h"
#include "proto/wire.h"
#include "sidecar/pipeline/operation.h"
#include "sidecar/pipeline/stage.h"
#include "sidecar/pipeline/tokens.h"

enum {
    WB_SAID_BYTES_MAX = 4 * 1024 * 1024, /* in one batch: its arena and its payload have limits */
    WB_SAID_WAITING_MAX = 32,
    WB_SAID_SHAPE_MAX = 64,
    WB_SAID_PLAN_MAX = 96,
    WB_SAID_PIECES_MAX = 1024 * 1024, /* of one text that is put together */
};

#define WB_SPAN_TYPE_KEY WB_S("waybill.span.type")
#define WB_CANON_BIT(field) (UINT64_C(1) << (field))

/* Fields whose values are labels of what is measured. */
#define WB_SAID_LABELS                                                                             \
    (WB_CANON_BIT(WB_CANON_PROVIDER) | WB_CANON_BIT(WB_CANON_MODEL_REQUESTED) |                    \
     WB_CANON_BIT(WB_CANON_MODEL_RESPONSE) | WB_CANON_BIT(WB_CANON_AGENT_NAME) |                   \
     WB_CANON_BIT(WB_CANON_WORKFLOW_NAME) | WB_CANON_BIT(WB_CANON_TOOL_NAME) |                     \
     WB_CANON_BIT(WB_CANON_TOOL_TYPE) | WB_CANON_BIT(WB_CANON_ERROR_TYPE))

_Static_assert(WB_CANON_FIELDS <= 64, "a set of fields is one word");
_Static_assert(WB_RULES <= 32, "so is one of dialects");

typedef struct wb_said_source {
    wb_slice value; /* the bytes of its AnyValue */
    const wb_semconv_rule *rule;
} wb_said_source;

/* An attribute, and its key's place in the key set. */
typedef struct wb_said_key {
    const uint8_t *key, *value; /* where they are */
    uint16_t place;
} wb_said_key;

/* Where the value of the nth attribute goes. */
typedef struct wb_said_place {
    wb_slice *value;
    uint8_t nth;
    bool is_word;  /* and another word would mean another thing */
    bool is_label; /* of what is measured */
} wb_said_place;

/* What one span says, and what is kept from one to the next: they are much alike. */
typedef struct wb_said {
    const wb_key_set *keys;
    const wb_stage_view *view;
    wb_batch *batch;
    uint64_t redacted; /* fields whose values go through wb_redact_made */
    wb_span *span;
    wb_slice message;  /* of the span */
    wb_buffer *pieces; /* for a text that is put together of them */
    wb_arena *scratch; /* for what is thrown away again behind the span: what is said is copied */
    /* What is said is written at `to`, in the batch's arena; of this span from `first` on. */
    uint8_t *first, *to, *room_end;
    size_t said_bytes; /* of all spans so far */
    wb_said_key
        shape[WB_SAID_SHAPE_MAX]; /* the attributes of the span that was read last, in order */
    size_t n_shape;
    uint32_t like; /* wb_span.like of that span, if has_like */
    bool has_like;
    bool is_alike;    /* the present one has the same keys, and may be planned for */
    bool has_plan;    /* for the next one, with these keys, if all this is as planned */
    bool same_labels; /* by the plan: all values that are labels are those of the span before */
    bool had_others;  /* that span had labels which no attribute says */
    wb_said_place plan[WB_SAID_PLAN_MAX];
    size_t n_plan;
    uint64_t planned_has;
    bool planned_parent;
    uint8_t planned_kind, planned_status;
    wb_slice provider_text, provider;     /* as one said it last, and what that is called */
    uint64_t said;                        /* fields of `said_as` */
    wb_value said_as[WB_CANON_FIELDS];    /* what was said of each; until the next span */
    uint64_t has;                         /* fields of `best` */
    uint64_t own;                         /* those of them whose best is their own attribute */
    wb_said_source best[WB_CANON_FIELDS]; /* of fields in `has` */
    wb_said_source waiting[WB_SAID_WAITING_MAX]; /* for what the span is */
    size_t n_waiting;
    wb_slice words[WB_RULES]; /* AnyValues of the operation, of dialects in `spoken` */
    uint32_t spoken;
    uint64_t indexed; /* fields that come in parts */
    wb_operation operation;
    wb_span_type type;
    const wb_attr *told; /* its type, as it arrived */
    bool counted;        /* `tokens` are its disjoint buckets */
    wb_tokens tokens;
    wb_slice server_address, server_port; /* AnyValues; NULL: absent */
} wb_said;

static inline bool wb_said_speaks(const wb_said *said, unsigned dialect)
{
    return (said->spoken >> dialect) & 1;
}

/** Labels that were said of the span and that none of its attributes says: of its events, its status, its name. */
static inline uint64_t wb_said_others(const wb_said *said)
{
    return said->said & WB_SAID_LABELS & ~said->has;
}

/** The text of an AnyValue; empty if it is no text. */
static inline wb_slice wb_said_word(wb_slice any_value)
{
    if (wb_wire_is_short_text(any_value)) /* nearly always; without a call */
        return (wb_slice){any_value.ptr + 2, any_value.len - 2};
    wb_value value = wb_otlp_value(any_value);
    return value.type == WB_VALUE_TEXT ? value.text : (wb_slice){0};
}

/** Read a span: what it says of the model, and what it is. */
void wb_said_find(wb_said *said, wb_span *span);

/** Append to the span the attributes of the model that it lacks. NO_MEMORY the batch's arena
 *  is at its limit. */
WB_MUST_USE wb_status wb_said_add(wb_said *said);

#endif
