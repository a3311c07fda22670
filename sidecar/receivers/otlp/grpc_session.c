/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTP/2 means here: nghttp2 keeps the protocol, this file hears its events and answers.
 *
 * Windows. A stream's is a usual batch, a connection's some of them, and nghttp2 opens both again as soon as
 * a chunk was handed over, for it was copied or dropped by then: what is in memory for a request is bounded
 * by the budget that all receivers share (grpc_message.c), not by the windows.
 *
 * Abuse. nghttp2 1.52 itself ends a connection that resets streams faster than RESETS_PER_S, that leaves
 * more than ACKS_MAX acknowledgements of SETTINGS and PING unread, or sends endless CONTINUATION. Floods
 * whose cost is only ours to feel it does not end: frames that carry nothing (PING, SETTINGS, PRIORITY,
 * WINDOW_UPDATE, empty DATA, frames of unknown types), and streams that we have to reset for the client's
 * faults. Each of them takes a drop from a bucket of ODD_BURST that refills with ODD_PER_S; who empties it
 * is told ENHANCE_YOUR_CALM. Every request gives some drops back, so that a client that works never gets
 * there.
 *
 * The end. A client hears of a drain by a first GOAWAY that names no request and a PING behind it; once that is
 * acknowledged, all that the client sent before it knew has come, and a second GOAWAY names the last one. */
#include "sidecar/receivers/otlp/grpc_inside.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

enum {
    STREAM_WINDOW = 1 << 20,
    CONNECTION_WINDOW = 4 << 20,
    FRAME_BYTES = 64 * 1024,
    RESETS_BURST = 200,
    RESETS_PER_S = 20,
    ACKS_MAX = 100,
    ODD_BURST = 1000,
    ODD_PER_S = 50,
    ODD_PER_REQUEST = 16,
};

static const uint8_t drain_mark[8] = {'w', 'a', 'y', 'b', 'i', 'l', 'l', '!'};

/* ---- what the library tells ---- */

/* The client did what no good one does: say so, and close when that has left. */
static void end_for(wb_grpc_connection *c, const char *why)
{
    if (c->fault) return;
    c->fault = why;
    (void)nghttp2_session_terminate_session(c->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void odd_frame(wb_grpc_connection *c)
{
    uint64_t drops = (c->active_ns - c->odd_ns) / (WB_NS_PER_S / ODD_PER_S);
    c->odd_ns += drops * (WB_NS_PER_S / ODD_PER_S);
    c->odd_left = drops + c->odd_left > ODD_BURST ? ODD_BURST : (uint32_t)(c->odd_left + drops);
    if (c->odd_left > 0)
        c->odd_left--;
    else
        end_for(c, "it floods us with frames that carry nothing");
}

static wb_grpc_call *call_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    wb_grpc_connection *c = user;
    int32_t stream = frame->hd.stream_id;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    c->odd_left =
        c->odd_left + ODD_PER_REQUEST > ODD_BURST ? ODD_BURST : c->odd_left + ODD_PER_REQUEST;
    wb_grpc_call *call = wb_grpc_call_new(c, stream);
    if (call) return nghttp2_session_set_stream_user_data(session, stream, call);
    /* RFC 9113 section 8.7: not looked at, so that it is safe to send again */
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_REFUSED_STREAM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    wb_grpc_call *call = call_of(session, frame->hd.stream_id);
    (void)flags;
    (void)user;
    if (call) wb_grpc_call_field(call, wb_slice_of(name, name_len), wb_slice_of(value, value_len));
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                    size_t len, void *user)
{
    wb_grpc_call *call = call_of(session, stream);
    (void)flags;
    (void)user;
    if (call) wb_grpc_call_chunk(call, wb_slice_of(bytes, len));
    return 0;
}

void wb_grpc_session_last(wb_grpc_connection *c)
{
    if (c->drain != WB_GRPC_NOTICED) return;
    c->drain = WB_GRPC_LAST;
    c->drain_ns = wb_grpc_now(c->grpc);
    (void)nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(c->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

/* Frames of a request: its fields, its body's parts. */
static void request_frame(wb_grpc_connection *c, const nghttp2_frame *frame)
{
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    wb_grpc_call *call = call_of(c->session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_DATA && frame->hd.length == 0 && !ends) odd_frame(c);
    if (!call) return;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        wb_grpc_call_headed(call);
    if (ends) wb_grpc_call_complete(call);
}

/* Each frame, also those that the library then ignores. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *user)
{
    (void)session;
    switch (head->type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION: /* the library counts these, */
    case NGHTTP2_RST_STREAM: /* and these */ return 0;
    default: odd_frame(user); return 0;
    }
}

/* Frames of types that nobody knows are to be ignored (RFC 9113 section 5.5), which the library does without a
 * word. Asked for them it tells of each, so that they can be counted. */
static int on_unknown(nghttp2_session *session, const nghttp2_frame_hd *head, const uint8_t *bytes,
                      size_t len, void *user)
{
    (void)session, (void)head, (void)bytes, (void)len, (void)user;
    return 0;
}

static int unpack_unknown(nghttp2_session *session, void **payload, const nghttp2_frame_hd *head,
                          void *user)
{
    (void)session, (void)payload, (void)head, (void)user;
    return NGHTTP2_ERR_CANCEL;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    wb_grpc_connection *c = user;
    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS: request_frame(c, frame); break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK &&
            memcmp(frame->ping.opaque_data, drain_mark, sizeof drain_mark) == 0)
            wb_grpc_session_last(c);
        break;
    case NGHTTP2_SETTINGS: c->greeted = true; break;
    default: break;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
    wb_grpc_call *call = call_of(session, stream);
    (void)code;
    (void)user;
    if (call) wb_grpc_call_leave(call);
    return 0;
}

