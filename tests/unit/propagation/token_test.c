/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 2 to 6 of TOKENS section 8 over one link: each refusal by its code, the order of two faults, and
 * rows 10, 11 and 13 to 16 of section 17 where one link shows them. Texts are signed for real, so that
 * nothing but the fault is wrong with them. */
#include "tests/unit/propagation/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define KID "1IG2tMH7J2wbJZnOf8LJzQitKf7LMvoAElsuDMVM54Y"
#define GOOD_HEADER "{\"alg\":\"Ed25519\",\"typ\":\"waybill-trace+jwt\",\"kid\":\"" KID "\"}"
#define HASH "mPrPf8oygCYGJaUIyY-kDG8m08as9joGxEta4gYTIPM"
#define IDS "\"iss\":\"" ID_A "\",\"sub\":\"" ID_A "\",\"aud\":\"" ID_B "\""
#define JTI ",\"jti\":\"oKGio6SlpqeoqaqrrK2urw\""
#define TIMES ",\"iat\":1767225600,\"exp\":1767225720,\"dln\":1767229200"
#define TRACE                                                                                      \
    ",\"tid\":\"0af7651916cd43dd8448eb211c80319c\",\"psid\":\"b7ad6b7169203331\",\"tfl\":3"
#define DEPTH ",\"dep\":0,\"mxd\":4"
#define LIM ",\"lim\":{\"cur\":\"USD\",\"cost\":5,\"tok\":6,\"ms\":7}"
#define BND ",\"bnd\":{\"mth\":\"SendMessage\",\"mid\":\"msg-1\",\"bdg\":\"" HASH "\"}"
#define TAIL TIMES TRACE DEPTH LIM BND
#define BIG "9007199254740991"

typedef struct text_case {
    const char *name, *text;
    wb_token_code expected;
} text_case;

static wb_token_code parse(token_fixture *f, wb_slice jws, wb_token *out)
{
    wb_token_code code = WB_E_POLICY;
    assert_int_equal(wb_token_parse(jws, f->arena, out, &code), WB_OK);
    return code;
}

static void check_payloads(token_fixture *f, const text_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wb_token out = {0};
        wb_slice jws = fixture_sign(f, f->a, WB_S(GOOD_HEADER), wb_slice_str(cases[i].text));
        assert_code(cases[i].name, parse(f, jws, &out), cases[i].expected);
        if (cases[i].expected != WB_E_NONE) assert_null(out.jws.ptr); /* untouched */
    }
}

static void check_headers(token_fixture *f, const text_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wb_token out = {0};
        wb_slice jws = fixture_sign(f, f->a, wb_slice_str(cases[i].text),
                                    WB_S("{\"ver\":1," IDS JTI TAIL "}"));
        assert_code(cases[i].name, parse(f, jws, &out), cases[i].expected);
    }
}

static void links_that_are_no_compact_jws_are_refused(void **state)
{
    static const text_case cases[] = {
        {"empty", "", WB_E_SYNTAX},
        {"no dot", "abcd", WB_E_SYNTAX},
        {"one dot", "abcd.abcd", WB_E_SYNTAX},
        {"three dots", "abcd.abcd.abcd.abcd", WB_E_SYNTAX},
        {"a dot at the end", "abcd.abcd.abcd.", WB_E_SYNTAX},
        {"no header", ".abcd.abcd", WB_E_SYNTAX},
        {"no payload", "abcd..abcd", WB_E_SYNTAX},
        {"no signature", "abcd.abcd.", WB_E_SYNTAX},
        {"only dots", "..", WB_E_SYNTAX},
        {"padding", "e30=.e30.AAAA", WB_E_B64},
        {"white space", "e3 0.e30.AAAA", WB_E_B64},
        {"the other alphabet", "e3+/.e30.AAAA", WB_E_B64},
        {"a length of 1 mod 4", "e30AA.e30.AAAA", WB_E_B64},
        {"unused bits set", "e31.e30.AAAA", WB_E_B64},
        {"a fault in the payload's encoding", "e30.e3*.AAAA", WB_E_B64},
        {"a short signature", "e30.e30.AAAA", WB_E_B64},
        {"JSON serialisation", "{\"payload\":\"e30\"}", WB_E_SYNTAX},
    };
    token_fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_token out = {0};
        assert_code(cases[i].name, parse(f, wb_slice_str(cases[i].text), &out), cases[i].expected);
    }
}

