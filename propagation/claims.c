/* SPDX-License-Identifier: Apache-2.0 */
/* The claims are read in the order in which TOKENS section 5 lists them, each one through all of its
 * checks (there? of its type? no unknown member? its members? its value?) before the next is looked at,
 * so the first fault in that order gives the code. Three things are settled late: `dep <= mxd <= 7` once
 * both are there, `pth` iff `dep` > 0 once `dep` is known, and the relations of `iat exp dln sub`,
 * which are truth and not form: the verifier's steps 8 and 13.
 *
 * Whatever a reader below does not ask for is not looked at, which is how unknown claims are ignored;
 * the four closed objects count their known members against all members. */
#include "propagation/claims.h"

#include "core/utf8.h"

#include <stdio.h>

const wb_json_limits wb_token_json_limits = {
    .depth = 3, .members = 40, .elements = 40, .string_bytes = 255};

wb_status wb_token_json(wb_slice text, wb_arena *arena, const wb_json **root, wb_token_code *code)
{
    static const wb_token_code by_fault[] = {
        [WB_JSON_NO_FAULT] = WB_E_NONE, [WB_JSON_UTF8] = WB_E_UTF8,
        [WB_JSON_SYNTAX] = WB_E_JSON,   [WB_JSON_DUPLICATE] = WB_E_JSON_DUP,
        [WB_JSON_NUMBER] = WB_E_NUM,    [WB_JSON_DEPTH] = WB_E_DEPTH_JSON,
        [WB_JSON_SIZE] = WB_E_SIZE,
    };
    wb_json_fault fault;
    WB_TRY(wb_json_parse(text, &wb_token_json_limits, arena, root, &fault));
    *code = by_fault[fault];
    return WB_OK;
}

bool wb_agent_id_ok(wb_slice id)
{
    /* TOKENS section 5 */
    if (!wb_slice_starts(id, WB_S("https://")) && !wb_slice_starts(id, WB_S("spiffe://")))
        return false;
    size_t host = id.ptr[0] == 'h' ? 8 : 9;
    if (id.len > WB_ID_MAX_BYTES || id.len <= host || id.ptr[host] == '/') return false;
    for (size_t i = 0; i < id.len; i++) {
        uint8_t c = id.ptr[i];
        if (c < 0x21 || c > 0x7e || (c >= 'A' && c <= 'Z') || strchr("\\\"<>#", c)) return false;
    }
    return true;
}

/* text(n) of section 5: no C0 or C1 control, no DEL. UTF-8 was checked before. */
static bool text_ok(wb_slice s, size_t max)
{
    if (s.len == 0 || s.len > max) return false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        if (c < 0x20 || c == 0x7f) return false;
        if (c == 0xc2 && i + 1 < s.len && s.ptr[i + 1] < 0xa0) return false;
    }
    return true;
}

/* Reads from one object; the first fault sticks in `code`, and later asks do nothing. */
typedef struct claim_reader {
    const wb_json *object;
    wb_token_code code;
} claim_reader;

/* The value, if it is there and of its type; NULL after a fault, or where an optional one is absent. */
static const wb_json *get(claim_reader *r, wb_slice name, wb_json_type type, bool required)
{
    if (r->code != WB_E_NONE) return NULL;
    const wb_json *value = wb_json_member(r->object, name);
    if (!value) {
        if (required) r->code = WB_E_CLAIM_MISSING;
        return NULL;
    }
    if (value->type == type) return value;
    r->code = WB_E_CLAIM_TYPE;
    return NULL;
}

static void check(claim_reader *r, bool good)
{
    if (r->code == WB_E_NONE && !good) r->code = WB_E_CLAIM_RANGE;
}

static void get_int(claim_reader *r, wb_slice name, uint64_t least, uint64_t most, uint64_t *out)
{
    const wb_json *value = get(r, name, WB_JSON_INT, true);
    if (!value) return;
    check(r, value->number >= least && value->number <= most);
    *out = value->number;
}

static void get_small(claim_reader *r, wb_slice name, uint8_t most, uint8_t *out)
{
    uint64_t value = 0;
    get_int(r, name, 0, most, &value);
    *out = (uint8_t)value;
}

