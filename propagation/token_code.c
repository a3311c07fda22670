/* SPDX-License-Identifier: Apache-2.0 */
/* The closed list of codes, one row each. A code's class is the row's in TOKENS sections 8 and 9 in
 * which it is defined first, whatever the step that returns it. */
#include "propagation/token.h"

static const struct {
    const char *name, *class;
} codes[WB_TOKEN_CODES] = {
#define CODE(suffix, class) [WB_E_##suffix] = {"WB_E_" #suffix, class}
    [WB_E_NONE] = {"", ""},
    CODE(MISSING, "refused"),
    CODE(CARRIER, "malformed"),
    CODE(CHAIN_LEN, "malformed"),
    CODE(SIZE, "malformed"),
    CODE(SYNTAX, "malformed"),
    CODE(B64, "malformed"),
    CODE(UTF8, "malformed"),
    CODE(JSON, "malformed"),
    CODE(JSON_DUP, "malformed"),
    CODE(NUM, "malformed"),
    CODE(DEPTH_JSON, "malformed"),
    CODE(CRIT, "malformed"),
    CODE(HDR, "malformed"),
    CODE(ALG, "malformed"),
    CODE(TYP, "malformed"),
    CODE(KID, "malformed"),
    CODE(VER, "malformed"),
    CODE(CLAIM_MISSING, "malformed"),
    CODE(CLAIM_TYPE, "malformed"),
    CODE(LIM_UNKNOWN, "malformed"),
    CODE(CLAIM_RANGE, "malformed"),
    CODE(AUD, "unauthenticated"),
    CODE(IAT_FUTURE, "stale"),
    CODE(EXPIRED, "stale"),
    CODE(TTL, "stale"),
    CODE(BIND_METHOD, "unauthenticated"),
    CODE(BIND_MSG, "unauthenticated"),
    CODE(BIND_TASK, "unauthenticated"),
    CODE(BIND_CTX, "unauthenticated"),
    CODE(BIND_BODY, "unauthenticated"),
    CODE(KEY_REVOKED, "unauthenticated"),
    CODE(ISS_UNKNOWN, "unauthenticated"),
    CODE(KEY_UNKNOWN, "unauthenticated"),
    CODE(KEY_TIME, "unauthenticated"),
    CODE(RATE, "refused"),
    CODE(SIG_POINT, "unauthenticated"),
    CODE(SIG, "unauthenticated"),
    CODE(CHAIN_ROOT, "unauthenticated"),
    CODE(CHAIN_SUB, "unauthenticated"),
    CODE(CHAIN_HASH, "unauthenticated"),
    CODE(CHAIN_ALIGN, "unauthenticated"),
    CODE(CHAIN_CNF, "unauthenticated"),
    CODE(CHAIN_DEPTH, "unauthenticated"),
    CODE(CHAIN_TRACE, "unauthenticated"),
    CODE(ATT_MXD, "unauthenticated"),
    CODE(ATT_TIME, "stale"),
    CODE(ATT_DLN, "stale"),
    CODE(ATT_CUR, "unauthenticated"),
    CODE(ATT_LIM, "unauthenticated"),
    CODE(ATT_SCP, "unauthenticated"),
    CODE(LOOP, "refused"),
    CODE(HOP, "refused"),
    CODE(CHAIN_SIG, "unauthenticated"),
    CODE(REPLAY, "replayed"),
    CODE(REPLAY_FULL, "refused"),
    CODE(POLICY, "refused"),
#undef CODE
};

const char *wb_token_code_name(wb_token_code code)
{
    return (size_t)code < WB_TOKEN_CODES ? codes[code].name : "";
}

const char *wb_token_code_class(wb_token_code code)
{
    return (size_t)code < WB_TOKEN_CODES ? codes[code].class : "";
}

bool wb_token_code_is_soft(wb_token_code code)
{
    return code == WB_E_MISSING || code == WB_E_ISS_UNKNOWN || code == WB_E_KEY_UNKNOWN;
}

const char *wb_token_warning_name(unsigned i)
{
    static const char *const names[WB_TOKEN_WARNINGS] = {"WB_W_CHAIN_UNVERIFIED",
                                                         "WB_W_TRACE_CONFLICT", "WB_W_TRACEPARENT"};
    return i < WB_TOKEN_WARNINGS ? names[i] : "";
}

wb_method wb_method_parse(wb_slice name)
{
    if (wb_slice_eq(name, WB_S("SendMessage"))) return WB_METHOD_SEND_MESSAGE;
    if (wb_slice_eq(name, WB_S("SendStreamingMessage"))) return WB_METHOD_SEND_STREAMING_MESSAGE;
    return WB_METHOD_NONE;
}

const char *wb_method_name(wb_method method)
{
    static const char *const names[] = {"", "SendMessage", "SendStreamingMessage"};
    return (size_t)method < WB_COUNT(names) ? names[method] : "";
}