static void sizes_are_checked_at_their_exact_limits(void **state)
{
    token_fixture *f = *state;
    static char long_text[5000];
    wb_token out = {0};
    memset(long_text, 'A', sizeof long_text);
    assert_code("4097 bytes", parse(f, wb_slice_of(long_text, 4097), &out), WB_E_SIZE);
    assert_code("4096 bytes", parse(f, wb_slice_of(long_text, 4096), &out), WB_E_SYNTAX);
    long_text[343] = '.';
    long_text[350] = '.';
    assert_code("header of 343", parse(f, wb_slice_of(long_text, 436), &out), WB_E_SIZE);
    memset(long_text, 'A', sizeof long_text);
    long_text[342] = '.';
    long_text[350] = '.';
    assert_code("header of 342", parse(f, wb_slice_of(long_text, 436), &out), WB_E_B64);
    memset(long_text, 'A', sizeof long_text);
    long_text[4] = '.';
    long_text[5 + 3415] = '.';
    assert_code("payload of 3415", parse(f, wb_slice_of(long_text, 3600), &out), WB_E_SIZE);
    memset(long_text, 'A', sizeof long_text);
    long_text[4] = long_text[5 + 3414] = '.';
    assert_code("payload of 3414", parse(f, wb_slice_of(long_text, 3600), &out), WB_E_B64);
}

static void headers_say_exactly_what_they_must(void **state)
{
    static const text_case cases[] = {
#define HEADER(alg, typ, kid) "{\"alg\":" alg ",\"typ\":" typ ",\"kid\":" kid "}"
#define TYP "\"waybill-trace+jwt\""
        {"alg none", HEADER("\"none\"", TYP, "\"" KID "\""), WB_E_ALG},
        {"alg None", HEADER("\"None\"", TYP, "\"" KID "\""), WB_E_ALG},
        {"alg HS256", HEADER("\"HS256\"", TYP, "\"" KID "\""), WB_E_ALG},
        {"alg ES256", HEADER("\"ES256\"", TYP, "\"" KID "\""), WB_E_ALG},
        {"alg Ed448", HEADER("\"Ed448\"", TYP, "\"" KID "\""), WB_E_ALG},
        {"alg ed25519", HEADER("\"ed25519\"", TYP, "\"" KID "\""), WB_E_ALG},
        {"alg a number", HEADER("1", TYP, "\"" KID "\""), WB_E_ALG},
        {"alg empty", HEADER("\"\"", TYP, "\"" KID "\""), WB_E_ALG},
        {"alg absent", "{\"typ\":" TYP ",\"kid\":\"" KID "\"}", WB_E_ALG},
        {"a receipt", HEADER("\"Ed25519\"", "\"waybill-receipt+jwt\"", "\"" KID "\""), WB_E_TYP},
        {"a card signature", HEADER("\"Ed25519\"", "\"JOSE\"", "\"" KID "\""), WB_E_TYP},
        {"another JWT by the same key", HEADER("\"Ed25519\"", "\"JWT\"", "\"" KID "\""), WB_E_TYP},
        {"typ absent", "{\"alg\":\"Ed25519\",\"kid\":\"" KID "\"}", WB_E_TYP},
        {"typ a number", HEADER("\"Ed25519\"", "1", "\"" KID "\""), WB_E_TYP},
        {"kid absent", "{\"alg\":\"Ed25519\",\"typ\":" TYP "}", WB_E_KID},
        {"kid a name", HEADER("\"Ed25519\"", TYP, "\"key-1\""), WB_E_KID},
        {"kid a number", HEADER("\"Ed25519\"", TYP, "1"), WB_E_KID},
        {"kid with unused bits",
         HEADER("\"Ed25519\"", TYP, "\"1IG2tMH7J2wbJZnOf8LJzQitKf7LMvoAElsuDMVM54Z\""), WB_E_KID},
        {"jwk", "{\"alg\":\"Ed25519\",\"typ\":" TYP ",\"kid\":\"" KID "\",\"jwk\":{}}", WB_E_HDR},
        {"jku", "{\"alg\":\"Ed25519\",\"typ\":" TYP ",\"kid\":\"" KID "\",\"jku\":\"\"}", WB_E_HDR},
        {"zip before a bad alg", "{\"zip\":\"DEF\",\"alg\":\"none\"}", WB_E_HDR},
        {"crit before b64", "{\"b64\":false,\"crit\":[\"b64\"],\"alg\":\"none\"}", WB_E_CRIT},
        {"crit that is null", "{\"crit\":null}", WB_E_CRIT},
        {"bad alg before bad typ", HEADER("\"none\"", "\"JWT\"", "1"), WB_E_ALG},
        {"bad typ before bad kid", HEADER("\"Ed25519\"", "\"JWT\"", "1"), WB_E_TYP},
        {"alg twice", "{\"alg\":\"Ed25519\",\"alg\":\"none\"}", WB_E_JSON_DUP},
        {"an array", "[]", WB_E_JSON},
        {"EdDSA is accepted", HEADER("\"EdDSA\"", TYP, "\"" KID "\""), WB_E_NONE},
        {"any order", "{\"kid\":\"" KID "\",\"typ\":" TYP ",\"alg\":\"Ed25519\"}", WB_E_NONE},
        {"escapes mean what they say", "{\"\\u0061lg\":\"E\\u00645519\"}", WB_E_ALG},
    };
    check_headers(*state, cases, WB_COUNT(cases));
}

