/* SPDX-License-Identifier: Apache-2.0 */
/* waybill/waybill.h: the client of a Waybill sidecar, for agents in C and C++. C99.
 *
 *     waybill_client *wb;
 *     waybill_error why;
 *     if (waybill_open(NULL, &wb, &why) != WAYBILL_OK) { fputs(why.detail, stderr); exit(1); }
 *
 *     waybill_span span;
 *     waybill_span_start(wb, &span, "search", NULL, WAYBILL_TOOL_CALL);
 *     waybill_span_set_int(&span, "hits", 3);
 *     waybill_span_end(&span);
 *     waybill_close(wb, 2000);
 *
 * The sidecar is `waybilld`; keys, trust, limits and everything durable are its own. This library speaks
 * to it over a Unix socket (nng's req/rep, proto/waybill/v1/ipc.proto) and holds nothing that matters.
 *
 * Without a sidecar an agent goes on (docs/clients.md): spans are kept within a bound and then counted
 * as dropped; delegations go out unsigned in plain W3C context, and what arrives counts as unverified,
 * unless `on_unavailable` or the sidecar says that they must fail.
 *
 * Threads: a client may be used by any number of threads at once; a span, by one at a time. Fork: nng does
 * not survive one. In a child of a process that had a client everything is UNAVAILABLE at once, and spans
 * are dropped, until it execs; a server that forks workers opens its clients in the workers.
 *
 * Texts are UTF-8 and end with a NUL; NULL and "" mean the same: absent. A text of a request that is not UTF-8
 * is refused as MALFORMED. Every other pointer must point to something, unless its line allows NULL. A pointer that is
 * handed in is borrowed for the call, unless its line says for longer. Times are Unix nanoseconds.
 *
 * Growth: a struct that is handed in begins with `size`, its sizeof:
 *
 *     waybill_delegate_request request = {.size = sizeof request, .method = "SendMessage", ...};
 *
 * in C++: `waybill_delegate_request request = {};` and then `request.size = sizeof request;`. Members are added
 * at the end, and a library takes what is not there for 0. */
#ifndef WAYBILL_WAYBILL_H
#define WAYBILL_WAYBILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WAYBILL_VERSION_MAJOR 0
#define WAYBILL_VERSION_MINOR 1
#define WAYBILL_VERSION_PATCH 0

/* The key of the carrier in an A2A message's metadata, and the extension's URI (docs/tokens.md, 2). */
#define WAYBILL_EXTENSION_URI "https://w3id.org/waybill/a2a/v1"

#if defined(__GNUC__)
#define WAYBILL_MUST_USE __attribute__((warn_unused_result))
#else
#define WAYBILL_MUST_USE
#endif

/* ---- outcomes ------------------------------------------------------------------------------- */

/* The numbers never change; they are those of the wire. */
typedef enum waybill_status {
    WAYBILL_OK = 0,
    WAYBILL_NO_MEMORY = 1,
    WAYBILL_MALFORMED = 2,   /* an argument that will never do; or what answered is no sidecar */
    WAYBILL_DENIED = 3,      /* refused: a token (see wire_class, ref), a limit */
    WAYBILL_FULL = 4,        /* the sidecar's journal is full: retry after retry_after_ms */
    WAYBILL_UNAVAILABLE = 5, /* no sidecar, or not in time */
    WAYBILL_TIMEOUT = 6,     /* the sidecar does not know what became of it: retry */
    WAYBILL_REJECTED = 7,    /* never retry */
    WAYBILL_CORRUPT = 8,     /* the sidecar's own data fail their check */
    WAYBILL_NOT_FOUND = 9,   /* no such delegation or acceptance */
    WAYBILL_CONFIG = 10      /* somebody must change a configuration */
} waybill_status;

/* Every function with a last `waybill_error *` fills it (NULL: it does not) when it fails. */
typedef struct waybill_error {
    waybill_status status;
    char detail[160];
    /* Of a refused token, and what a peer may be told: malformed stale unauthenticated replayed
     * refused; else "". `waybill token why REF` at the refusing side has the rest. */
    char wire_class[16];
    char ref[17];
    uint32_t retry_after_ms;
} waybill_error;

/** "ok", "no_memory" ...; never NULL. */
const char *waybill_status_name(waybill_status status);

/* ---- a client ------------------------------------------------------------------------------- */

typedef struct waybill_client waybill_client;

