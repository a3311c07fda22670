/* SPDX-License-Identifier: Apache-2.0 */
/* A client: where its sidecar is, what that said of itself, and for how long it is believed to be away.
 *
 * The breaker: a call that found no sidecar within its second opens it for five, in which nothing waits.
 * A connection closes it. What must be told (Observe, Settle, Finish) is handed over all the same and goes on
 * by itself. The Python client (client/python/waybill/client.py) has the same manners; docs/clients.md is
 * for both.
 *
 * Span ids: a secret counter through a bijection, so that none comes twice; trace ids, which nobody may
 * guess (TOKENS section 16, first use), come from the kernel.
 *
 * Fork: nng's threads are not in the child, so nothing that waits for them may be called. A handler of
 * pthread_atfork counts generations; who finds another than its own says UNAVAILABLE. */
#include "client/client.h"

#include "core/clock.h"
#include "core/ids.h"
#include "core/paths.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/wire.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SCOPE_MAX = 64, RESOURCE_MAX = 512, ANCHOR_NS = 100 * 1000 * 1000 };

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define FORKED                                                                                     \
    "a forked process: nng does not survive that; exec first, or fork before waybill_open"

_Static_assert(WAYBILL_SPAN_BYTES_MAX + RESOURCE_MAX + SCOPE_MAX + 64 < WB_RECORDER_CHUNK,
               "a span that fits its buffer fits the client's");
_Static_assert((int)WAYBILL_CONFIG == (int)WB_ERR_CONFIG, "the numbers are one");
_Static_assert((int)WAYBILL_UNAVAILABLE == (int)WB_ERR_UNAVAILABLE, "the numbers are one");

static atomic_uint generation;
static pthread_once_t forks_are_counted = PTHREAD_ONCE_INIT;

static void count_fork(void) { (void)atomic_fetch_add(&generation, 1); }
static void watch_forks(void) { (void)pthread_atfork(NULL, NULL, count_fork); }

bool wb_client_is_ours(const waybill_client *client)
{
    return atomic_load_explicit(&generation, memory_order_relaxed) == client->generation;
}

const char *waybill_status_name(waybill_status status) { return wb_status_name((wb_status)status); }

/* ---- errors ---- */

waybill_status wb_client_say(waybill_error *err, waybill_status status, const char *fmt, ...)
{
    va_list args;
    if (!err) return status;
    *err = (waybill_error){.status = status};
    va_start(args, fmt);
    (void)vsnprintf(err->detail, sizeof err->detail, fmt, args);
    va_end(args);
    return status;
}

waybill_status wb_client_fail(waybill_error *err, const wb_error *why,
                              const Waybill__V1__Reply *reply)
{
    waybill_status status = (waybill_status)why->status;
    (void)wb_client_say(err, status, "%s", why->detail);
    if (!err || !reply) return status;
    (void)snprintf(err->wire_class, sizeof err->wire_class, "%s", reply->wire_class);
    (void)snprintf(err->ref, sizeof err->ref, "%s", reply->ref);
    err->retry_after_ms = reply->retry_after_ms;
    return status;
}

/* ---- ids and time ---- */

void wb_client_span_id(waybill_client *client, uint8_t out[8])
{
    uint64_t x = 0;
    while (x == 0) { /* the mix of splitmix64; 0 means absent, and comes once in 2^64 */
        x = atomic_fetch_add_explicit(&client->span_ids, GOLDEN, memory_order_relaxed);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        x ^= x >> 31;
    }
    memcpy(out, &x, sizeof x);
}

/* Threads may see one half of a new anchor and one of the old: off by what the clocks drifted apart since
 * the old one, unless somebody set the wall clock in that moment. */
uint64_t wb_client_wall(waybill_client *client, uint64_t mono)
{
    uint64_t at = atomic_load_explicit(&client->anchor_mono, memory_order_relaxed);
    if (mono - at > ANCHOR_NS) {
        uint64_t wall = wb_now(&wb_system_clock);
        atomic_store_explicit(&client->anchor_ns, wall - mono, memory_order_relaxed);
        atomic_store_explicit(&client->anchor_mono, mono, memory_order_relaxed);
        return wall;
    }
    return mono + atomic_load_explicit(&client->anchor_ns, memory_order_relaxed);
}

/* ---- the sidecar's word on itself ---- */