#define WITH(claims) "{\"ver\":1," claims "}"

static void text_that_is_not_strict_json_is_refused(void **state)
{
    static const text_case cases[] = {
        {"overlong", WITH("\"x\":\"\xc0\xaf\""), WB_E_UTF8},
        {"a surrogate in UTF-8", WITH("\"x\":\"\xed\xa0\x80\""), WB_E_UTF8},
        {"half a pair", WITH("\"x\":\"\\ud800\""), WB_E_UTF8},
        {"the other half", WITH("\"x\":\"\\udc00\""), WB_E_UTF8},
        {"an escaped zero", WITH("\"x\":\"\\u0000\""), WB_E_UTF8},
        {"a byte order mark", "\xef\xbb\xbf{}", WB_E_UTF8},
        {"UTF-8 over the whole text comes first", "{\"a\":1,\"a\":\xff", WB_E_UTF8},
        {"no text", " ", WB_E_JSON},
        {"an array", "[1]", WB_E_JSON},
        {"two objects", "{}{}", WB_E_JSON},
        {"a trailing comma", WITH("\"x\":1,"), WB_E_JSON},
        {"NaN", WITH("\"x\":NaN"), WB_E_JSON},
        {"True", WITH("\"x\":True"), WB_E_JSON},
        {"a comment", "{/**/}", WB_E_JSON},
        {"a raw newline", WITH("\"x\":\"a\nb\""), WB_E_JSON},
        {"unfinished", "{\"ver\":1", WB_E_JSON},
        {"aud twice", WITH(IDS ",\"aud\":\"x\""), WB_E_JSON_DUP},
        {"aud twice, once escaped", WITH(IDS ",\"\\u0061ud\":\"x\""), WB_E_JSON_DUP},
        {"twice within lim", WITH("\"lim\":{\"tok\":1,\"tok\":1}"), WB_E_JSON_DUP},
        {"1.0", WITH("\"x\":1.0"), WB_E_NUM},
        {"1e3", WITH("\"x\":1e3"), WB_E_NUM},
        {"-0", WITH("\"x\":-0"), WB_E_NUM},
        {"-1", WITH("\"x\":-1"), WB_E_NUM},
        {"00", WITH("\"x\":00"), WB_E_NUM},
        {"+1", WITH("\"x\":+1"), WB_E_NUM},
        {".5", WITH("\"x\":.5"), WB_E_NUM},
        {"0x10", WITH("\"x\":0x10"), WB_E_NUM},
        {"2^53", WITH("\"x\":9007199254740992"), WB_E_NUM},
        {"2^64 + 1", WITH("\"x\":18446744073709551617"), WB_E_NUM},
        {"1E400", WITH("\"x\":1E400"), WB_E_NUM},
        {"-Infinity", WITH("\"x\":-Infinity"), WB_E_NUM},
        {"depth 4", WITH("\"x\":[[[1]]]"), WB_E_DEPTH_JSON},
        {"depth 3", WITH("\"x\":[[1]]"), WB_E_CLAIM_MISSING},
        {"the leftmost of two: number", WITH("\"x\":-1,\"x\":1"), WB_E_NUM},
        {"the leftmost of two: name", WITH("\"x\":1,\"x\":-1"), WB_E_JSON_DUP},
        {"2^53 - 1 is a number", WITH("\"x\":" BIG), WB_E_CLAIM_MISSING},
    };
    check_payloads(*state, cases, WB_COUNT(cases));
}

