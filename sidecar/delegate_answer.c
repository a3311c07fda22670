/* SPDX-License-Identifier: Apache-2.0 */
/* The reply is made from the row alone, whether the message was just signed or is answered again: so a
 * repeated request gets, byte for byte, what the first one got. Only the salt is the request's; it is
 * kept nowhere. */
#include "sidecar/context.h"
#include "sidecar/delegate.h"

#include "a2a/carrier.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

static bool is_peer(const wb_sidecar_config *config, const char *agent_id)
{
    for (size_t i = 0; i < config->n_peers; i++)
        if (wb_slice_eq(config->peers[i].id, wb_slice_str(agent_id))) return true;
    return false;
}

/* The client's tracestate belongs to the client's trace: in another it means nothing. */
static wb_status put_context(wb_request *r, const Waybill__V1__DelegationRow *row,
                             Waybill__V1__DelegateReply *reply)
{
    static const wb_headers none = {NULL, 0};
    const Waybill__V1__Delegate *in = r->in->delegate;
    const wb_baggage_border *border = &r->world->config.send_baggage;
    wb_traceparent context = {.flags = (uint8_t)row->trace_flags};
    wb_headers tracestate, baggage;
    wb_id id;
    WB_ASSERT(wb_request_id(&row->id, &id) && row->trace_id.data && row->span_id.data);
    memcpy(context.trace.b, row->trace_id.data, sizeof context.trace.b);
    memcpy(context.span.b, row->span_id.data, sizeof context.span.b);
    WB_TRY(wb_headers_of(in->tracestate, NULL, 0, r->arena, &tracestate));
    WB_TRY(wb_headers_of("", in->baggage, in->n_baggage, r->arena, &baggage));
    bool same_trace = in->trace_id.len == sizeof context.trace.b &&
                      memcmp(in->trace_id.data, context.trace.b, sizeof context.trace.b) == 0;
    reply->traceparent = wb_context_traceparent(&context, r->arena);
    reply->tracestate = wb_context_tracestate(same_trace ? &tracestate : &none,
                                              WB_TRACESTATE_DELEGATION, &id, r->arena);
    reply->baggage = wb_context_baggage(
        &baggage,
        is_peer(&r->world->config, row->target_agent_id) ? &border->known : &border->others,
        r->arena);
    return reply->traceparent && reply->tracestate && reply->baggage ? WB_OK : WB_ERR_NO_MEMORY;
}

static wb_status put_carrier(wb_request *r, const wb_chain *chain,
                             Waybill__V1__DelegateReply *reply)
{
    WB_AUTO_BUFFER text;
    wb_carrier carrier = {.chain = *chain};
    wb_slice copy;
    wb_buffer_init(&text, WB_CHAIN_MAX_BYTES + 1024);
    memcpy(carrier.salt, r->in->delegate->salt.data, sizeof carrier.salt);
    WB_TRY(wb_carrier_format(&carrier, &text));
    WB_TRY(wb_arena_dup(r->arena, wb_buffer_slice(&text), &copy));
    reply->carrier = (char *)copy.ptr;
    return WB_OK;
}

/* What its token says: read from it, unless this request made it. */
static wb_status read_claims(wb_request *r, const wb_delegate *d, const wb_chain *chain,
                             const wb_claims **claims)
{
    wb_token_code code = WB_E_NONE;
    const wb_chain *made = &d->token.chain;
    wb_slice jws = chain->links[chain->n - 1];
    if (made->n > 0 && wb_slice_eq(made->links[made->n - 1], jws)) {
        *claims = &d->token.claims;
        return WB_OK;
    }
    wb_token *leaf = wb_arena_alloc(r->arena, sizeof *leaf);
    if (!leaf) return WB_ERR_NO_MEMORY;
    WB_TRY(wb_token_parse(jws, r->arena, leaf, &code));
    *claims = &leaf->claims;
    return code == WB_E_NONE ? WB_OK : WB_ERR_CORRUPT;
}

/* An amount that is not set has no limit. */
static wb_status put_granted(wb_request *r, const wb_token_limits *lim,
                             Waybill__V1__DelegateReply *reply)
{
    Waybill__V1__Limits *limits = wb_arena_alloc(r->arena, sizeof *limits);
    if (!limits) return WB_ERR_NO_MEMORY;
    waybill__v1__limits__init(limits);
    limits->currency = wb_arena_printf(r->arena, "%s", lim->cur);
    if (!limits->currency) return WB_ERR_NO_MEMORY;
    if (lim->cost != WB_NOLIM) {
        limits->cost_case = WAYBILL__V1__LIMITS__COST_COST_MICROS;
        limits->cost_micros = lim->cost;
    }
    if (lim->tok != WB_NOLIM) {
        limits->token_count_case = WAYBILL__V1__LIMITS__TOKEN_COUNT_TOKENS;
        limits->tokens = lim->tok;
    }
    if (lim->ms != WB_NOLIM) {
        limits->work_case = WAYBILL__V1__LIMITS__WORK_WORK_MS;
        limits->work_ms = lim->ms;
    }
    reply->granted = limits;
    return WB_OK;
}

wb_status wb_delegate_answer(wb_request *r, wb_delegate *d, const Waybill__V1__DelegationRow *row,
                             size_t turn, wb_error *err)
{
    Waybill__V1__DelegateReply *reply = d->reply;
    Waybill__V1__DelegationTurn of_turn;
    wb_chain chain = {.n = 0};
    wb_turns_get(row, turn, &of_turn);
    reply->delegation_id = row->id;
    reply->trace_id = row->trace_id;
    reply->span_id = row->span_id;
    reply->unsigned_reason = of_turn.unsigned_reason;
    reply->deadline_s = row->deadline_ns / WB_NS_PER_S;
    reply->turn = wb_turns_number(row, turn);
    wb_status status = put_context(r, row, reply);
    if (status != WB_OK) return wb_fail(err, status, "arena limit");
    if (of_turn.n_chain == 0) return WB_OK;
    if (of_turn.n_chain > WB_CHAIN_MAX_LINKS)
        return wb_fail(err, WB_ERR_CORRUPT, "delegation row with %zu links", of_turn.n_chain);
    for (size_t i = 0; i < of_turn.n_chain; i++)
        chain.links[chain.n++] = wb_slice_str(of_turn.chain[i]);
    const wb_claims *claims = NULL;
    status = put_carrier(r, &chain, reply);
    if (status == WB_OK) status = read_claims(r, d, &chain, &claims);
    if (status == WB_OK) status = put_granted(r, &claims->lim, reply);
    if (status == WB_OK)
        reply->deadline_s = claims->dln; /* the row's is the latest of its turns' */
    return status == WB_OK ? WB_OK : wb_fail(err, status, "the reply does not fit, or its token");
}