/* An answer that left before its request had come: RFC 9113 section 8.1, ask for no more of it. What we have to
 * reset for a fault of the client's costs it a drop. The PING of a drain goes behind its GOAWAY: submitted
 * together they would leave the other way round. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    wb_grpc_connection *c = user;
    int32_t stream = frame->hd.stream_id;
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_HEADERS && ends &&
        nghttp2_session_get_stream_remote_close(session, stream) == 0)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_NO_ERROR);
    if (frame->hd.type == NGHTTP2_GOAWAY && c->drain == WB_GRPC_NOTICED)
        return nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, drain_mark);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
        !c->fault)
        c->fault = "it breaks HTTP/2, or resets too many requests";
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
        odd_frame(c);
    return 0;
}

wb_status wb_grpc_library_open(wb_otlp_grpc *grpc)
{
    if (nghttp2_session_callbacks_new(&grpc->callbacks) != 0) return WB_ERR_NO_MEMORY;
    if (nghttp2_option_new(&grpc->library) != 0) return WB_ERR_NO_MEMORY;
    nghttp2_session_callbacks *cb = grpc->callbacks;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(cb, on_unknown);
    nghttp2_session_callbacks_set_unpack_extension_callback(cb, unpack_unknown);
    for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
        nghttp2_option_set_user_recv_extension_type(grpc->library, (uint8_t)type);
    nghttp2_option_set_no_closed_streams(grpc->library, 1);
    nghttp2_option_set_max_outbound_ack(grpc->library, ACKS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(grpc->library, RESETS_BURST, RESETS_PER_S);
    return WB_OK;
}

void wb_grpc_library_close(wb_otlp_grpc *grpc)
{
    nghttp2_option_del(grpc->library);
    nghttp2_session_callbacks_del(grpc->callbacks);
}

/* ---- answers ---- */

#define NV(n, v)                                                                                   \
    (nghttp2_nv)                                                                                   \
    {                                                                                              \
        .name = (uint8_t *)("" n), .value = (uint8_t *)("" v), .namelen = sizeof(n) - 1,           \
        .valuelen = sizeof(v) - 1,                                                                 \
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                      \
    }

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .value = (uint8_t *)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