static void json_sizes_are_checked_at_their_exact_limits(void **state)
{
    token_fixture *f = *state;
    char x[300] = {0}, members[600] = "{";
    const char *elements = "{\"x\":[0";
    memset(x, 'x', 256);
    for (int i = 0; i < 40; i++) (void)sprintf(members + strlen(members), "\"m%02d\":0,", i);
    for (int i = 1; i < 40; i++) elements = wb_arena_printf(f->arena, "%s,0", elements);
    const text_case cases[] = {
        {"a string of 256", wb_arena_printf(f->arena, "{\"x\":\"%s\"}", x), WB_E_SIZE},
        {"a string of 255", wb_arena_printf(f->arena, "{\"x\":\"%.255s\"}", x), WB_E_VER},
        {"255 after unescaping", wb_arena_printf(f->arena, "{\"x\":\"%.254s\\u0041\"}", x),
         WB_E_VER},
        {"256 after unescaping", wb_arena_printf(f->arena, "{\"x\":\"%.255s\\n\"}", x), WB_E_SIZE},
        {"a name of 256", wb_arena_printf(f->arena, "{\"%s\":0}", x), WB_E_SIZE},
        {"41 members", wb_arena_printf(f->arena, "%s\"last\":0}", members), WB_E_SIZE},
        {"40 members", wb_arena_printf(f->arena, "%.*s}", (int)strlen(members) - 1, members),
         WB_E_VER},
        {"41 elements", wb_arena_printf(f->arena, "%s,0]}", elements), WB_E_SIZE},
        {"40 elements", wb_arena_printf(f->arena, "%s]}", elements), WB_E_VER},
    };
    check_payloads(f, cases, WB_COUNT(cases));
}

static void claims_are_there_and_of_their_type(void **state)
{
    static const text_case cases[] = {
        {"no ver", "{" IDS JTI TAIL "}", WB_E_VER},
        {"ver 2", "{\"ver\":2," IDS JTI TAIL "}", WB_E_VER},
        {"ver a string", "{\"ver\":\"1\"," IDS JTI TAIL "}", WB_E_VER},
        {"ver comes before all else", "{\"ver\":0,\"iss\":1}", WB_E_VER},
        {"no iss", WITH("\"sub\":1"), WB_E_CLAIM_MISSING},
        {"no jti", WITH(IDS TAIL), WB_E_CLAIM_MISSING},
        {"no dln", WITH(IDS JTI ",\"iat\":1,\"exp\":2" TRACE DEPTH LIM BND), WB_E_CLAIM_MISSING},
        {"no lim", WITH(IDS JTI TIMES TRACE DEPTH BND), WB_E_CLAIM_MISSING},
        {"no bnd", WITH(IDS JTI TIMES TRACE DEPTH LIM), WB_E_CLAIM_MISSING},
        {"no tok in lim",
         WITH(IDS JTI TIMES TRACE DEPTH ",\"lim\":{\"cur\":\"USD\",\"cost\":1,\"ms\":1}" BND),
         WB_E_CLAIM_MISSING},
        {"no bdg in bnd",
         WITH(IDS JTI TIMES TRACE DEPTH LIM ",\"bnd\":{\"mth\":\"SendMessage\",\"mid\":\"m\"}"),
         WB_E_CLAIM_MISSING},
        {"pth missing at dep 1", WITH(IDS JTI TIMES TRACE ",\"dep\":1,\"mxd\":4" LIM BND),
         WB_E_CLAIM_MISSING},
        {"aud an array",
         WITH("\"iss\":\"" ID_A "\",\"sub\":\"" ID_A "\",\"aud\":[\"" ID_B "\"]" JTI TAIL),
         WB_E_CLAIM_TYPE},
        {"iat a string", WITH(IDS JTI ",\"iat\":\"5\""), WB_E_CLAIM_TYPE},
        {"iat null", WITH(IDS JTI ",\"iat\":null"), WB_E_CLAIM_TYPE},
        {"tid a number", WITH(IDS JTI TIMES ",\"tid\":1"), WB_E_CLAIM_TYPE},
        {"lim an array", WITH(IDS JTI TIMES TRACE DEPTH ",\"lim\":[]" BND), WB_E_CLAIM_TYPE},
        {"cost true",
         WITH(IDS JTI TIMES TRACE DEPTH
              ",\"lim\":{\"cur\":\"USD\",\"cost\":true,\"tok\":1,\"ms\":1}" BND),
         WB_E_CLAIM_TYPE},
        {"scp a string", WITH(IDS JTI TIMES TRACE DEPTH ",\"scp\":\"a\"" LIM BND), WB_E_CLAIM_TYPE},
        {"scp of numbers", WITH(IDS JTI TIMES TRACE DEPTH ",\"scp\":[1]" LIM BND), WB_E_CLAIM_TYPE},
        {"cnf null", WITH(IDS JTI TIMES TRACE DEPTH ",\"cnf\":null" LIM BND), WB_E_CLAIM_TYPE},
        {"the first in the order of section 5", WITH("\"iss\":1,\"sub\":\"x\""), WB_E_CLAIM_TYPE},
        {"a value before a later missing claim", WITH("\"iss\":\"x\""), WB_E_CLAIM_RANGE},
    };
    check_payloads(*state, cases, WB_COUNT(cases));
}

