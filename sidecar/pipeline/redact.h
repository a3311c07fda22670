/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/redact.h: what may not be kept is taken out of a telemetry request before anybody else reads it.
 *
 * Secrets anywhere in it become WB_SECRET_MASK. Content (prompts, answers, arguments and results of tools) is
 * cut to a preview, and beside it WB_REDACT_CUT_PREFIX with its key says how many bytes it had. Attributes
 * that rules name are dropped, hashed or cut. docs/redaction.md. Pure but for the buffer; a redactor is constant and
 * any thread may use it. */
#ifndef WAYBILL_SIDECAR_PIPELINE_REDACT_H
#define WAYBILL_SIDECAR_PIPELINE_REDACT_H

#include "core/arena.h"
#include "core/buffer.h"
#include "propagation/rehome.h"
#include "proto/otlp_read.h"
#include "proto/signal.h"
#include "sidecar/pipeline/preview.h"
#include "sidecar/pipeline/semconv.h"

#define WB_REDACT_CUT_PREFIX "waybill.cut."

typedef enum wb_redact_content {
    WB_CONTENT_PREVIEW,
    WB_CONTENT_VERBOSE,
    WB_CONTENT_WHOLE,
    WB_CONTENT_NONE, /* left out */
} wb_redact_content;

enum { WB_REDACT_PATTERNS_MAX = 64 };

/** Keys of attributes, in which `*` stands for any characters. */
typedef struct wb_redact_rule {
    const wb_slice *patterns;
    size_t n;
} wb_redact_rule;

/** What holds. Plain values, borrowed for each call. */
typedef struct wb_redact_policy {
    bool secrets; /* are masked */
    wb_redact_content content;
    size_t preview_characters; /* 8 or more */
    size_t verbose_bytes;
    wb_redact_rule drop, hash, cut; /* the first that fits holds */
    bool again; /* what comes was redacted before: lengths that it says of what was cut hold on */
    bool
        thorough; /* every text is read, as if a search through the bytes had found something in it */
} wb_redact_policy;

/** A policy's two halves, for those who must read content before it is cut: what is done first (secrets, what rules
 *  drop and hash) and what is done last (content, what rules cut). */
static inline wb_redact_policy wb_redact_all_but_content(const wb_redact_policy *policy)
{
    wb_redact_policy half = *policy;
    half.content = WB_CONTENT_WHOLE;
    half.cut.n = 0;
    return half;
}
static inline wb_redact_policy wb_redact_content_only(const wb_redact_policy *policy)
{
    wb_redact_policy half = *policy;
    half.secrets = false;
    half.drop.n = half.hash.n = 0;
    half.again = true; /* a sidecar before may have cut it */
    return half;
}

typedef struct wb_redactor wb_redactor;

/** `secret` is what rules of `hash` are keyed with; borrowed, and NULL where there are none. NO_MEMORY */
WB_MUST_USE wb_status wb_redactor_new(const wb_rehome *secret, wb_redactor **out, wb_error *err);
void wb_redactor_free(wb_redactor *redactor);
WB_DEFINE_AUTO(wb_redactor)

typedef struct wb_redacted {
    uint64_t secrets, cuts, rules; /* what was taken out, of each sort */
} wb_redacted;

/** A request without what the policy takes out.
 *  request  an Export...ServiceRequest; what does not parse is treated as text
 *  room     emptied, and holds what is made; *out lies in it, or is `request` if nothing had to go
 *  done     added to
 *  Errors   NO_MEMORY the buffer's limit */
WB_MUST_USE wb_status wb_redact(const wb_redactor *redactor, const wb_redact_policy *policy,
                                wb_signal signal, wb_slice request, wb_buffer *room, wb_slice *out,
                                wb_redacted *done, wb_error *err);

/** May the policy have something to say about attributes that are made later for that field of the model? Then their
 *  values go through wb_redact_made. */
static inline bool wb_redact_looks_at_field(const wb_redact_policy *policy, uint8_t field)
{
    return wb_canon_is_content(field) || policy->drop.n + policy->hash.n + policy->cut.n > 0;
}

/** The value that an attribute made by Waybill from what was redacted may have: content as long as it may be, rules
 *  obeyed. *out may be made in `arena`, and is EMPTY if the attribute must not be. NO_MEMORY */
WB_MUST_USE wb_status wb_redact_made(const wb_redactor *redactor, const wb_redact_policy *policy,
                                     wb_slice key, wb_value value, wb_arena *arena, wb_value *out);

/** May there be content to cut in a batch of spans whose fields are no longer than that (wb_batch.longest_field)? */
bool wb_redact_cuts(const wb_redact_policy *policy, size_t longest_field);

/** A text that came by itself, such as a URL: a copy without secrets in `arena`, with a NUL behind it that `len` does not
 *  count. `done` is added to. NO_MEMORY */
WB_MUST_USE wb_status wb_redact_text(wb_slice text, wb_arena *arena, wb_slice *out,
                                     wb_redacted *done);

#endif