static void get_agent_id(claim_reader *r, wb_slice name, wb_slice *out)
{
    const wb_json *value = get(r, name, WB_JSON_STRING, true);
    if (!value) return;
    check(r, wb_agent_id_ok(value->text));
    *out = value->text;
}

static void get_b64(claim_reader *r, wb_slice name, bool required, uint8_t *out, size_t len)
{
    const wb_json *value = get(r, name, WB_JSON_STRING, required);
    if (value) check(r, wb_b64url_parse_exact(value->text, out, len) == WB_OK);
}

static void get_hex(claim_reader *r, wb_slice name, uint8_t *out, size_t len)
{
    const wb_json *value = get(r, name, WB_JSON_STRING, true);
    if (value) check(r, wb_unhex(value->text, out, len) == WB_OK && !wb_id_is_zero(out, len));
}

static void get_text(claim_reader *r, wb_slice name, bool required, wb_slice *out)
{
    const wb_json *value = get(r, name, WB_JSON_STRING, required);
    if (!value) return;
    check(r, text_ok(value->text, WB_TEXT_MAX_BYTES));
    *out = value->text;
}

/* A closed object: `names` are all that it may have. */
static claim_reader get_object(claim_reader *r, wb_slice name, bool required, const wb_slice *names,
                               size_t n, wb_token_code unknown)
{
    size_t known = 0;
    claim_reader inner = {.object = get(r, name, WB_JSON_OBJECT, required)};
    for (size_t i = 0; i < n; i++)
        if (wb_json_member(inner.object, names[i])) known++;
    if (inner.object && known < inner.object->n) inner.code = unknown;
    return inner;
}

/* Does what was read inside an object to the outside. */
static void close_object(claim_reader *r, const claim_reader *inner)
{
    if (r->code == WB_E_NONE) r->code = inner->code;
}

static void get_lnk(claim_reader *r, wb_claims *c)
{
    static const wb_slice names[] = {WB_S("tth"), WB_S("hop")};
    claim_reader in = get_object(r, WB_S("lnk"), false, names, WB_COUNT(names), WB_E_CLAIM_RANGE);
    if (!in.object) return;
    c->has_lnk = true;
    get_b64(&in, WB_S("tth"), true, c->lnk_tth, sizeof c->lnk_tth);
    get_int(&in, WB_S("hop"), 1, WB_NOLIM, &c->lnk_hop);
    close_object(r, &in);
}

static void get_cnf(claim_reader *r, wb_claims *c)
{
    static const wb_slice names[] = {WB_S("jkt")};
    uint8_t jkt[WB_HASH_BYTES];
    claim_reader in = get_object(r, WB_S("cnf"), false, names, WB_COUNT(names), WB_E_CLAIM_RANGE);
    if (!in.object) return;
    c->has_cnf = true;
    get_b64(&in, WB_S("jkt"), true, jkt, sizeof jkt);
    if (in.code == WB_E_NONE) wb_b64url_format(wb_slice_of(jkt, sizeof jkt), c->cnf_jkt);
    close_object(r, &in);
}

static void get_scp(claim_reader *r, wb_claims *c)
{
    const wb_json *array = get(r, WB_S("scp"), WB_JSON_ARRAY, false);
    if (!array) return;
    c->has_scp = true;
    for (const wb_json *e = array->first; e; e = e->next)
        if (e->type != WB_JSON_STRING) r->code = WB_E_CLAIM_TYPE;
    check(r, array->n <= WB_SCP_MAX);
    for (const wb_json *e = array->first; e && r->code == WB_E_NONE; e = e->next) {
        check(r, text_ok(e->text, WB_SKILL_MAX_BYTES));
        for (size_t i = 0; i < c->n_scp; i++) check(r, !wb_slice_eq(c->scp[i], e->text));
        c->scp[c->n_scp++] = e->text;
    }
}