#define AUD(text) WITH("\"iss\":\"" ID_A "\",\"sub\":\"" ID_A "\",\"aud\":\"" text "\"" JTI TAIL)
#define MID(text)                                                                                  \
    WITH(IDS JTI TIMES TRACE DEPTH LIM ",\"bnd\":{\"mth\":\"SendMessage\",\"mid\":\"" text         \
                                       "\",\"bdg\":\"" HASH "\"}")
#define BETWEEN(claims) WITH(IDS JTI TIMES TRACE DEPTH claims LIM BND)
#define AT_DEPTH(claims) WITH(IDS JTI TIMES TRACE claims LIM BND)
#define LIMITS(members) WITH(IDS JTI TIMES TRACE DEPTH ",\"lim\":{" members "}" BND)

static void claims_have_values_in_range(void **state)
{
    static const text_case cases[] = {
        {"upper case in an id", AUD("https://Example.com"), WB_E_CLAIM_RANGE},
        {"a homoglyph in an id", AUD("https://ex\xd0\xb0mple.com"), WB_E_CLAIM_RANGE},
        {"A in an id", AUD("https://eA"), WB_E_CLAIM_RANGE},
        {"Z in an id", AUD("https://eZ"), WB_E_CLAIM_RANGE},
        {"DEL in an id", AUD("https://e\x7f"), WB_E_CLAIM_RANGE},
        {"the ends of what an id may hold", AUD("https://!@[`az{~"), WB_E_NONE},
        {"another scheme", AUD("http://example.com"), WB_E_CLAIM_RANGE},
        {"no host", AUD("https://"), WB_E_CLAIM_RANGE},
        {"a slash for a host", AUD("https:///x"), WB_E_CLAIM_RANGE},
        {"a fragment", AUD("https://e.com#x"), WB_E_CLAIM_RANGE},
        {"a blank", AUD("https://e.com/a b"), WB_E_CLAIM_RANGE},
        {"a jti of 15 bytes", WITH(IDS ",\"jti\":\"oKGio6SlpqeoqaqrrK2u\"" TAIL), WB_E_CLAIM_RANGE},
        {"a jti with unused bits", WITH(IDS ",\"jti\":\"oKGio6SlpqeoqaqrrK2urx\"" TAIL),
         WB_E_CLAIM_RANGE},
        {"an upper-case tid",
         WITH(IDS JTI TIMES ",\"tid\":\"0AF7651916cd43dd8448eb211c80319c\",\"psid\":1"),
         WB_E_CLAIM_RANGE},
        {"a tid of zeros", WITH(IDS JTI TIMES ",\"tid\":\"00000000000000000000000000000000\""),
         WB_E_CLAIM_RANGE},
        {"tfl 256",
         WITH(IDS JTI TIMES ",\"tid\":\"0af7651916cd43dd8448eb211c80319c\","
                            "\"psid\":\"b7ad6b7169203331\",\"tfl\":256"),
         WB_E_CLAIM_RANGE},
        {"dep above mxd", AT_DEPTH(",\"dep\":5,\"mxd\":4,\"pth\":\"" HASH "\""), WB_E_CLAIM_RANGE},
        {"mxd 8", AT_DEPTH(",\"dep\":0,\"mxd\":8"), WB_E_CLAIM_RANGE},
        {"dep 256 does not wrap", AT_DEPTH(",\"dep\":256,\"mxd\":4"), WB_E_CLAIM_RANGE},
        {"a root with pth", BETWEEN(",\"pth\":\"" HASH "\""), WB_E_CLAIM_RANGE},
        {"pth that is no hash", AT_DEPTH(",\"dep\":1,\"mxd\":4,\"pth\":\"x\""), WB_E_CLAIM_RANGE},
        {"hop 0", BETWEEN(",\"lnk\":{\"tth\":\"" HASH "\",\"hop\":0}"), WB_E_CLAIM_RANGE},
        {"an unknown member of lnk", BETWEEN(",\"lnk\":{\"tth\":\"" HASH "\",\"hop\":1,\"x\":1}"),
         WB_E_CLAIM_RANGE},
        {"an unknown member of cnf", BETWEEN(",\"cnf\":{\"jkt\":\"" HASH "\",\"jwk\":{}}"),
         WB_E_CLAIM_RANGE},
        {"jkt that is no hash", BETWEEN(",\"cnf\":{\"jkt\":\"\"}"), WB_E_CLAIM_RANGE},
        {"17 skills",
         BETWEEN(",\"scp\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\","
                 "\"l\",\"m\",\"n\",\"o\",\"p\",\"q\"]"),
         WB_E_CLAIM_RANGE},
        {"a skill without a name", BETWEEN(",\"scp\":[\"\"]"), WB_E_CLAIM_RANGE},
        {"a skill twice is no set", BETWEEN(",\"scp\":[\"a\",\"a\"]"), WB_E_CLAIM_RANGE},
        {"an unknown member of lim",
         LIMITS("\"cur\":\"USD\",\"cost\":1,\"tok\":1,\"ms\":1,\"usd\":1"), WB_E_LIM_UNKNOWN},
        {"unknown before missing", LIMITS("\"usd\":1"), WB_E_LIM_UNKNOWN},
        {"cur in lower case", LIMITS("\"cur\":\"usd\",\"cost\":1,\"tok\":1,\"ms\":1"),
         WB_E_CLAIM_RANGE},
        {"cur with @", LIMITS("\"cur\":\"@AA\",\"cost\":1,\"tok\":1,\"ms\":1"), WB_E_CLAIM_RANGE},
        {"cur with [", LIMITS("\"cur\":\"AA[\",\"cost\":1,\"tok\":1,\"ms\":1"), WB_E_CLAIM_RANGE},
        {"cur from A to Z", LIMITS("\"cur\":\"AZA\",\"cost\":1,\"tok\":1,\"ms\":1"), WB_E_NONE},
        {"cur of four", LIMITS("\"cur\":\"USDT\",\"cost\":1,\"tok\":1,\"ms\":1"), WB_E_CLAIM_RANGE},
        {"an empty mid", MID(""), WB_E_CLAIM_RANGE},
        {"a newline in mid", MID("a\\nb"), WB_E_CLAIM_RANGE},
        {"ESC in mid", MID("a\\u001bb"), WB_E_CLAIM_RANGE},
        {"DEL in mid", MID("a\x7f"), WB_E_CLAIM_RANGE},
        {"NEL in mid", MID("a\xc2\x85"), WB_E_CLAIM_RANGE},
        {"another method",
         WITH(IDS JTI TIMES TRACE DEPTH LIM
              ",\"bnd\":{\"mth\":\"CancelTask\",\"mid\":\"m\",\"bdg\":\"" HASH "\"}"),
         WB_E_CLAIM_RANGE},
        {"an unknown member of bnd",
         WITH(IDS JTI TIMES TRACE DEPTH LIM ",\"bnd\":{\"mth\":\"SendMessage\",\"mid\":\"m\","
                                            "\"bdg\":\"" HASH "\",\"role\":\"user\"}"),
         WB_E_CLAIM_RANGE},
        {"an empty ctx",
         WITH(IDS JTI TIMES TRACE DEPTH LIM ",\"bnd\":{\"mth\":\"SendMessage\",\"mid\":\"m\","
                                            "\"ctx\":\"\",\"bdg\":\"" HASH "\"}"),
         WB_E_CLAIM_RANGE},
        {"a no-break space in mid is text",
         MID("a\xc2\xa0"
             "b"),
         WB_E_NONE},
        {"quotes and a semicolon in mid are text", MID("';-- \\\""), WB_E_NONE},
        {"unknown claims are ignored", BETWEEN(",\"smp\":1,\"wb\":{\"a\":[null]}"), WB_E_NONE},
        {"times need not fit together yet",
         WITH(IDS JTI ",\"iat\":9,\"exp\":8,\"dln\":7" TRACE DEPTH LIM BND), WB_E_NONE},
    };
    check_payloads(*state, cases, WB_COUNT(cases));
}

