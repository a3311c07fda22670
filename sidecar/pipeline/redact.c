/* SPDX-License-Identifier: Apache-2.0 */
/* Redaction comes first, on the bytes as they arrived: whatever a stage, the journal, a store or a backend sees has
 * gone through here, and a fault in any of them cannot show what was taken out.
 *
 * Nearly all requests have nothing to take out. So there are two steps. The first only asks: is there a spot in the
 * bytes that looks like a secret (secrets.h), is there a span with a field longer than a preview? If not, the
 * request goes on as it is. The second writes it anew (proto/otlp_rewrite.h), reading text by text where one of the
 * two is and copying the rest.
 *
 * Of spans and log records the content is cut behind the stages, in a second call: what model answered, which tier served it, may stand
 * in content alone. Secrets are gone by then.
 *
 * A value is masked for its key's name, or for what it looks like; a text is cut behind that, so that half a
 * secret cannot be what is left. Of a content that is an array or a map all texts share what a preview may have. */
#include "sidecar/pipeline/redact.h"

#include "proto/key_set.h"
#include "proto/otlp_put.h"
#include "proto/otlp_rewrite.h"
#include "proto/wire.h"
#include "sidecar/pipeline/secret_names.h"
#include "sidecar/pipeline/secrets.h"

#include <stdlib.h>

/* Content that no field of the model is made from. */
static const char *const more_content[] = {
    "input.value",
    "output.value",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "agentops.entity.input",
    "agentops.entity.output",
    "ai.prompt",
    "ai.value",
    "ai.values",
    "ai.embedding",
    "ai.embeddings",
    "ai.response.toolCalls",
    "ai.response.object",
    "inputs",
    "embeddings",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query.text",
    "gen_ai.memory.query.text",
    "gen_ai.memory.records",
    "gen_ai.evaluation.explanation",
    "pydantic_ai.all_messages",
    "all_messages_events",
    "final_result",
    "request_data",
    "response_data",
};
static const char *const more_prefixes[] = {"retrieval.documents.", "embedding.embeddings.",
                                            "reranker.", "llm.prompts.",
                                            "gen_ai.tool.definitions."};
enum {
    KEYS_MAX = WB_SEMCONV_KEYS + WB_COUNT(more_content),
    PREFIXES_MAX = WB_SEMCONV_PREFIXES + WB_COUNT(more_prefixes)
};
_Static_assert((int)PREFIXES_MAX <= (int)WB_KEY_PREFIX_MAX, "a set of keys has no more prefixes");

struct wb_redactor {
    const wb_rehome *secret;
    wb_key_set *content;
    wb_slice keys[KEYS_MAX], prefixes[PREFIXES_MAX];
};

/* ---- making one ---- */

static bool says_content(uint16_t place)
{
    size_t n;
    const wb_semconv_rule *rules = wb_semconv_rules(place, &n);
    for (size_t i = 0; i < n; i++)
        if (wb_canon_is_content(rules[i].field)) return true;
    return false;
}

wb_status wb_redactor_new(const wb_rehome *secret, wb_redactor **out, wb_error *err)
{
    size_t n = 0, n_prefixes = 0;
    wb_redactor *r = calloc(1, sizeof *r);
    if (!r) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for what redacts");
    r->secret = secret;
    for (size_t i = 0; i < WB_SEMCONV_KEYS; i++)
        if (says_content((uint16_t)(i + 1))) r->keys[n++] = wb_semconv_keys[i];
    for (size_t i = 0; i < WB_COUNT(more_content); i++)
        r->keys[n++] = wb_slice_str(more_content[i]);
    for (size_t i = 0; i < WB_SEMCONV_PREFIXES; i++)
        if (wb_canon_is_content(wb_semconv_prefix_field(i)))
            r->prefixes[n_prefixes++] = wb_semconv_prefixes[i];
    for (size_t i = 0; i < WB_COUNT(more_prefixes); i++)
        r->prefixes[n_prefixes++] = wb_slice_str(more_prefixes[i]);
    wb_status status = wb_key_set_new(r->keys, n, r->prefixes, n_prefixes, &r->content, err);
    if (status == WB_OK)
        *out = r;
    else
        wb_redactor_free(r);
    return status;
}

void wb_redactor_free(wb_redactor *redactor)
{
    if (!redactor) return;
    wb_key_set_free(redactor->content);
    free(redactor);
}

/* ---- rules ---- */