static void get_lim(claim_reader *r, wb_claims *c)
{
    static const wb_slice names[] = {WB_S("cur"), WB_S("cost"), WB_S("tok"), WB_S("ms")};
    claim_reader in = get_object(r, WB_S("lim"), true, names, WB_COUNT(names), WB_E_LIM_UNKNOWN);
    if (!in.object) return;
    const wb_json *cur = get(&in, WB_S("cur"), WB_JSON_STRING, true);
    if (cur) {
        check(&in, cur->text.len == WB_CURRENCY_LEN);
        for (size_t i = 0; i < WB_CURRENCY_LEN && in.code == WB_E_NONE; i++) {
            check(&in, cur->text.ptr[i] >= 'A' && cur->text.ptr[i] <= 'Z');
            c->lim.cur[i] = (char)cur->text.ptr[i];
        }
    }
    get_int(&in, WB_S("cost"), 0, WB_NOLIM, &c->lim.cost);
    get_int(&in, WB_S("tok"), 0, WB_NOLIM, &c->lim.tok);
    get_int(&in, WB_S("ms"), 0, WB_NOLIM, &c->lim.ms);
    close_object(r, &in);
}

static void get_bnd(claim_reader *r, wb_claims *c)
{
    static const wb_slice names[] = {WB_S("mth"), WB_S("mid"), WB_S("ctx"), WB_S("tsk"),
                                     WB_S("bdg")};
    claim_reader in = get_object(r, WB_S("bnd"), true, names, WB_COUNT(names), WB_E_CLAIM_RANGE);
    if (!in.object) return;
    const wb_json *mth = get(&in, WB_S("mth"), WB_JSON_STRING, true);
    if (mth) {
        c->mth = wb_method_parse(mth->text);
        check(&in, c->mth != WB_METHOD_NONE);
    }
    get_text(&in, WB_S("mid"), true, &c->mid);
    get_text(&in, WB_S("ctx"), false, &c->ctx);
    get_text(&in, WB_S("tsk"), false, &c->tsk);
    get_b64(&in, WB_S("bdg"), true, c->bdg, sizeof c->bdg);
    close_object(r, &in);
}

/* dep, mxd and pth: each needs another to be judged. */
static void get_depth(claim_reader *r, wb_claims *c)
{
    get_small(r, WB_S("dep"), WB_DEPTH_MAX, &c->dep);
    get_small(r, WB_S("mxd"), WB_DEPTH_MAX, &c->mxd);
    check(r, c->dep <= c->mxd);
    get_b64(r, WB_S("pth"), c->dep > 0, c->pth, sizeof c->pth);
    check(r, c->dep > 0 || !wb_json_member(r->object, WB_S("pth")));
}

wb_token_code wb_claims_check(const wb_json *payload, wb_claims *out)
{
    claim_reader r = {.object = payload};
    wb_claims c = {0};
    const wb_json *ver = wb_json_member(r.object, WB_S("ver"));
    if (!ver || ver->type != WB_JSON_INT || ver->number != 1) r.code = WB_E_VER;
    get_agent_id(&r, WB_S("iss"), &c.iss);
    get_agent_id(&r, WB_S("sub"), &c.sub);
    get_agent_id(&r, WB_S("aud"), &c.aud);
    get_b64(&r, WB_S("jti"), true, c.jti.b, sizeof c.jti.b);
    get_int(&r, WB_S("iat"), 0, WB_NOLIM, &c.iat);
    get_int(&r, WB_S("exp"), 0, WB_NOLIM, &c.exp);
    get_int(&r, WB_S("dln"), 0, WB_NOLIM, &c.dln);
    get_hex(&r, WB_S("tid"), c.tid.b, sizeof c.tid.b);
    get_hex(&r, WB_S("psid"), c.psid.b, sizeof c.psid.b);
    get_small(&r, WB_S("tfl"), WB_FLAGS_MAX, &c.tfl);
    get_depth(&r, &c);
    get_lnk(&r, &c);
    get_cnf(&r, &c);
    get_scp(&r, &c);
    get_lim(&r, &c);
    get_bnd(&r, &c);
    if (r.code != WB_E_NONE) return r.code;
    memcpy(c.kid, out->kid, sizeof c.kid);
    *out = c;
    return WB_E_NONE;
}