typedef enum waybill_on_unavailable {
    WAYBILL_AS_CONFIGURED = 0, /* as the sidecar said when it was last there, else
                                  WAYBILL_DELEGATE_ON_UNAVAILABLE, else unsigned */
    WAYBILL_UNSIGNED = 1,
    WAYBILL_FAIL = 2
} waybill_on_unavailable;

typedef struct waybill_options {
    size_t size;
    /* The agent's name, service.name of its spans and, without `socket`, where the sidecar is. Default:
     * WAYBILL_NAME, OTEL_SERVICE_NAME, "default". */
    const char *name;
    /* Default: WAYBILL_SOCKET unless `name` is given, then ipc.sock in the run folder of that name. */
    const char *socket;
    waybill_on_unavailable on_unavailable;
    /* Let a message that was accepted before pass, with verdict DUPLICATE, instead of refusing it. */
    bool pass_duplicates;
} waybill_options;

/** A client. Opens no connection and waits for nothing: a sidecar may come later.
 *  options  NULL: everything from the environment
 *  Errors   CONFIG a name or a path that cannot be | NO_MEMORY */
WAYBILL_MUST_USE waybill_status waybill_open(const waybill_options *options, waybill_client **out,
                                             waybill_error *err);

/** Deliver what waits, at most for `timeout_ms` (all of it when something waits and no sidecar is there), and
 *  free the client, which nobody may use any more. NULL is allowed. In a forked child: frees nothing and returns at once. */
void waybill_close(waybill_client *client, uint32_t timeout_ms);

/** Wait until the sidecar has acknowledged every span ended so far, which it does once they are on its
 *  disk. False: not within `timeout_ms`; they stay and are sent on. */
bool waybill_flush(waybill_client *client, uint32_t timeout_ms);

typedef struct waybill_stats {
    uint64_t spans_recorded;         /* ended, since the client was opened */
    uint64_t spans_acknowledged;     /* on the sidecar's disk */
    uint64_t spans_rejected;         /* by the sidecar */
    uint64_t spans_dropped;          /* here: the buffer was full, or a lock did not come in 5 ms */
    uint64_t spans_buffered;         /* not yet acknowledged */
    uint64_t unsigned_delegations;   /* opened without the sidecar */
    uint64_t unverified_acceptances; /* taken without the sidecar */
    uint64_t unconfirmed;            /* Observe, Settle, Finish that were not confirmed in time */
} waybill_stats;

/** size_of_stats: sizeof *out. */
void waybill_get_stats(waybill_client *client, waybill_stats *out, size_t size_of_stats);

/** The sidecar's own report as JSON text, to be freed by waybill_free_text. Waits 1 s at most.
 *  Errors  UNAVAILABLE | NO_MEMORY */
WAYBILL_MUST_USE waybill_status waybill_report(waybill_client *client, char **json,
                                               waybill_error *err);
void waybill_free_text(char *text);

/* ---- where a span stands -------------------------------------------------------------------- */

/* Filled in by this library; copied freely. */
typedef struct waybill_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t acceptance_id[16]; /* the acceptance that the work belongs to; all 0: none */
    uint8_t flags;             /* W3C trace flags */
    bool claimed;              /* a remote caller's word, which nothing stands for */
    const char
        *tracestate; /* or NULL; belongs to the delegation, acceptance or header it came from */
} waybill_context;

/** Read a traceparent header that came with no A2A message (plain HTTP): a context that is only claimed.
 *  The sidecar may move spans below it to a trace of the agent's own.
 *  tracestate  NULL, or borrowed for as long as the context is used
 *  Returns     false: not one of W3C Trace Context level 2; `out` is untouched */
bool waybill_context_parse(const char *traceparent, const char *tracestate, waybill_context *out);

enum { WAYBILL_TRACEPARENT_LEN = 55 };
/** Write the traceparent header of a context. */
void waybill_context_format(const waybill_context *context, char out[WAYBILL_TRACEPARENT_LEN + 1]);

/* ---- spans ---------------------------------------------------------------------------------- */

typedef enum waybill_span_type {
    WAYBILL_PLAIN = 0, /* no waybill.span.type */
    WAYBILL_SESSION,
    WAYBILL_AGENT,
    WAYBILL_LLM_CALL,
    WAYBILL_TOOL_CALL,
    WAYBILL_EMBEDDING,
    WAYBILL_RETRIEVAL,
    WAYBILL_WORKFLOW,
    WAYBILL_EXECUTION,
    WAYBILL_EVENT,
    WAYBILL_ERROR
} waybill_span_type;

