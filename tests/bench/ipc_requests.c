/* SPDX-License-Identifier: Apache-2.0 */
/* Three agents of one trust domain: `a` delegates to `b`, `b` to `c`, and `c` is the sidecar under
 * measurement, which delegates to `d`. */
#include "tests/bench/ipc_requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "a2a/carrier.h"
#include "core/clock.h"
#include "core/ids.h"
#include "propagation/mint.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "tests/bench/bench.h"
#include "tests/support/otlp_sample.h"

#define ID_A "spiffe://example.org/a"
#define ID_B "spiffe://example.org/b"
#define ID_C "spiffe://example.org/c"
#define PEER_URL "http://127.0.0.1:9002"

enum { SIG_CHARS = 86 };
enum { REPLY_ARENA_BYTES = 256 * 1024, TEXT_BYTES = 16 * 1024 };

/* One connection accepts more tokens a second than any one peer may show. */
const char wb_bench_config[] = "self_ids: [" ID_C "]\n"
                               "trust: {rate_per_s: 0}\n"
                               "log: {level: error}\n"
                               "peers:\n"
                               "- id: spiffe://example.org/d\n"
                               "  origins: [" PEER_URL "]\n";

static void *need(void *p)
{
    if (!p) wb_bench_give_up("no memory");
    return p;
}

static ProtobufCBinaryData random_bytes(wb_arena *arena, size_t len)
{
    ProtobufCBinaryData bytes = {.len = len, .data = need(wb_arena_alloc(arena, len))};
    wb_random(bytes.data, len);
    return bytes;
}

static wb_slice pack(Waybill__V1__Request *request, wb_arena *arena)
{
    request->protocol = 1;
    request->id = random_bytes(arena, sizeof(wb_id));
    size_t len = waybill__v1__request__get_packed_size(request);
    uint8_t *bytes = need(wb_arena_alloc(arena, len));
    (void)waybill__v1__request__pack(request, bytes);
    return (wb_slice){bytes, len};
}

/* NULL, or what is wrong with a reply of that kind; `look` says whether it is good otherwise. */
static const char *judge(wb_slice reply, bool (*look)(const Waybill__V1__Reply *))
{
    static _Thread_local char fault[256];
    WB_AUTO(wb_arena) arena = need(wb_arena_new(REPLY_ARENA_BYTES));
    const Waybill__V1__Reply *r =
        waybill__v1__reply__unpack(need(wb_arena_allocator(arena)), reply.len, reply.ptr);
    if (!r) return "not a Reply";
    if (r->status == WAYBILL__V1__STATUS__STATUS_OK && look(r)) return NULL;
    (void)snprintf(fault, sizeof fault, "status %d, %s%s", (int)r->status, r->wire_class,
                   r->detail);
    return fault;
}

/* ---- Delegate -------------------------------------------------------------------------------- */

wb_slice *wb_bench_delegates(size_t n, wb_arena *arena)
{
    wb_slice *out = need(wb_arena_array(arena, n, sizeof *out));
    for (size_t i = 0; i < n; i++) {
        Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
        Waybill__V1__Delegate delegate = WAYBILL__V1__DELEGATE__INIT;
        delegate.delegation_id = random_bytes(arena, sizeof(wb_id));
        delegate.target_url = (char *)PEER_URL "/";
        delegate.target_name = (char *)"Writer";
        delegate.target_declares = true;
        delegate.method = (char *)"SendMessage";
        delegate.message_id = need(wb_arena_printf(arena, "message-%zu", i));
        delegate.context_id = (char *)"ctx-7";
        delegate.body_digest = random_bytes(arena, WB_HASH_BYTES);
        delegate.salt = random_bytes(arena, WB_SALT_BYTES);
        request.body_case = WAYBILL__V1__REQUEST__BODY_DELEGATE;
        request.delegate = &delegate;
        out[i] = pack(&request, arena);
    }
    return out;
}

static bool minted(const Waybill__V1__Reply *r)
{
    return r->body_case == WAYBILL__V1__REPLY__BODY_DELEGATE && r->delegate->carrier[0];
}

const char *wb_bench_judge_delegate(wb_slice reply) { return judge(reply, minted); }