static void take_hello(void *ctx, const Waybill__V1__Reply *reply)
{
    waybill_client *client = ctx;
    atomic_store(&client->breaker_mono, 0);
    if (reply->body_case != WAYBILL__V1__REPLY__BODY_HELLO) return;
    atomic_store(&client->enforces, strcmp(reply->hello->trust_mode, "enforce") == 0);
    atomic_store(&client->fails, strcmp(reply->hello->on_unavailable, "fail") == 0);
}

/* On one of nng's threads, on each new connection: what a sidecar says of itself decides what is done once it
 * is gone. */
static void greet(void *ctx, wb_link *link)
{
    waybill_client *client = ctx;
    Waybill__V1__Hello hello = WAYBILL__V1__HELLO__INIT;
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    hello.client = wb_text("libwaybill/" WAYBILL_VERSION);
    hello.pid = (uint32_t)getpid();
    hello.agent_name = client->name;
    request.body_case = WAYBILL__V1__REQUEST__BODY_HELLO;
    request.hello = &hello;
    wb_status status = wb_call_post(link, &request, WB_CALL_MS, take_hello, client, NULL);
    (void)status; /* the next connection says it */
}

/* ---- asking and telling ---- */

static uint64_t mono(void) { return wb_mono(&wb_system_clock); }

static bool breaker_is_open(waybill_client *client)
{
    return mono() < atomic_load(&client->breaker_mono);
}

static void open_breaker(waybill_client *client)
{
    if (!breaker_is_open(client))
        atomic_store(&client->breaker_mono, mono() + WB_BREAKER_MS * WB_NS_PER_MS);
}

wb_status wb_client_ask(waybill_client *client, Waybill__V1__Request *request,
                        Waybill__V1__Reply **reply, bool *asked, wb_error *err)
{
    wb_call *call = NULL;
    *reply = NULL;
    *asked = false;
    if (!wb_client_is_ours(client)) return wb_fail(err, WB_ERR_UNAVAILABLE, FORKED);
    if (breaker_is_open(client))
        return wb_fail(err, WB_ERR_UNAVAILABLE, "the sidecar was away a moment ago");
    WB_TRY(wb_call_begin(client->link, request, WB_CALL_MS, &call, err));
    *asked = true;
    return wb_call_wait(&call, WB_CALL_MS, reply, err);
}

waybill_status wb_client_tell(waybill_client *client, Waybill__V1__Request *request,
                              uint32_t wait_ms, waybill_error *err)
{
    wb_call *call = NULL;
    Waybill__V1__Reply *reply = NULL;
    wb_error why = {.status = WB_OK};
    if (!wb_client_is_ours(client)) return wb_client_say(err, WAYBILL_UNAVAILABLE, FORKED);
    wb_status status = wb_call_begin(client->link, request, WB_TELL_MS, &call, &why);
    if (status != WB_OK) return wb_client_fail(err, &why, NULL);
    if (wait_ms == 0) {
        wb_call_leave(&call);
        return WAYBILL_OK;
    }
    if (breaker_is_open(client)) wait_ms = 0;
    status = wb_call_wait(&call, wait_ms, &reply, &why);
    waybill_status said = WAYBILL_OK;
    if (status != WB_OK) said = wb_client_fail(err, &why, reply);
    if (status == WB_ERR_UNAVAILABLE) {
        (void)atomic_fetch_add(&client->unconfirmed, 1);
        if (!wb_link_is_connected(client->link)) open_breaker(client);
    }
    wb_reply_free(reply);
    return said;
}

bool wb_client_goes_on(waybill_client *client, bool accepting)
{
    if (!wb_client_is_ours(client)) return false;
    open_breaker(client);
    if (accepting && atomic_load(&client->enforces)) return false;
    if (client->on_unavailable != WAYBILL_AS_CONFIGURED)
        return client->on_unavailable == WAYBILL_UNSIGNED;
    return !atomic_load(&client->fails);
}

waybill_seen wb_seen_of(const waybill_seen *given)
{
    waybill_seen all = {.size = sizeof all};
    if (given) memcpy(&all, given, given->size < sizeof all ? given->size : sizeof all);
    return all;
}

waybill_context wb_context_of(const uint8_t trace_id[16], const uint8_t span_id[8],
                              const char *traceparent, const char *tracestate)
{
    waybill_context sent, made = {.flags = WB_TRACE_FLAGS_NEW, .tracestate = tracestate};
    memcpy(made.trace_id, trace_id, sizeof made.trace_id);
    memcpy(made.span_id, span_id, sizeof made.span_id);
    if (waybill_context_parse(traceparent, NULL, &sent)) made.flags = sent.flags;
    return made;
}