typedef enum waybill_span_kind { /* OpenTelemetry's numbers */
                                 WAYBILL_INTERNAL = 1,
                                 WAYBILL_SERVER = 2,
                                 WAYBILL_CLIENT = 3,
                                 WAYBILL_PRODUCER = 4,
                                 WAYBILL_CONSUMER = 5
} waybill_span_kind;

enum { WAYBILL_SPAN_BYTES = 2048, WAYBILL_ATTRIBUTES_MAX = 128 };

/* An open span: on the caller's stack or wherever it likes, and not copied while open. What is set is
 * encoded at once into `bytes_`, so that no call allocates. Only `context` is for reading: the parent of
 * what is done inside, and of what is delegated. */
typedef struct waybill_span {
    waybill_context context;
    waybill_client *client_;
    uint64_t started_mono_, started_ns_;
    uint8_t *at_, *end_; /* the next byte of the encoding, and the last there may be */
    uint8_t *begin_;
    uint32_t dropped_; /* attributes, links and events that found no room */
    uint16_t attributes_, message_len_;
    uint8_t kind_, status_, parent_remote_;
    uint8_t bytes_[WAYBILL_SPAN_BYTES];
} waybill_span;

/** Open a span.
 *  name    cut to 255 bytes
 *  parent  NULL: the root of a new trace. Else the context of an open span, an acceptance, a delegation */
void waybill_span_start(waybill_client *client, waybill_span *span, const char *name,
                        const waybill_context *parent, waybill_span_type type);

enum { WAYBILL_SPAN_BYTES_MAX = 250 * 1024 };

/** For a span that holds more than fits into its struct, a long prompt say: encode into `buffer` instead,
 *  which the caller keeps until waybill_span_end. Directly after waybill_span_start. Of a buffer larger than
 *  WAYBILL_SPAN_BYTES_MAX the rest is not used. */
void waybill_span_use_buffer(waybill_span *span, void *buffer, size_t len);

void waybill_span_set_kind(waybill_span *span, waybill_span_kind kind);

/** Attributes. One that is set twice stands twice: the reader takes the last. What finds no room, and what
 *  comes after WAYBILL_ATTRIBUTES_MAX, is left out and counted in the span (dropped_attributes_count); of a
 *  text the beginning is kept if that fits. */
void waybill_span_put_text(waybill_span *span, const char *key, size_t key_len, const char *value,
                           size_t value_len);
void waybill_span_put_int(waybill_span *span, const char *key, size_t key_len, int64_t value);
void waybill_span_put_double(waybill_span *span, const char *key, size_t key_len, double value);
void waybill_span_put_bool(waybill_span *span, const char *key, size_t key_len, bool value);

/** Point to a span of another trace. */
void waybill_span_add_link(waybill_span *span, const waybill_context *to);

/** Something that happened now. */
void waybill_span_add_event(waybill_span *span, const char *name);

void waybill_span_set_ok(waybill_span *span);
/** type     error.type: a short, stable word for what went wrong
 *  message  for people, or NULL */
void waybill_span_set_error(waybill_span *span, const char *type, const char *message);

/** Hand the span over. Never waits for the sidecar; at most 5 ms for other threads. False: it was dropped,
 *  and counted. A second call does nothing and returns false. */
bool waybill_span_end(waybill_span *span);

/** Leave an open span without recording it. */
void waybill_span_drop(waybill_span *span);

/* ---- bodies --------------------------------------------------------------------------------- */

enum { WAYBILL_DIGEST_BYTES = 32, WAYBILL_SALT_BYTES = 16 };

/* How a message carries its parts on the wire (docs/tokens.md, 6). */
typedef enum waybill_dialect {
    WAYBILL_A2A_1_0 = 0, /* every binding of A2A 1.0 */
    WAYBILL_A2A_0_3_JSONRPC = 1,
    WAYBILL_A2A_0_3_REST_GRPC = 2 /* HTTP+JSON and gRPC */
} waybill_dialect;

/** Random bytes for a message's salt. */
void waybill_make_salt(uint8_t salt[WAYBILL_SALT_BYTES]);