/* ---- Accept ---------------------------------------------------------------------------------- */

typedef struct issuers {
    wb_key_ring *a, *b;
    uint64_t now_s;
    wb_arena *scratch;
    bool forge; /* the last link's signature is another token's: of the right form, and wrong */
} issuers;

static wb_key_ring *issuer(const char *id, uint8_t fill, const char *trust_dir)
{
    uint8_t seed[WB_SEED_BYTES];
    wb_key_ring *ring = NULL;
    wb_error err = {0};
    wb_trust_key key = {.exp = UINT64_MAX};
    memset(seed, fill, sizeof seed);
    if (wb_key_ring_from_seed(seed, &ring, &err) != WB_OK) wb_bench_give_up("%s", err.detail);
    memcpy(key.x, wb_key_ring_public(ring), sizeof key.x);
    (void)snprintf(key.kid, sizeof key.kid, "%s", wb_key_ring_kid(ring));
    if (trust_dir && wb_trust_add(trust_dir, wb_slice_str(id), &key, &err) != WB_OK)
        wb_bench_give_up("trust: %s", err.detail);
    return ring;
}

static wb_slice mint(issuers *who, wb_key_ring *ring, const wb_claims *claims)
{
    wb_slice jws = {NULL, 0};
    wb_token_code code;
    wb_error err = {0};
    if (wb_token_mint(ring, claims, who->scratch, &jws, &code, &err) != WB_OK)
        wb_bench_give_up("mint: %s", err.detail);
    return jws;
}

/* Root a -> b, child b -> c, for the message. */
static wb_chain two_links(issuers *who, const Waybill__V1__Accept *message)
{
    wb_claims root = {.iss = WB_S(ID_A),
                      .sub = WB_S(ID_A),
                      .aud = WB_S(ID_B),
                      .jti = wb_id_new(),
                      .tid = wb_trace_id_new(),
                      .psid = wb_span_id_new(),
                      .iat = who->now_s,
                      .exp = who->now_s + WB_EXP_DEFAULT_S,
                      .dln = who->now_s + 3000,
                      .tfl = 3,
                      .mxd = 4,
                      .lim = {"USD", 500000, 200000, 600000},
                      .mth = WB_METHOD_SEND_MESSAGE,
                      .mid = WB_S("message-before")};
    memcpy(root.bdg, message->body_digest.data, sizeof root.bdg);
    wb_claims child = root;
    child.iss = WB_S(ID_B);
    child.aud = WB_S(ID_C);
    child.jti = wb_id_new();
    child.psid = wb_span_id_new();
    child.dep = 1;
    child.mid = wb_slice_str(message->message_id);
    child.ctx = wb_slice_str(message->context_id);
    wb_chain chain = {.n = 2};
    chain.links[0] = mint(who, who->a, &root);
    wb_token_hash(chain.links[0], child.pth);
    chain.links[1] = mint(who, who->b, &child);
    if (who->forge)
        memcpy((uint8_t *)chain.links[1].ptr + chain.links[1].len - SIG_CHARS,
               chain.links[0].ptr + chain.links[0].len - SIG_CHARS, SIG_CHARS);
    return chain;
}

static char *carrier_of(issuers *who, const Waybill__V1__Accept *message, wb_arena *arena)
{
    wb_carrier carrier = {.chain = two_links(who, message)};
    wb_slice copy = {NULL, 0};
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, TEXT_BYTES);
    if (wb_carrier_format(&carrier, &text) != WB_OK ||
        wb_arena_dup(arena, wb_buffer_slice(&text), &copy) != WB_OK)
        wb_bench_give_up("no memory");
    return (char *)copy.ptr;
}