const char *wb_shelf_put(wb_shelf *shelf, const char *text)
{
    size_t room = wb_shelf_room(text);
    WB_ASSERT((size_t)(shelf->end - shelf->at) >= room);
    char *put = shelf->at;
    memcpy(put, text ? text : "", room);
    shelf->at += room;
    return put;
}

waybill_status waybill_report(waybill_client *client, char **json, waybill_error *err)
{
    bool asked;
    wb_error why = {.status = WB_OK};
    Waybill__V1__Reply *reply = NULL;
    Waybill__V1__StatusRequest body = WAYBILL__V1__STATUS_REQUEST__INIT;
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    request.body_case = WAYBILL__V1__REQUEST__BODY_STATUS;
    request.status = &body;
    wb_status status = wb_client_ask(client, &request, &reply, &asked, &why);
    char *text = NULL;
    waybill_status said = WAYBILL_OK;
    if (status != WB_OK)
        said = wb_client_fail(err, &why, reply);
    else if (reply->body_case != WAYBILL__V1__REPLY__BODY_STATUS_REPORT)
        said = wb_client_say(err, WAYBILL_MALFORMED, "the sidecar's answer has no report");
    else if (!(text = strdup(reply->status_report->json)))
        said = wb_client_say(err, WAYBILL_NO_MEMORY, "no memory for the report");
    else
        *json = text;
    wb_reply_free(reply);
    return said;
}

void waybill_free_text(char *text) { free(text); }

/* ---- spans ---- */

bool waybill_flush(waybill_client *client, uint32_t timeout_ms)
{
    return wb_client_is_ours(client) && wb_recorder_flush(client->recorder, timeout_ms);
}

void waybill_get_stats(waybill_client *client, waybill_stats *out, size_t size)
{
    wb_recorder_stats spans = {.recorded = 0};
    if (wb_client_is_ours(client)) wb_recorder_get_stats(client->recorder, &spans);
    waybill_stats all = {
        .spans_recorded = spans.recorded,
        .spans_acknowledged = spans.acknowledged,
        .spans_rejected = spans.rejected,
        .spans_dropped = spans.dropped,
        .spans_buffered = spans.buffered,
        .unsigned_delegations = atomic_load(&client->unsigned_delegations),
        .unverified_acceptances = atomic_load(&client->unverified_acceptances),
        .unconfirmed = atomic_load(&client->unconfirmed),
    };
    memset(out, 0, size);
    memcpy(out, &all, size < sizeof all ? size : sizeof all);
}

/* ---- birth and end ---- */

static uint8_t *put_field(uint8_t *at, uint8_t tag, const void *bytes, size_t len)
{
    *at++ = tag;
    at = wb_wire_put_varint(at, len);
    memcpy(at, bytes, len);
    return at + len;
}

/* An attribute field: KeyValue { key 1, value 2 }. All are short. */
static uint8_t *put_attribute(uint8_t *at, const char *key, const uint8_t *value, size_t len)
{
    size_t key_len = strlen(key);
    *at++ = WB_WIRE_TAG(1, WB_WIRE_LEN);
    *at++ = (uint8_t)(2 + key_len + 2 + len);
    at = put_field(at, WB_WIRE_TAG(1, WB_WIRE_LEN), key, key_len);
    return put_field(at, WB_WIRE_TAG(2, WB_WIRE_LEN), value, len);
}

static uint8_t *put_text_attribute(uint8_t *at, const char *key, const char *text)
{
    uint8_t value[2 + sizeof(((waybill_client *)NULL)->name)];
    const uint8_t *end = put_field(value, WB_WIRE_TAG(1, WB_WIRE_LEN), text, strlen(text));
    return put_attribute(at, key, value, (size_t)(end - value));
}

static uint8_t *put_int_attribute(uint8_t *at, const char *key, uint64_t number)
{
    uint8_t value[1 + WB_WIRE_VARINT_MAX] = {WB_WIRE_TAG(3, WB_WIRE_VARINT)};
    const uint8_t *end = wb_wire_put_varint(value + 1, number);
    return put_attribute(at, key, value, (size_t)(end - value));
}