/** The digest that binds a token to a message.
 *  salt        fresh for each message that is sent; on the receiving side the carrier's
 *  parts_json  the message's `parts` array as JSON text. Printed again by a JSON library is fine: it is the
 *              meaning that is hashed. A library whose strings end at a NUL cuts at U+0000: take the text as
 *              it came, or refuse such a message
 *  Errors      MALFORMED parts that have no digest (docs/tokens.md, 6): send them without token, and hand
 *              no digest to waybill_accept | NO_MEMORY */
WAYBILL_MUST_USE waybill_status waybill_body_digest(waybill_dialect dialect,
                                                    const uint8_t salt[WAYBILL_SALT_BYTES],
                                                    const char *parts_json, size_t len,
                                                    uint8_t digest[WAYBILL_DIGEST_BYTES],
                                                    waybill_error *err);

/** The salt of a carrier that arrived. False: it has none that could be used; accept it all the same,
 *  without digest: the sidecar says what is wrong with it. */
bool waybill_carrier_salt(const char *carrier_json, size_t len, uint8_t salt[WAYBILL_SALT_BYTES]);

/* ---- the calling side ----------------------------------------------------------------------- */

/* Money in millionths of the currency's unit; tokens: input and output; -1: none is said. */
typedef struct waybill_limits {
    char currency[4]; /* ISO 4217, or "": the sidecar's */
    int64_t cost_micros, tokens, work_ms;
} waybill_limits;

typedef struct waybill_delegate_request {
    size_t size;
    const char *method; /* SendMessage or SendStreamingMessage */
    const char *message_id;
    const char *context_id, *task_id;  /* as in the message */
    const char *target_url;            /* the remote agent's interface URL */
    const char *target_agent_id;       /* params.agent_id of its card's Waybill extension */
    const char *target_name;           /* its card's name, for people */
    bool target_declares;              /* its card declares the extension */
    const uint8_t *salt, *body_digest; /* both, or neither: then there is no token */
    const waybill_context *parent;     /* the span inside which this is done; NULL: a new trace */
    const uint8_t
        *delegation_id;     /* 16 bytes; the same id is the same message, asked again. NULL: new */
    const uint8_t *turn_of; /* 16 bytes: the open delegation whose task `task_id` is. NULL: the
                                     sidecar looks for it by target and task */
    const waybill_limits *ask; /* NULL: the sidecar's default */
    uint64_t deadline_s;       /* Unix seconds; 0: the default */
    const char *baggage;       /* W3C header that would go along, if the sidecar lets it */
} waybill_delegate_request;

/* Read only; freed by waybill_delegation_free. */
typedef struct waybill_delegation {
    uint8_t id[16];          /* of a turn: the id of the delegation it belongs to */
    waybill_context context; /* the delegation's span */
    const char *carrier;     /* JSON for metadata[WAYBILL_EXTENSION_URI]; "": send none */
    const char *traceparent, *tracestate, *baggage; /* headers for the request; "": send none */
    const char *unsigned_reason; /* why there is no carrier: a code, "no_peer", "unavailable" */
    uint64_t deadline_s;         /* after which it counts as lost; 0 if `local` */
    uint32_t turn;               /* which message of the delegation this is, from 1 */
    bool local;                  /* the sidecar was away and knows nothing of it */
    bool has_granted;
    waybill_limits granted; /* what the token allows */
} waybill_delegation;

/** Open a delegation before its message is sent. Waits 1 s at most; for 5 s after a sidecar was found
 *  missing, not at all.
 *  Errors  DENIED more than the accepted work allows | UNAVAILABLE if that is to fail | MALFORMED |
 *          REJECTED | NO_MEMORY */
WAYBILL_MUST_USE waybill_status waybill_delegate(waybill_client *client,
                                                 const waybill_delegate_request *request,
                                                 waybill_delegation **out, waybill_error *err);
/** As waybill_acceptance_free. */
void waybill_delegation_free(waybill_delegation *delegation);

/* What is known of a task; each member may be absent. A plain Message has no task_state. */
typedef struct waybill_seen {
    size_t size;
    const char *task_state; /* TASK_STATE_*, the last one seen */
    const char *task_id, *context_id;
    const char *error_type; /* Settle, Finish: a short, stable word for what went wrong */
    const char *event;      /* Observe: stream_broken reattached polled */
    bool no_wait;           /* hand over and return OK */
} waybill_seen;