/* The reply's bytes, then the trailers. */
static ssize_t read_reply(nghttp2_session *session, int32_t stream, uint8_t *to, size_t len,
                          uint32_t *flags, nghttp2_data_source *source, void *user)
{
    static const nghttp2_nv trailers[] = {NV("grpc-status", "0")};
    wb_grpc_call *call = source->ptr;
    size_t n = call->answer.reply_len - call->sent;
    (void)user;
    if (n > len) n = len;
    memcpy(to, call->answer.reply + call->sent, n);
    call->sent += n;
    if (call->sent < call->answer.reply_len) return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return nghttp2_submit_trailer(session, stream, trailers, 1) == 0 ? (ssize_t)n
                                                                     : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int answer_well(wb_grpc_connection *c, wb_grpc_call *call)
{
    static const nghttp2_nv fields[] = {NV(":status", "200"),
                                        NV("content-type", "application/grpc"),
                                        NV("grpc-accept-encoding", "identity,gzip")};
    const nghttp2_data_provider reply = {.source.ptr = call, .read_callback = read_reply};
    return nghttp2_submit_response(c->session, call->stream, fields, WB_COUNT(fields), &reply);
}

/* Trailers-Only: one block of fields that is both. */
static int answer_badly(wb_grpc_connection *c, const wb_grpc_call *call)
{
    const wb_grpc_answer *a = &call->answer;
    char code[4];
    nghttp2_nv fields[8] = {NV(":status", "200"), NV("content-type", "application/grpc"),
                            NV("grpc-accept-encoding", "identity,gzip")};
    size_t n = 3;
    (void)snprintf(code, sizeof code, "%u", (unsigned)a->code % 100);
    fields[n++] = field("grpc-status", code);
    if (a->message[0]) fields[n++] = field("grpc-message", a->message);
    if (a->details[0]) fields[n++] = field("grpc-status-details-bin", a->details);
    if (a->retry_info[0]) fields[n++] = field("google.rpc.retryinfo-bin", a->retry_info);
    return nghttp2_submit_response(c->session, call->stream, fields, n, NULL);
}

/* Not gRPC, so not answered in it; a client of gRPC's makes of 405 and 415 what its document says. */
static int answer_in_http(wb_grpc_connection *c, const wb_grpc_call *call)
{
    char status[8];
    (void)snprintf(status, sizeof status, "%u", call->answer.http);
    const nghttp2_nv fields[] = {field(":status", status), NV("content-length", "0")};
    return nghttp2_submit_response(c->session, call->stream, fields, WB_COUNT(fields), NULL);
}

void wb_grpc_session_answer(wb_grpc_connection *c, wb_grpc_call *call)
{
    int rv = 0;
    if (call->answer.http != 200)
        rv = answer_in_http(c, call);
    else
        rv = call->answer.code == WB_GRPC_OK ? answer_well(c, call) : answer_badly(c, call);
    if (rv != 0) wb_grpc_session_reset(c, call->stream);
    wb_grpc_connection_flush_soon(c);
}

void wb_grpc_session_reset(wb_grpc_connection *c, int32_t stream)
{
    if (nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL) != 0)
        (void)nghttp2_session_terminate_session(c->session, NGHTTP2_INTERNAL_ERROR);
    wb_grpc_connection_flush_soon(c);
}

/* ---- beginning, reading ---- */

wb_status wb_grpc_session_open(wb_grpc_connection *c)
{
    const wb_otlp_grpc_options *options = &c->grpc->options;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, WB_GRPC_HEADER_BYTES},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    c->odd_left = ODD_BURST;
    c->odd_ns = c->active_ns;
    if (nghttp2_session_server_new2(&c->session, c->grpc->callbacks, c, c->grpc->library) != 0 ||
        nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, WB_COUNT(settings)) != 0)
        return WB_ERR_NO_MEMORY;
    int rv =
        nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
    return rv == 0 ? WB_OK : WB_ERR_NO_MEMORY;
}

/* The library reads no further. */
static void broken(wb_grpc_connection *c, int error)
{
    c->fault = error == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? "it does not speak HTTP/2"
               : error == NGHTTP2_ERR_FLOODED        ? "it reads no acknowledgements"
                                                     : "it breaks HTTP/2";
    if (nghttp2_session_terminate_session(c->session, error == NGHTTP2_ERR_FLOODED
                                                          ? NGHTTP2_ENHANCE_YOUR_CALM
                                                          : NGHTTP2_PROTOCOL_ERROR) != 0)
        wb_grpc_connection_cut(c, NULL);
}

void wb_grpc_session_take(wb_grpc_connection *c, wb_slice bytes)
{
    ssize_t rv = nghttp2_session_mem_recv(c->session, bytes.ptr, bytes.len);
    if (rv < 0) broken(c, (int)rv);
}

void wb_grpc_session_notice(wb_grpc_connection *c)
{
    if (nghttp2_submit_shutdown_notice(c->session) != 0) wb_grpc_session_last(c);
}