static void texts_may_be_as_long_as_their_limit(void **state)
{
    token_fixture *f = *state;
    char x[256];
    memset(x, 'x', sizeof x);
    const text_case cases[] = {
        {"an id of 255", wb_arena_printf(f->arena, AUD("https://%.247s"), x), WB_E_NONE},
        {"a mid of 128", wb_arena_printf(f->arena, MID("%.128s"), x), WB_E_NONE},
        {"a mid of 129", wb_arena_printf(f->arena, MID("%.129s"), x), WB_E_CLAIM_RANGE},
        {"a skill of 64", wb_arena_printf(f->arena, BETWEEN(",\"scp\":[\"%.64s\"]"), x), WB_E_NONE},
        {"a skill of 65", wb_arena_printf(f->arena, BETWEEN(",\"scp\":[\"%.65s\"]"), x),
         WB_E_CLAIM_RANGE},
    };
    check_payloads(f, cases, WB_COUNT(cases));
}

static void faults_of_the_header_come_before_the_payloads(void **state)
{
    token_fixture *f = *state;
    wb_token out = {0};
    wb_slice bad_utf8 = fixture_sign(f, f->a, WB_S("{\"alg\":-1}"), WB_S("{\"x\":\"\xff\"}"));
    assert_code("header JSON before payload JSON", parse(f, bad_utf8, &out), WB_E_NUM);
    wb_slice bad_alg = fixture_sign(f, f->a, WB_S("{\"alg\":\"none\"}"), WB_S("{\"x\":-1}"));
    assert_code("payload JSON before the header's members", parse(f, bad_alg, &out), WB_E_NUM);
    wb_slice bad_both = fixture_sign(f, f->a, WB_S("{\"alg\":\"none\"}"), WB_S("{}"));
    assert_code("the header's members before the claims", parse(f, bad_both, &out), WB_E_ALG);
}