/* Observe, Settle and Finish reach the sidecar now or when it is back, for up to 10 minutes. They wait 1 s
 * (Finish 3 s) for its word, and not at all while it is known to be away.
 *
 * Errors  UNAVAILABLE not confirmed yet; it will be told | NOT_FOUND | MALFORMED | REJECTED | NO_MEMORY */

/** What was seen of the remote task while it ran. `seen` may be NULL where nothing is to be said. */
waybill_status waybill_observe(waybill_client *client, const waybill_delegation *delegation,
                               const waybill_seen *seen, waybill_error *err);
/** The delegation is over, for the caller.
 *  outcome  answered completed failed canceled rejected; a task that goes on is for waybill_observe */
waybill_status waybill_settle(waybill_client *client, const waybill_delegation *delegation,
                              const char *outcome, const waybill_seen *seen, waybill_error *err);

/* ---- the called side ------------------------------------------------------------------------ */

typedef enum waybill_verdict {
    WAYBILL_CONTINUE = 1,  /* the work joins the caller's trace */
    WAYBILL_LINK = 2,      /* a trace of its own, linked */
    WAYBILL_DUPLICATE = 3, /* only with pass_duplicates: the message was accepted before */
} waybill_verdict;

/* One header; several of a name are given as they came. */
typedef struct waybill_header {
    const char *name, *value;
} waybill_header;

typedef struct waybill_accept_request {
    size_t size;
    const char *carrier; /* JSON text of metadata[WAYBILL_EXTENSION_URI]; NULL: none came */
    const waybill_header *headers; /* of the request; other than W3C's none is looked at */
    size_t n_headers;
    const char *method;                            /* by its A2A 1.0 name */
    const char *message_id, *context_id, *task_id; /* as in the message */
    const uint8_t *body_digest; /* 32 bytes, with the carrier's salt; NULL if that cannot be made */
    const char *peer;           /* address or authenticated name of the transport's peer */
    const uint8_t *acceptance_id; /* 16 bytes; NULL: new */
} waybill_accept_request;

/* Read only; freed by waybill_acceptance_free. */
typedef struct waybill_acceptance {
    uint8_t id[16];
    waybill_verdict verdict;
    bool verified;               /* the token's signature and chain held */
    bool local;                  /* the sidecar was away: nothing was verified */
    waybill_context context;     /* the parent of the work's spans; never the claimed one */
    const char *issuer;          /* agent id of who delegated, if verified; else "" */
    const char *baggage;         /* what of the caller's passed the border; else "" */
    const char *const *warnings; /* ends with NULL */
} waybill_acceptance;

/** Have a message judged before the agent sees it. Waits as waybill_delegate does.
 *  Errors  DENIED it must not be worked on: tell the peer `wire_class` ("refused" if that is empty) and `ref`,
 *          in the form of docs/tokens.md section 15, and no more |
 *          UNAVAILABLE if that is to fail, and always if the sidecar enforces | MALFORMED | NO_MEMORY */
WAYBILL_MUST_USE waybill_status waybill_accept(waybill_client *client,
                                               const waybill_accept_request *request,
                                               waybill_acceptance **out, waybill_error *err);
/** When the spans below it have ended: their tracestate is its own. */
void waybill_acceptance_free(waybill_acceptance *acceptance);

/** The work is done; before the answer leaves.
 *  outcome  ok error canceled rejected interrupted */
waybill_status waybill_finish(waybill_client *client, const waybill_acceptance *acceptance,
                              const char *outcome, const waybill_seen *seen, waybill_error *err);

/* ---- shorter to write ----------------------------------------------------------------------- */

/* Inline, so that the length of a literal key is known when the caller is compiled. */
static inline void waybill_span_set_text(waybill_span *span, const char *key, const char *value)
{
    waybill_span_put_text(span, key, strlen(key), value, value ? strlen(value) : 0);
}

static inline void waybill_span_set_int(waybill_span *span, const char *key, int64_t value)
{
    waybill_span_put_int(span, key, strlen(key), value);
}

static inline void waybill_span_set_double(waybill_span *span, const char *key, double value)
{
    waybill_span_put_double(span, key, strlen(key), value);
}

static inline void waybill_span_set_bool(waybill_span *span, const char *key, bool value)
{
    waybill_span_put_bool(span, key, strlen(key), value);
}

#ifdef __cplusplus
}
#endif
#endif