static wb_slice *accepts(size_t n, const char *trust_dir, const char *peer, bool forge,
                         wb_arena *arena)
{
    wb_error err = {0};
    wb_slice *out = need(wb_arena_array(arena, n, sizeof *out));
    if (wb_self_test(&err) != WB_OK) wb_bench_give_up("%s", err.detail);
    issuers who = {.a = issuer(ID_A, 1, trust_dir),
                   .b = issuer(ID_B, 2, trust_dir),
                   .now_s = wb_now(&wb_system_clock) / WB_NS_PER_S,
                   .scratch = need(wb_arena_new(REPLY_ARENA_BYTES)),
                   .forge = forge};
    for (size_t i = 0; i < n; i++) {
        Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
        Waybill__V1__Accept accept = WAYBILL__V1__ACCEPT__INIT;
        wb_arena_reset(who.scratch);
        accept.acceptance_id = random_bytes(arena, sizeof(wb_id));
        accept.method = (char *)"SendMessage";
        accept.message_id = need(wb_arena_printf(arena, "message-%zu", i));
        accept.context_id = (char *)"ctx-7";
        accept.peer = (char *)peer;
        accept.body_digest = random_bytes(arena, WB_HASH_BYTES);
        accept.carrier = carrier_of(&who, &accept, arena);
        request.body_case = WAYBILL__V1__REQUEST__BODY_ACCEPT;
        request.accept = &accept;
        out[i] = pack(&request, arena);
    }
    wb_key_ring_free(who.a);
    wb_key_ring_free(who.b);
    wb_arena_free(who.scratch);
    return out;
}

static bool continued(const Waybill__V1__Reply *r)
{
    return r->body_case == WAYBILL__V1__REPLY__BODY_ACCEPT &&
           r->accept->verdict == WAYBILL__V1__VERDICT__VERDICT_CONTINUE;
}

wb_slice *wb_bench_accepts(size_t n, const char *trust_dir, wb_arena *arena)
{
    return accepts(n, trust_dir, "", false, arena);
}

wb_slice *wb_bench_forged_accepts(size_t n, const char *peer, wb_arena *arena)
{
    return accepts(n, NULL, peer, true, arena);
}

const char *wb_bench_judge_accept(wb_slice reply) { return judge(reply, continued); }

/* ---- Record ---------------------------------------------------------------------------------- */

wb_slice *wb_bench_records(size_t n, size_t spans, wb_arena *arena)
{
    wb_slice *out = need(wb_arena_array(arena, n, sizeof *out));
    WB_AUTO(wb_arena) scratch = need(wb_arena_new((size_t)16 << 20));
    for (size_t i = 0; i < n; i++) {
        Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
        Waybill__V1__Record record = WAYBILL__V1__RECORD__INIT;
        wb_arena_reset(scratch);
        wb_slice traces = wb_sample_llm_spans(spans, i, scratch);
        record.traces = (ProtobufCBinaryData){.len = traces.len, .data = (uint8_t *)traces.ptr};
        request.body_case = WAYBILL__V1__REQUEST__BODY_RECORD;
        request.record = &record;
        out[i] = pack(&request, arena);
    }
    return out;
}

static bool all_taken(const Waybill__V1__Reply *r)
{
    return r->body_case == WAYBILL__V1__REPLY__BODY_RECORD && r->record->accepted_spans > 0 &&
           r->record->rejected_spans == 0;
}

const char *wb_bench_judge_record(wb_slice reply) { return judge(reply, all_taken); }

/* ---- Status ---------------------------------------------------------------------------------- */

static uint64_t lag_bytes;

wb_slice wb_bench_status(wb_arena *arena)
{
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    Waybill__V1__StatusRequest status = WAYBILL__V1__STATUS_REQUEST__INIT;
    request.body_case = WAYBILL__V1__REQUEST__BODY_STATUS;
    request.status = &status;
    return pack(&request, arena);
}

static bool has_lag(const Waybill__V1__Reply *r)
{
    static const char key[] = "\"lag_bytes\":";
    if (r->body_case != WAYBILL__V1__REPLY__BODY_STATUS_REPORT) return false;
    const char *at = strstr(r->status_report->json, key);
    lag_bytes = 0;
    for (const char *next = at; next; next = strstr(next + 1, key)) {
        uint64_t n = strtoull(next + sizeof key - 1, NULL, 10);
        if (n > lag_bytes) lag_bytes = n;
    }
    return at != NULL;
}

const char *wb_bench_judge_status(wb_slice reply) { return judge(reply, has_lag); }

uint64_t wb_bench_lag_bytes(void) { return lag_bytes; }