static void all_claims_are_read_as_they_stand(void **state)
{
    token_fixture *f = *state;
    wb_token out = {0};
    wb_slice jws = fixture_sign(
        f, f->a, WB_S(GOOD_HEADER),
        WB_S("{\"ver\":1," IDS JTI TIMES TRACE ",\"dep\":1,\"mxd\":7,\"pth\":\"" HASH "\""
             ",\"lnk\":{\"tth\":\"" HASH "\",\"hop\":12},\"cnf\":{\"jkt\":\"" KID "\"}"
             ",\"scp\":[\"one\",\"t\\u0077o\"],\"lim\":{\"cur\":\"EUR\",\"cost\":0,\"tok\":" BIG
             ",\"ms\":7},\"bnd\":{\"mth\":\"SendStreamingMessage\",\"mid\":\"m\",\"ctx\":\"c\","
             "\"tsk\":\"t\",\"bdg\":\"" HASH "\"}}"));
    assert_code("all claims", parse(f, jws, &out), WB_E_NONE);
    const wb_claims *c = &out.claims;
    assert_string_equal(c->kid, KID);
    assert_true(wb_slice_eq(c->iss, WB_S(ID_A)) && wb_slice_eq(c->aud, WB_S(ID_B)));
    assert_memory_equal(c->jti.b, f->root.jti.b, sizeof c->jti.b);
    assert_true(c->iat == 1767225600 && c->exp == 1767225720 && c->dln == 1767229200);
    assert_int_equal(c->tfl, 3);
    assert_true(c->dep == 1 && c->mxd == 7);
    assert_memory_equal(c->pth, f->root.bdg, sizeof c->pth);
    assert_true(c->has_lnk && c->lnk_hop == 12);
    assert_true(c->has_cnf);
    assert_string_equal(c->cnf_jkt, KID);
    assert_int_equal(c->n_scp, 2);
    assert_true(wb_slice_eq(c->scp[1], WB_S("two")));
    assert_string_equal(c->lim.cur, "EUR");
    assert_true(c->lim.cost == 0 && c->lim.tok == WB_NOLIM && c->lim.ms == 7);
    assert_int_equal(c->mth, WB_METHOD_SEND_STREAMING_MESSAGE);
    assert_true(wb_slice_eq(c->ctx, WB_S("c")) && wb_slice_eq(c->tsk, WB_S("t")));
    assert_true(wb_slice_eq(out.jws, jws));
}