/* `*` is any characters, or none. */
static bool matches(wb_slice pattern, wb_slice key)
{
    size_t p = 0, k = 0, star = SIZE_MAX, star_k = 0;
    while (k < key.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_k = k;
        } else if (p < pattern.len && pattern.ptr[p] == key.ptr[k]) {
            p++;
            k++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            k = ++star_k;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') p++;
    return p == pattern.len;
}

static bool obeys(const wb_redact_rule *rule, wb_slice key)
{
    for (size_t i = 0; i < rule->n; i++)
        if (matches(rule->patterns[i], key)) return true;
    return false;
}

typedef enum fate_kind { FATE_NONE, FATE_DROP, FATE_HASH, FATE_CUT, FATE_CONTENT } fate_kind;

static fate_kind fate_of(const wb_redactor *r, const wb_redact_policy *policy, wb_slice key)
{
    if (policy->drop.n > 0 && obeys(&policy->drop, key)) return FATE_DROP;
    if (policy->hash.n > 0 && obeys(&policy->hash, key)) return FATE_HASH;
    if (policy->cut.n > 0 && obeys(&policy->cut, key)) return FATE_CUT;
    if (policy->content == WB_CONTENT_WHOLE || wb_key_set_find(r->content, key) == 0)
        return FATE_NONE;
    return policy->content == WB_CONTENT_NONE ? FATE_DROP : FATE_CONTENT;
}

static bool has_rules(const wb_redact_policy *policy)
{
    return policy->drop.n + policy->hash.n + policy->cut.n > 0 ||
           policy->content == WB_CONTENT_NONE;
}

/* What says how long another attribute was goes where that goes. */
static bool is_lengths_fate(const wb_redactor *r, const wb_redact_policy *policy, wb_slice key)
{
    const wb_slice prefix = WB_S(WB_REDACT_CUT_PREFIX);
    if (!policy->again || !wb_slice_starts(key, prefix)) return false;
    fate_kind fate = fate_of(r, policy, (wb_slice){key.ptr + prefix.len, key.len - prefix.len});
    return fate == FATE_DROP || fate == FATE_HASH;
}

static wb_preview_limit limit_of(const wb_redact_policy *policy, fate_kind fate)
{
    if (policy->content == WB_CONTENT_NONE && fate == FATE_CONTENT) return (wb_preview_limit){0, 0};
    if (fate == FATE_CONTENT && policy->content == WB_CONTENT_VERBOSE)
        return (wb_preview_limit){SIZE_MAX, policy->verbose_bytes};
    return (wb_preview_limit){policy->preview_characters, SIZE_MAX};
}

/* A value of fewer bytes is within it. */
static size_t limit_bytes(const wb_redact_policy *policy)
{
    if (policy->content == WB_CONTENT_WHOLE || policy->content == WB_CONTENT_NONE) return SIZE_MAX;
    wb_preview_limit limit = limit_of(policy, FATE_CONTENT);
    return limit.characters < limit.bytes ? limit.characters : limit.bytes;
}

/* ---- the run through a request ---- */

/* Texts that share what a preview may have. */
typedef struct content {
    wb_slice bytes; /* all of it; none: nothing is being cut */
    wb_preview_limit left;
    bool was_cut;
} content;

typedef struct redaction {
    const wb_redactor *r;
    const wb_redact_policy *policy;
    wb_signal signal;
    wb_redacted *done;
    wb_secret_search search;
    size_t spot;     /* the next one; SIZE_MAX: there is none */
    size_t is_long;  /* bytes: what has more is read */
    bool everything; /* is read */
    wb_slice secret; /* a value of which all texts are secrets */
    content attr;    /* the attribute that is being written */
    content body;    /* of the log record in hand, which is `item` */
    wb_slice item;
} redaction;

static void next_spot(redaction *run)
{
    if (!run->policy->secrets || !wb_secret_search_next(&run->search, &run->spot))
        run->spot = SIZE_MAX;
}

/* Asked in the order of the bytes: a part after its whole. A spot may lie a few bytes before the text that it is
 * about. */
static bool has_spot(redaction *run, wb_slice bytes)
{
    enum { BEFORE = 8 };
    size_t from = (size_t)(bytes.ptr - run->search.body.ptr);
    while (run->spot != SIZE_MAX && run->spot + BEFORE < from) next_spot(run);
    return run->spot < from + bytes.len;
}

static bool is_within(wb_slice whole, wb_slice part)
{
    return whole.ptr && part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

static content *content_of(redaction *run, wb_slice bytes)
{
    if (is_within(run->attr.bytes, bytes)) return &run->attr;
    return is_within(run->body.bytes, bytes) ? &run->body : NULL;
}

static wb_rewrite on_look(void *self, wb_slice bytes)
{
    redaction *run = self;
    bool is_read = run->everything || bytes.len > run->is_long || content_of(run, bytes) ||
                   is_within(run->secret, bytes);
    return is_read || has_spot(run, bytes) ? WB_REWRITE_INSIDE : WB_REWRITE_KEEP;
}

static wb_status put_attr(wb_buffer *out, uint32_t number, wb_slice key, wb_value value)
{
    uint8_t *at;
    size_t len = wb_otlp_value_size(value);
    WB_TRY(wb_buffer_reserve(out, wb_otlp_attr_size((wb_otlp_owner)number, key, len), &at));
    (void)wb_otlp_put_value(wb_otlp_put_attr_head(at, (wb_otlp_owner)number, key, len), value);
    return WB_OK;
}

static wb_rewrite done_if(wb_status status)
{
    return status == WB_OK ? WB_REWRITE_DONE : WB_REWRITE_FAILED;
}

static wb_value text_value(wb_slice text)
{
    return (wb_value){.type = WB_VALUE_TEXT, .text = text};
}

/* What stands for all of a value. */
static wb_slice mask_for(size_t len)
{
    const wb_secret all = {.len = len > 0 ? len : 1};
    return wb_secret_mask(&all);
}

static wb_slice hash_text(const wb_redactor *r, wb_slice any_value,
                          char out[2 * WB_REHOME_PSEUDONYM_LEN + 1])
{
    uint8_t hash[WB_REHOME_PSEUDONYM_LEN];
    wb_value value = wb_otlp_value(any_value);
    WB_ASSERT(r->secret != NULL);
    wb_rehome_pseudonym(r->secret, value.type == WB_VALUE_TEXT ? value.text : any_value, hash);
    wb_hex(hash, sizeof hash, out);
    return wb_slice_str(out);
}

/* The value of a key with a secret's name. KEEP: it is none, but may have one in it. */
static wb_rewrite mask_named(const wb_rewrite_attr *attr, wb_secret_name kind, wb_buffer *out)
{
    wb_value value = wb_otlp_value(attr->value), item;
    wb_otlp_iter it;
    switch (value.type) {
    case WB_VALUE_TEXT:
        if (!wb_secret_is_value(kind, value.text)) return WB_REWRITE_KEEP;
        value.text = mask_for(value.text.len);
        break;
    case WB_VALUE_BYTES:
        if (!wb_secret_is_value(kind, value.bytes)) return WB_REWRITE_KEEP;
        value.bytes = mask_for(value.bytes.len);
        break;
    case WB_VALUE_INT:
        if (kind != WB_NAME_SECRET || value.integer == 0) return WB_REWRITE_KEEP;
        value.integer = 0;
        break;
    case WB_VALUE_DOUBLE:
        if (kind != WB_NAME_SECRET || value.real == 0) return WB_REWRITE_KEEP;
        value.real = 0;
        break;
    case WB_VALUE_ARRAY: {
        /* One mask for all of them: an array of one text. */
        static const uint8_t masked[] = {0x0A, 12,  0x0A, 10,  '[', 'r', 'e',
                                         'd',  'a', 'c',  't', 'e', 'd', ']'};
        bool any = false;
        it = (wb_otlp_iter){value.bytes};
        while (wb_otlp_next_item(&it, &item))
            any |= item.type == WB_VALUE_TEXT && wb_secret_is_value(kind, item.text);
        if (!any) return WB_REWRITE_KEEP;
        value.bytes = (wb_slice){masked, sizeof masked};
        break;
    }
    default: return WB_REWRITE_KEEP;
    }
    return done_if(put_attr(out, attr->number, attr->key, value));
}

/* Such a key is masked as a text, and tells nothing more of its value. */
static bool has_secret(wb_slice text, wb_buffer *out)
{
    uint8_t *to;
    size_t found, start = out->len;
    if (wb_buffer_reserve(out, text.len, &to) != WB_OK) return true;
    (void)wb_secrets_mask(text, to, &found);
    out->len = start;
    return found > 0;
}

/* A map, or an array that has some: `credentials`, `cookies`. */
static bool holds_secrets(wb_slice any_value, wb_secret_name kind)
{
    wb_value_type type = wb_otlp_value(any_value).type;
    return kind > WB_NAME_WORD && (type == WB_VALUE_KVLIST || type == WB_VALUE_ARRAY);
}

static wb_rewrite on_attribute(void *self, const wb_rewrite_attr *attr, wb_buffer *out)
{
    redaction *run = self;
    char hash[2 * WB_REHOME_PSEUDONYM_LEN + 1];
    fate_kind fate = fate_of(run->r, run->policy, attr->key);
    if (fate == FATE_DROP || fate == FATE_HASH) run->done->rules++;
    if (fate == FATE_DROP || is_lengths_fate(run->r, run->policy, attr->key))
        return WB_REWRITE_DONE;
    if (fate == FATE_HASH)
        return done_if(put_attr(out, attr->number, attr->key,
                                text_value(hash_text(run->r, attr->value, hash))));
    wb_secret_name kind = run->policy->secrets ? wb_secret_name_of(attr->key) : WB_NAME_PLAIN;
    if (kind != WB_NAME_PLAIN && !has_secret(attr->key, out)) {
        wb_rewrite masked = mask_named(attr, kind, out);
        run->done->secrets += masked == WB_REWRITE_DONE;
        if (masked != WB_REWRITE_KEEP) return masked;
        if (holds_secrets(attr->value, kind) && !run->secret.ptr) run->secret = attr->value;
    }
    bool is_cut = (fate == FATE_CUT || fate == FATE_CONTENT) && attr->value.len > 0;
    if (is_cut && !content_of(run, attr->value))
        run->attr = (content){.bytes = attr->value, .left = limit_of(run->policy, fate)};
    return WB_REWRITE_INSIDE;
}

/* How many bytes a value has to a reader. */
static size_t bytes_of(wb_slice any_value)
{
    wb_value value = wb_otlp_value(any_value);
    return value.type == WB_VALUE_TEXT || value.type == WB_VALUE_BYTES ? value.bytes.len
                                                                       : any_value.len;
}

static bool says_already(const redaction *run, wb_slice owner, uint32_t number, wb_slice key)
{
    wb_value ignored;
    return run->policy->again && wb_otlp_find_attr(owner, (wb_otlp_owner)number, key, &ignored);
}

/* `behind`: what the owner has of attributes besides. */
static wb_status say_cut(redaction *run, content *of, uint32_t number, wb_slice key,
                         wb_slice behind, wb_buffer *out)
{
    enum { KEY_MAX = 256 };
    uint8_t name[KEY_MAX + sizeof WB_REDACT_CUT_PREFIX];
    size_t prefix = sizeof WB_REDACT_CUT_PREFIX - 1, len = key.len < KEY_MAX ? key.len : KEY_MAX;
    wb_value bytes = {.type = WB_VALUE_INT, .integer = (int64_t)bytes_of(of->bytes)};
    bool was_cut = of->was_cut;
    *of = (content){.was_cut = false};
    if (!was_cut) return WB_OK;
    run->done->cuts++;
    memcpy(name, WB_REDACT_CUT_PREFIX, prefix);
    while (len > 0 && len < key.len && (key.ptr[len] & 0xC0) == 0x80) len--;
    if (len > 0) memcpy(name + prefix, key.ptr, len);
    if (says_already(run, behind, number, (wb_slice){name, prefix + len})) return WB_OK;
    return put_attr(out, number, (wb_slice){name, prefix + len}, bytes);
}

static wb_status on_attribute_end(void *self, const wb_rewrite_attr *attr, wb_buffer *out)
{
    redaction *run = self;
    if (run->secret.ptr && run->secret.ptr == attr->value.ptr) run->secret = (wb_slice){0};
    if (!run->attr.bytes.ptr || run->attr.bytes.ptr != attr->value.ptr) return WB_OK;
    return say_cut(run, &run->attr, attr->number, attr->key, attr->behind, out);
}

/* The body of an event that says what people and models said is content, all of it. */
static void on_item(void *self, wb_slice message)
{
    redaction *run = self;
    wb_wire_field f;
    wb_slice name = {0}, body = {0}, rest = message;
    if (run->signal != WB_SIGNAL_LOGS || run->policy->content == WB_CONTENT_WHOLE) return;
    run->item = message;
    while (rest.len > 0 && wb_wire_next(&rest, &f)) {
        if (f.type != WB_WIRE_LEN) continue;
        if (f.number == 5) body = f.bytes;
        if (f.number == 12) name = f.bytes;
    }
    if (name.len == 0) name = wb_otlp_find_text(message, WB_OTLP_LOG, WB_S("event.name"));
    if (!wb_slice_starts(name, WB_S("gen_ai.")) || body.len == 0) return;
    run->body = (content){.bytes = body, .left = limit_of(run->policy, FATE_CONTENT)};
}

static wb_status on_item_end(void *self, wb_buffer *out)
{
    redaction *run = self;
    if (!run->body.bytes.ptr) return WB_OK;
    return say_cut(run, &run->body, WB_OTLP_LOG, WB_S("body"), run->item, out);
}

static void spend(size_t *left, size_t used)
{
    if (*left != SIZE_MAX) *left -= used < *left ? used : *left;
}

/* `--password`, and the text behind it in a list of arguments. */
static bool is_options_value(wb_slice before, wb_slice text)
{
    if (before.len < 2 || before.ptr[0] != '-' || memchr(before.ptr, '=', before.len)) return false;
    return wb_secret_is_value(wb_secret_name_of(before), text);
}

static wb_rewrite on_text(void *self, wb_slice text, bool is_key, wb_slice before, wb_buffer *out)
{
    redaction *run = self;
    uint8_t *to;
    size_t found = 0, len = text.len, start = out->len;
    wb_preview preview = {.was_cut = false};
    if (wb_buffer_reserve(out, text.len + WB_PREVIEW_MORE, &to) != WB_OK) return WB_REWRITE_FAILED;
    bool is_secret =
        !is_key && is_within(run->secret, text) && wb_secret_is_value(WB_NAME_SECRET, text);
    if (is_secret || (run->policy->secrets && is_options_value(before, text))) {
        wb_slice mask = mask_for(text.len);
        memcpy(to, mask.ptr, len = mask.len);
        found = 1;
    } else if (run->policy->secrets) {
        len = wb_secrets_mask(text, to, &found);
    } else if (len > 0) {
        memcpy(to, text.ptr, len);
    }
    run->done->secrets += found;
    content *of = is_key ? NULL : content_of(run, text);
    if (of) {
        preview = wb_preview_cut(to, len, of->left);
        len = preview.len;
        of->was_cut |= preview.was_cut;
        spend(&of->left.characters, preview.characters);
        spend(&of->left.bytes, len);
    }
    if (found == 0 && !preview.was_cut) {
        out->len = start;
        return WB_REWRITE_KEEP;
    }
    out->len = start + len;
    return WB_REWRITE_DONE;
}

/* ---- is there anything to do? ---- */

/* Messages of a level: the field of that number in each. */
static bool next_message(wb_slice *rest, uint32_t number, wb_slice *out)
{
    wb_wire_field f;
    while (rest->len > 0 && wb_wire_next(rest, &f))
        if (f.type == WB_WIRE_LEN && f.number == number) {
            *out = f.bytes;
            return true;
        }
    return false;
}

static bool has_long_field(wb_slice message, size_t is_long)
{
    wb_wire_field f;
    if (message.len <= is_long) return false;
    while (message.len > 0) {
        const uint8_t *p = message.ptr;
        if ((p[0] & 0x87) == WB_WIRE_LEN && message.len > 1 && p[1] < 0x80 &&
            p[1] < message.len - 1) { /* nearly all */
            message = (wb_slice){p + 2 + p[1], message.len - 2 - p[1]};
            if (p[1] > is_long) return true;
            continue;
        }
        if (!wb_wire_next(&message, &f)) return false;
        if (f.bytes.len > is_long) return true;
    }
    return false;
}

/* What is left of a request, of the resource in hand and of its scope in hand. */
typedef struct items {
    wb_slice request, resource, scope;
} items;

/* The next span, log record or metric. */
static bool next_item(items *it, wb_slice *item)
{
    while (!next_message(&it->scope, 2, item))
        while (!next_message(&it->resource, 2, &it->scope))
            if (!next_message(&it->request, 1, &it->resource)) return false;
    return true;
}

/* One with a field that is longer than content may be. */
static bool has_long_item(wb_slice request, size_t is_long)
{
    wb_slice item;
    if (request.len <= is_long) return false;
    for (items it = {.request = request}; next_item(&it, &item);)
        if (has_long_field(item, is_long)) return true;
    return false;
}

/* The tag of an event's name is a letter, and so a search through the bytes may not see where the name begins. */
static bool has_odd_event_name(wb_slice request)
{
    wb_slice item, name;
    wb_spot spots[WB_SECRET_SPOTS];
    for (items it = {.request = request}; next_item(&it, &item);)
        while (next_message(&item, 12, &name))
            for (size_t from = 0; from < name.len;)
                if (wb_spots_find(name, &from, spots, WB_SECRET_SPOTS) > 0) return true;
    return false;
}

wb_status wb_redact(const wb_redactor *redactor, const wb_redact_policy *policy, wb_signal signal,
                    wb_slice request, wb_buffer *room, wb_slice *out, wb_redacted *done,
                    wb_error *err)
{
    redaction run = {.r = redactor,
                     .policy = policy,
                     .signal = signal,
                     .done = done,
                     .is_long = limit_bytes(policy),
                     .everything = has_rules(policy) || policy->thorough};
    const wb_rewriter rewriter = {.self = &run,
                                  .look = on_look,
                                  .item = on_item,
                                  .item_end = on_item_end,
                                  .attribute = on_attribute,
                                  .attribute_end = on_attribute_end,
                                  .text = on_text};
    wb_secret_search_begin(&run.search, request);
    next_spot(&run);
    if (signal == WB_SIGNAL_LOGS && policy->secrets && has_odd_event_name(request))
        run.everything = true;
    bool has_long = signal != WB_SIGNAL_METRICS && has_long_item(request, run.is_long);
    *out = request;
    if (!run.everything && run.spot == SIZE_MAX && !has_long) return WB_OK;
    wb_buffer_clear(room);
    wb_status status = wb_otlp_rewrite(signal, request, &rewriter, room);
    if (status != WB_OK) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory to redact the request");
    *out = wb_buffer_slice(room);
    return WB_OK;
}

/* ---- what Waybill makes of it ---- */

wb_status wb_redact_made(const wb_redactor *redactor, const wb_redact_policy *policy, wb_slice key,
                         wb_value value, wb_arena *arena, wb_value *out)
{
    fate_kind fate = fate_of(redactor, policy, key);
    *out = value;
    if (fate == FATE_NONE) return WB_OK;
    if (fate == FATE_DROP) {
        *out = (wb_value){.type = WB_VALUE_EMPTY};
        return WB_OK;
    }
    if (fate == FATE_HASH) {
        char *text = wb_arena_alloc(arena, 2 * WB_REHOME_PSEUDONYM_LEN + 1);
        size_t len = wb_otlp_value_size(value);
        uint8_t *any_value = wb_arena_alloc(arena, len);
        if (!text || !any_value) return WB_ERR_NO_MEMORY;
        (void)wb_otlp_put_value(any_value, value);
        *out = text_value(hash_text(redactor, (wb_slice){any_value, len}, text));
        return WB_OK;
    }
    wb_preview_limit limit = limit_of(policy, fate);
    if (value.type != WB_VALUE_TEXT ||
        value.text.len <= (limit.characters < limit.bytes ? limit.characters : limit.bytes))
        return WB_OK;
    uint8_t *text = wb_arena_alloc(arena, value.text.len + WB_PREVIEW_MORE);
    if (!text) return WB_ERR_NO_MEMORY;
    memcpy(text, value.text.ptr, value.text.len);
    *out = text_value((wb_slice){text, wb_preview_cut(text, value.text.len, limit).len});
    return WB_OK;
}

bool wb_redact_cuts(const wb_redact_policy *policy, size_t longest_field)
{
    enum { NOT_TOLD_APART = 127 };
    size_t longest = longest_field > NOT_TOLD_APART ? longest_field : NOT_TOLD_APART;
    return policy->cut.n > 0 || policy->content == WB_CONTENT_NONE || longest > limit_bytes(policy);
}

wb_status wb_redact_text(wb_slice text, wb_arena *arena, wb_slice *out, wb_redacted *done)
{
    size_t found;
    uint8_t *copy = wb_arena_alloc(arena, text.len + 1);
    if (!copy) return WB_ERR_NO_MEMORY;
    *out = (wb_slice){copy, wb_secrets_mask(text, copy, &found)};
    copy[out->len] = '\0';
    done->secrets += found;
    return WB_OK;
}