static wb_status add_text(wb_buffer *out, const char *before, wb_slice text)
{
    WB_TRY(wb_buffer_add_slice(out, wb_slice_str(before)));
    return wb_json_add_string(out, text);
}

static wb_status add_b64(wb_buffer *out, const char *before, const uint8_t *bytes, size_t len)
{
    char text[WB_HASH_B64 + 1];
    wb_b64url_format(wb_slice_of(bytes, len), text);
    return wb_buffer_printf(out, "%s\"%s\"", before, text);
}

static wb_status add_who_and_when(const wb_claims *c, wb_buffer *out)
{
    WB_TRY(add_text(out, "{\"ver\":1,\"iss\":", c->iss));
    WB_TRY(add_text(out, ",\"sub\":", c->sub));
    WB_TRY(add_text(out, ",\"aud\":", c->aud));
    WB_TRY(add_b64(out, ",\"jti\":", c->jti.b, sizeof c->jti.b));
    return wb_buffer_printf(out, ",\"iat\":%llu,\"exp\":%llu,\"dln\":%llu",
                            (unsigned long long)c->iat, (unsigned long long)c->exp,
                            (unsigned long long)c->dln);
}

static wb_status add_where(const wb_claims *c, wb_buffer *out)
{
    char tid[WB_TRACE_HEX + 1], psid[WB_SPAN_HEX + 1];
    wb_hex(c->tid.b, sizeof c->tid.b, tid);
    wb_hex(c->psid.b, sizeof c->psid.b, psid);
    WB_TRY(wb_buffer_printf(out, ",\"tid\":\"%s\",\"psid\":\"%s\",\"tfl\":%u,\"dep\":%u,\"mxd\":%u",
                            tid, psid, c->tfl, c->dep, c->mxd));
    return c->dep > 0 ? add_b64(out, ",\"pth\":", c->pth, sizeof c->pth) : WB_OK;
}

static wb_status add_optional(const wb_claims *c, wb_buffer *out)
{
    if (c->has_lnk) {
        WB_TRY(add_b64(out, ",\"lnk\":{\"tth\":", c->lnk_tth, sizeof c->lnk_tth));
        WB_TRY(wb_buffer_printf(out, ",\"hop\":%llu}", (unsigned long long)c->lnk_hop));
    }
    if (c->has_cnf) WB_TRY(wb_buffer_printf(out, ",\"cnf\":{\"jkt\":\"%s\"}", c->cnf_jkt));
    if (!c->has_scp) return WB_OK;
    WB_TRY(wb_buffer_add_slice(out, WB_S(",\"scp\":[")));
    for (size_t i = 0; i < c->n_scp; i++) WB_TRY(add_text(out, i ? "," : "", c->scp[i]));
    return wb_buffer_add(out, "]", 1);
}

static wb_status add_binding(const wb_claims *c, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, ",\"bnd\":{\"mth\":\"%s\"", wb_method_name(c->mth)));
    WB_TRY(add_text(out, ",\"mid\":", c->mid));
    if (c->ctx.len > 0) WB_TRY(add_text(out, ",\"ctx\":", c->ctx));
    if (c->tsk.len > 0) WB_TRY(add_text(out, ",\"tsk\":", c->tsk));
    WB_TRY(add_b64(out, ",\"bdg\":", c->bdg, sizeof c->bdg));
    return wb_buffer_add(out, "}}", 2);
}

wb_status wb_claims_format(const wb_claims *c, wb_buffer *out)
{
    WB_TRY(add_who_and_when(c, out));
    WB_TRY(add_where(c, out));
    WB_TRY(add_optional(c, out));
    WB_TRY(wb_buffer_printf(out, ",\"lim\":{\"cur\":\"%s\",\"cost\":%llu,\"tok\":%llu,\"ms\":%llu}",
                            c->lim.cur, (unsigned long long)c->lim.cost,
                            (unsigned long long)c->lim.tok, (unsigned long long)c->lim.ms));
    return add_binding(c, out);
}