static void every_code_has_a_name_and_a_class(void **state)
{
    (void)state;
    static const char *const classes[] = {"malformed", "stale", "unauthenticated", "replayed",
                                          "refused"};
    for (int code = 1; code < WB_TOKEN_CODES; code++) {
        bool known = false;
        for (size_t i = 0; i < WB_COUNT(classes); i++)
            known = known || strcmp(classes[i], wb_token_code_class((wb_token_code)code)) == 0;
        if (!known) fail_msg("code %d has no class", code);
        assert_memory_equal(wb_token_code_name((wb_token_code)code), "WB_E_", 5);
    }
    assert_string_equal(wb_token_code_name(WB_E_NONE), "");
    assert_string_equal(wb_token_code_class(WB_TOKEN_CODES), "");
    assert_true(wb_token_code_is_soft(WB_E_MISSING));
    assert_false(wb_token_code_is_soft(WB_E_SIG));
    assert_string_equal(wb_token_warning_name(2), "WB_W_TRACEPARENT");
    assert_string_equal(wb_token_warning_name(WB_TOKEN_WARNINGS), "");
}

static void the_worst_link_fits_its_arena(void **state)
{
    token_fixture *f = *state;
    WB_AUTO(wb_arena) arena = wb_arena_new(128 * 1024);
    WB_AUTO_BUFFER text;
    wb_token out = {0};
    wb_token_code code;
    wb_buffer_init(&text, WB_PAYLOAD_MAX_BYTES);
    for (int i = 0; i < 40; i++) { /* as many values as the payload has room for */
        assert_int_equal(wb_buffer_printf(&text, "%s\"%c\":[1", i ? "," : "{", '0' + i), WB_OK);
        for (int k = 1; k < (i ? 29 : 28); k++)
            assert_int_equal(wb_buffer_add(&text, ",1", 2), WB_OK);
        assert_int_equal(wb_buffer_add(&text, "]", 1), WB_OK);
    }
    assert_int_equal(wb_buffer_add(&text, "}", 1), WB_OK);
    assert_in_range(text.len, WB_PAYLOAD_MAX_BYTES - 2, WB_PAYLOAD_MAX_BYTES);
    wb_slice jws = fixture_sign(f, f->a, WB_S(GOOD_HEADER), wb_buffer_slice(&text));
    assert_int_equal(wb_token_parse(jws, arena, &out, &code), WB_OK);
    assert_code("1130 values", code, WB_E_VER);
    assert_true(wb_arena_used(arena) * WB_CHAIN_MAX_LINKS < WB_VERIFY_ARENA_BYTES / 2);
}

static void a_small_arena_is_no_verdict(void **state)
{
    token_fixture *f = *state;
    wb_token out = {0};
    wb_token_code code;
    WB_AUTO(wb_arena) arena = wb_arena_new(1024);
    assert_int_equal(wb_token_parse(f->root_jws, arena, &out, &code), WB_ERR_NO_MEMORY);
    assert_null(out.jws.ptr);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)
    const struct CMUnitTest tests[] = {
        TEST(links_that_are_no_compact_jws_are_refused),
        TEST(sizes_are_checked_at_their_exact_limits),
        TEST(headers_say_exactly_what_they_must),
        TEST(text_that_is_not_strict_json_is_refused),
        TEST(json_sizes_are_checked_at_their_exact_limits),
        TEST(claims_are_there_and_of_their_type),
        TEST(claims_have_values_in_range),
        TEST(texts_may_be_as_long_as_their_limit),
        TEST(faults_of_the_header_come_before_the_payloads),
        TEST(all_claims_are_read_as_they_stand),
        TEST(every_code_has_a_name_and_a_class),
        TEST(the_worst_link_fits_its_arena),
        TEST(a_small_arena_is_no_verdict),
    };
    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