static wb_status start_recorder(waybill_client *client, wb_error *err)
{
    uint8_t attrs[RESOURCE_MAX], resource[RESOURCE_MAX + 8], scope[SCOPE_MAX], inner[SCOPE_MAX];
    uint8_t *at = put_text_attribute(attrs, "service.name", client->name);
    at = put_int_attribute(at, "process.pid", (uint64_t)getpid());
    at = put_text_attribute(at, "telemetry.sdk.language", "c");
    at = put_text_attribute(at, "telemetry.sdk.name", "waybill");
    at = put_text_attribute(at, "telemetry.sdk.version", WAYBILL_VERSION);
    uint8_t *resource_end =
        put_field(resource, WB_WIRE_TAG(1, WB_WIRE_LEN), attrs, (size_t)(at - attrs));
    at = put_field(inner, WB_WIRE_TAG(1, WB_WIRE_LEN), "waybill", 7);
    at = put_field(at, WB_WIRE_TAG(2, WB_WIRE_LEN), WAYBILL_VERSION, strlen(WAYBILL_VERSION));
    uint8_t *scope_end = put_field(scope, WB_WIRE_TAG(1, WB_WIRE_LEN), inner, (size_t)(at - inner));
    return wb_recorder_new(client->link, wb_slice_of(resource, (size_t)(resource_end - resource)),
                           wb_slice_of(scope, (size_t)(scope_end - scope)), &client->recorder, err);
}

/* What of `given` the caller's version has. */
static waybill_options options_of(const waybill_options *given)
{
    waybill_options all = {.size = sizeof all};
    if (given) memcpy(&all, given, given->size < sizeof all ? given->size : sizeof all);
    return all;
}

static bool fails_by_environment(void)
{
    const char *said =
        getenv("WAYBILL_DELEGATE_ON_UNAVAILABLE"); /* NOLINT(concurrency-mt-unsafe) */
    return said && strcmp(said, "fail") == 0;
}

/* Who says a name means that sidecar, whatever the environment says. */
static const char *socket_of(const waybill_options *options, wb_paths *paths)
{
    if (options->socket && *options->socket) return options->socket;
    if (options->name && *options->name)
        (void)snprintf(paths->socket, sizeof paths->socket, "%.*s/ipc.sock",
                       (int)(sizeof paths->socket - sizeof "/ipc.sock"), paths->run_dir);
    return paths->socket;
}

static wb_status open_client(const waybill_options *options, waybill_client *client, wb_error *err)
{
    wb_paths paths;
    wb_paths_choice choice = {.name = options->name && *options->name ? options->name : NULL};
    WB_TRY(wb_paths_resolve_run(&choice, &paths, err));
    (void)snprintf(client->name, sizeof client->name, "%s", paths.name);
    client->on_unavailable = options->on_unavailable;
    client->pass_duplicates = options->pass_duplicates;
    client->generation = atomic_load(&generation);
    atomic_store(&client->fails, fails_by_environment());
    uint64_t seed;
    wb_random(&seed, sizeof seed);
    atomic_store(&client->span_ids, seed);
    (void)wb_client_wall(client, mono());
    WB_TRY(wb_link_open(socket_of(options, &paths), greet, client, &client->link, err));
    return start_recorder(client, err);
}

static void free_client(waybill_client *client)
{
    if (client->link) wb_link_stop(client->link);
    wb_recorder_free(client->recorder);
    wb_link_free(client->link);
    free(client);
}

waybill_status waybill_open(const waybill_options *given, waybill_client **out, waybill_error *err)
{
    wb_error why = {.status = WB_OK};
    waybill_options options = options_of(given);
    (void)pthread_once(&forks_are_counted, watch_forks);
    if (atomic_load(&generation) > 0) /* a child of a process that had a client */
        return wb_client_say(err, WAYBILL_UNAVAILABLE, FORKED);
    waybill_client *client = calloc(1, sizeof *client);
    if (!client) return wb_client_say(err, WAYBILL_NO_MEMORY, "no memory for a client");
    if (open_client(&options, client, &why) == WB_OK) {
        *out = client;
        return WAYBILL_OK;
    }
    free_client(client);
    return wb_client_fail(err, &why, NULL);
}

void waybill_close(waybill_client *client, uint32_t timeout_ms)
{
    if (!client || !wb_client_is_ours(client)) return;
    uint64_t until = mono() + timeout_ms * WB_NS_PER_MS;
    (void)wb_recorder_flush(client->recorder, timeout_ms);
    while (!wb_link_is_idle(client->link) && mono() < until) {
        struct timespec pause = {0, 2 * 1000 * 1000};
        (void)nanosleep(&pause, NULL);
    }
    free_client(client);
}
