/* SPDX-License-Identifier: Apache-2.0 */
/* What is a secret in a text, and what is none. All of these were made up. Tokens are written in two parts, so that
 * what looks for tokens in source code does not find these. */
#include "sidecar/pipeline/secrets.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/otlp_sample.h"

#include "core/status.h"

enum { TEXT_MAX = 1024 };

static const struct {
    const char *text, *secret;
} told[] = {
    {"password=hunter2", "hunter2"},
    {"Password: hunter2", "hunter2"},
    {"{\"password\":\"hunter2\"}", "hunter2"},
    {"{\"password\": \"hun ter 2\"}", "hun ter 2"},
    {"{\\\"password\\\":\\\"hunter2\\\",\\\"a\\\":1}", "hunter2"},
    {"{\\\\\\\"password\\\\\\\": \\\\\\\"hunter2\\\\\\\"}", "hunter2"},
    {"{'password': 'hunter2'}", "hunter2"},
    {"--password hunter2 -v", "hunter2"},
    {"--password=hunter2", "hunter2"},
    {"PGPASSWORD=hunter2 psql", "hunter2"},
    {"export DB_PASSWORD=\"s3cr3t!\"", "s3cr3t!"},
    {"api_key: abcdef123456", "abcdef123456"},
    {"X-Api-Key: abcdef123456", "abcdef123456"},
    {"\"x-api-key\":\"abcdef\"", "abcdef"},
    {"apiKey=abc", "abc"},
    {"?api_key=abc123&x=1", "abc123"},
    {"postgres://user:pa55@db:5432/x", "pa55"},
    {"redis://:pa55word@h:6379/0", "pa55word"},
    {"mongodb+srv://u:p%40ss@c.mongodb.net/", "p%40ss"},
    {"amqp://guest:guest1@mq//", "guest1"},
    {"https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/1",
     "0123456789abcdef0123456789abcdef"},
    {"user:pa55@tcp(127.0.0.1:3306)/db", "pa55"},
    {"Server=db;User Id=sa;Password=pa55;Encrypt=true", "pa55"},
    {"Uid=sa;Pwd=pa55;", "pa55"},
    {"AccountName=x;AccountKey=abcd+/==;EndpointSuffix=core", "abcd+/=="},
    {"SharedAccessKey=abc/+=", "abc/+="},
    {"Authorization: Bearer abc.def", "abc.def"},
    {"Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"},
    {"-H 'Authorization: Bearer abc123'", "abc123"},
    {"\"Authorization\":\"Bearer abc123\"", "abc123"},
    {"authorization=Bearer abc123", "abc123"},
    {"Authorization: AWS4-HMAC-SHA256 Credential=X/2, SignedHeaders=host, Signature=fe5f80",
     "fe5f80"},
    {"Cookie: sid=abc; csrftoken=def", "abc"},
    {"Set-Cookie: sid=abc; Path=/; HttpOnly", "abc"},
    {"cookie: a=b; c=d\r\nHost: x", "c=d"},
    {"\"Cookie\":\"sid=abc; x=y\"", "sid=abc"},
    {"JSESSIONID=ABC123; Path", "ABC123"},
    {"PHPSESSID=abcd1234", "abcd1234"},
    {"sessionid=qwerty", "qwerty"},
    {"[(\"authorization\", \"Bearer abc\")]", "abc"},
    {"[(b'authorization', b'Bearer abc')]", "abc"},
    {"[[\"cookie\",\"sid=abc\"]]", "sid=abc"},
    {"{\"name\":\"authorization\",\"value\":\"Bearer abc\"}", "abc"},
    {"{\"name\": \"DB_PASSWORD\", \"value\": \"pa55\"}", "pa55"},
    {"headers[\"Authorization\"] = \"Bearer abc\"", "abc"},
    {"<password>pa55</password>", "pa55"},
    {"my password is hunter2.", "hunter2"},
    {"the API key is abc123def", "abc123def"},
    {"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
     "MIIEpAIBAAKCAQEA"},
    {"\"-----BEGIN PRIVATE KEY-----\\nMIIEvQ\\n-----END PRIVATE KEY-----\\n\"", "MIIEvQ"},
    {"client_secret=abc", "abc"},
    {"clientSecret: \"abc\"", "abc"},
    {"aws_secret_access_key = abc/def+1", "abc/def+1"},
    {"access_token=abcdef", "abcdef"},
    {"\"refresh_token\":\"abcdef\"", "abcdef"},
    {"\"id_token\": \"abcdef\"", "abcdef"},
    {"token=abc123def456", "abc123def456"},
    {"https://hooks.slack.com/services/T000/B000/XXXX", "T000/B000/XXXX"},
    {"https://discord.com/api/webhooks/123/abc_def", "abc_def"},
    {"https://s3/x?X-Amz-Signature=abcdef&a=1", "abcdef"},
    {"https://x.blob.core/?sv=1&sig=abc%2Fdef123%3D&se=1", "abc%2Fdef123%3D"},
    {"OPENAI_API_KEY=abc", "abc"},
    {"spring.datasource.password=pa55", "pa55"},
    {"\"password\": 12345", "12345"},
    {"password => \"pa55\"", "pa55"},
    {"password := \"pa55\"", "pa55"},
    {"//registry.npmjs.org/:_authToken=abcdef", "abcdef"},
    {"\"auth\": \"dXNlcjpwYXNz1234\"", "dXNlcjpwYXNz1234"},
    {"smtp_pass: pa55word", "pa55word"},
    {"{\"set-cookie\": [\"a=b; Path=/\", \"c=d\"]}", "c=d"},
    {"curl -H \"X-Auth-Token: abcdef123\"", "abcdef123"},
    {"secret: abc123", "abc123"},
    {"secret='abc'", "abc"},
    {"db_url = \"mysql://root:toor@localhost/db\"", "toor"},
    {"passphrase=\"open sesame\"", "open sesame"},
    {"Bearer abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz"},
    {"Proxy-Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"},
    {"{\"content\":\"here:\\nsk-ant-api03-AbCdEf0123456789AbCdEf0123\"}",
     "sk-ant-api03-AbCdEf0123456789AbCdEf0123"},
    {"\"caf\\u00e9ghp_AbCdEf0123456789AbCdEf0123456789AbCd\"",
     "ghp_AbCdEf0123456789AbCdEf0123456789AbCd"},
    {"q%3Dghp_AbCdEf0123456789AbCdEf0123456789AbCd", "ghp_AbCdEf0123456789AbCdEf0123456789AbCd"},
    {"\033[1;32mghp_AbCdEf0123456789AbCdEf0123456789AbCd",
     "ghp_AbCdEf0123456789AbCdEf0123456789AbCd"},
    {"{\"password\":\n  \"pa55\"}", "pa55"},
    {"- name: DB_PASSWORD\n  value: pa55word", "pa55word"},
    {"**Password:** pa55", "pa55"},
    {"the password is: pa55", "pa55"},
    {"Authorization:\011Bearer\011abc12345", "abc12345"},
    {"Authorization: SSWS abc12345", "abc12345"},
    {"https://0123456789abcdef0123:x-oauth-basic@github.com/", "0123456789abcdef0123"},
    {"jdbc:postgresql://h/db?user=u&password=pa55&ssl=1", "pa55"},
    {"ftp://u:p@h/", "p@"},
    {"\"connection\":\"amqps://u:pa55w@h\"", "pa55w"},
};

static const char *const tokens[][2] = {
    {"sk-u", "8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8dKLzdocJ2isAj"},
    {"sk-p", "roj-IhKtJ0RlgLKOmxgJTeKdNnFRIBXuDL7DxtpYlSXp"},
    {"sk-a", "nt-api03-fKtHF4vUCsMehGAkWvj7FAc9QeWJKY40uvSwMFLZDe1f8rESQedUStPKR0Cs"},
    {"sk-o", "r-v1-cb0eb53f16947ccf25ec84d8dbc74254770f58904dba41ecccc3fc1626e53a13"},
    {"sk_l", "ive_aKjIg8xNbe3nNyjOq9wMxEhh"},
    {"rk_l", "ive_2FDEEtfjgVvVqE1SkHbn88Hx"},
    {"whse", "c_jSI6bWHtP3fS2qHx6kwXoIIXGvOoNZYW"},
    {"ghp_", "2mZp0zVZomHFwUbbYrEqmSM9wCZ7Uw9xfogo"},
    {"gho_", "EmvnEN5N1aE6PwZPf1Qh6yYTWmE4lBYOvfZ8"},
    {"gith",
     "ub_pat_UzDzV8fUkkibjL5DZPjN0M_EQ7wjJJibaZUPgHV7iB3m03nbqnsGpWLuqIA1id6Vw5DQL05HA064GiIjHG"},
    {"glpa", "t-b3CXlMaXZjljENUhJduR"},
    {"xoxb", "-123456789012-123456789012-HHJEYXg4JdpmrcXgGCJbW56e"},
    {"xoxp", "-12345-12345-CuNGMGmSrCGIZEG8pSH4487q"},
    {"xapp", "-1-A0123-123-6e4d3cea27d26934b484e73cf575dcad6ba2b0aee0ca923732881584d8c4fa28"},
    {"AKIA", "DL1ERBFQFOEQH3AV"},
    {"ASIA", "90RIC7PHKQDLMTT7"},
    {"AIza", "WnsCGRlrwZbqcabUGJmGEp7CgQ0PBQFI14z"},
    {"ya29", ".GtSnovm14TUOizwd1iaeOV4qBkdfQ1y3GQsMpSscDlkrCaqx9vJupc94tnwl"},
    {"GOCS", "PX-avyfErGPmpGXafq0fjzLczbttOof"},
    {"hf_L", "9H2WjQ5TY4MyWuUFjsUNPjc01T5GOBUSZ"},
    {"r8_G", "i6HWGK10Zb0RLZ5TR9SPofbciOx9gy1CJdOb"},
    {"gsk_", "OIRpFqaDZeV7G5IfQHeVVEqZe2qpUWnoVPDF2yeE6RsXcNOPmeMj"},
    {"xai-", "vqPVStNKiaEdFrRgSnRFsTHsDDDXh5Jmtf7EbsDe0G9Cryn687neLfjVHq8xiM0OGr4hTxoF54Fzbka8"},
    {"pplx", "-FRCztUjAwyuh1vauWv1zh87mTa5Vsqxezy3Lex7BWr2drgd1"},
    {"lsv2", "_pt_9478da6bd0c621de49f145fda9988c79_fc35526f7e"},
    {"sk-l", "f-aed46725-a2a7-4b86-a0dc-d6c8a1f8b462"},
    {"tvly", "-r5pyzPCB9t2039bicBTW5ZE9LFaez777"},
    {"nvap", "i-0H2DCpYgojjHRg80USP2W5DfJXcaYioK6cPTt9iOqHOBSWhgetH8LmyqoYMaaItD"},
    {"dapi", "8a7f770d9106fd287db7f1adbc60926f"},
    {"npm_", "mtX0moDoqW4sg8NFNl5oFA6Qd8Mj7zdnbMjA"},
    {"pypi", "-AgEIcHlwaS5vcmcdTdlzC5T4uUhf7kvmlP7HVDctQUy1xvCkgafrfwA94hJ9WnywX0t0ZBfdTEmxI6CmuxV5"
             "EbOApZOXzcy"},
    {"dckr", "_pat_cDeZ6dqmVe5Mvxrv99NcqVTSu7r"},
    {"SG.t", "aUWM6ZO88eb0ogET9D9Xy.Yq6B0Fi7FlaZ7Vt0SXjMpu3uDxYYMfGmzWkpAePcEJI"},
    {"key-", "a5d328263dfe574de739988b886e7577"},
    {"496a", "2c8773e130f7eb19731662b5e803-us12"},
    {"SKb6", "1ba4168160adb59261ff2d3c425c8d"},
    {"shpa", "t_99d19bdd0b6cc60d5d32cbe54014c2b5"},
    {"sq0a", "tp-jwskHk7egyFWZY9Zmti18c"},
    {"dop_", "v1_fa1c257c6f561c5cb347611a3ce9d97dcbee500fe7ee5fc324bdb2e1142a21c4"},
    {"hvs.",
     "b2eNUS0hmi4Fs9Z6YkRYU7oe1wNWqku5Nr50DjqG96EnLqNGpuxcmlzkO7rRu5ykYYqhXHdO2x93CJHLS45gqIO2zV"},
    {"dp.p", "t.ZxqyxKjxvWfColNV9ds0HqtO93L7Q5uUaVcojsNOBAG"},
    {"AGE-", "SECRET-KEY-1XDI5OCBDAWTG7W8O0TINX4KIAPJ2GEJRZQAD9W275PKACD8BZLPKDGA9MJ"},
    {"lin_", "api_AmHMPGPPA0NlGtetOd4UYETIay2BV6DfVPClogqo"},
    {"secr", "et_Pchv5V7S82qTdrOJRBRY6HqsP795nf4Gakq5p1Vm8kV"},
    {"ntn_", "6um4yvMpy62O6SQ1IEE1HSa2bB9UoK4tYnzNLeK6kjcbhg"},
    {"figd", "_N7kwjSbbciSPOcSeVce2LWxm090I5Qe43W6T8ygp"},
    {"PMAK", "-6631129f34369aad80b891ba-f90d0d3bf16295d06910bf3f5fb85967f5"},
    {"sntr", "ys_h8OXfFYSJYgOuwgz7z54VfB4PbxntqB5IGky4Oo8DiIMWSWMPcwLuHj31CQJ"},
    {"glsa", "_VukDCSXqLoivDP4SpGmrtWT01NjUjpUu_b57a6835"},
    {"NRAK", "-VDGMEEZJXJNIGDUDIGMOBAMZNWH"},
    {"dt0c", "01.GOsDbjqMVzaVp62BSKLVPA2o."
             "QUP44XPSL2oRlPhDBuqOSg5ApYzTTOkq2BEDbN2AHRQ73l5PuXay1F6gcqInkTY8"},
    {"eyJh",
     "bGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.8mHwg2KDInTEGbOY1xHvAV8DnRlzGW7hUNwOdqryzda"},
    {"1234", "56789:AAeA6AOSRwLqgotVz89HoZ9zDnki7XeZZOm"},
    {"1234", "56789:BxeA6AOSRwLqgotVz89HoZ9zDnki7XeZZOm"},
    {"MTk4", "NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.EPJUo09jwQO10Y0ADsWJPiX1EwY"},
    {"wJal", "rXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
    {"LTAI", "2orTyRqBRlEaZUZrwpPt"},
    {"sb_s", "ecret_uEFBNOfQ5xj7t2ydf0K5uY"},
    {"phx_", "8iH1wOLaQan8ePsqMgLj2olXCwYjn5zYIkN5SMYfQ55"},
    {"ATAT", "T3xFfGF0JYO1tmFSnHfV1CQ4hJhqAo0iEFJdED5jSFpFkIM3Vak1uDSKFQs1DxBA9Rel"},
};

/* Where tokens stand. */
static const char *const around[] = {
    "%s",       "key: %s",         "Use %s please.", "\"%s\"",
    "a=%s&b=1", "token:%s;",       "Bearer %s",      "(%s)",
    "x\n%s\ny", "https://h/?k=%s", "a\\n%s",         "caf\\u00e9%s",
    "k%3D%s",   "k%253D%s",        "k\\x3d%s",       "\033[1;32m%s\033[0m",
    "a\\\\n%s", "[\\\"%s\\\"]",
};

static const char *const plain[] = {
    "{\"content\":\"Set password=\"}",
    "{\"c\":\"curl -d password=\",\"role\":\"user\"}",
    "about -----BEGIN PRIVATE KEY----- and more",
    "{\"t\":\"-----BEGIN PRIVATE KEY-----\",\"role\":\"user\"}",
    "PASS: test_login",
    "pass: true",
    "api_key = os.environ[\"X\"]",
    "password = getpass()",
    "token: CancellationToken",
    "password: req.body.password",
    "Secrets: [db, api]",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:name-AbCdEf",
    "has_api_key=yes1",
    "if password === y",
    "The authorization server issues an access token.",
    "We count tokens: max_tokens=4096, \"max_tokens\": 4096, input_tokens: 200",
    "time_to_first_token: 0.42",
    "{\"token\": \" the\", \"logprob\": -0.1}",
    "\"required\":[\"password\",\"email\"]",
    "{\"password\":{\"type\":\"string\"}}",
    "password: string",
    "Please enter your password: ",
    "The secret is out",
    "the password is wrong",
    "next_token=abc",
    "\"gen_ai.token.type\":\"input\"",
    "session.id=abcdef",
    "session_id=abc123",
    "\"session_id\":\"abc-123\"",
    "key=value",
    "primary_key=id",
    "keyboard: us",
    "foreign key: users.id",
    "\"key\":\"abc123def456\"",
    "monkey=1",
    "https://example.com/a:b@c",
    "https://user@example.com/",
    "git@github.com:x/y.git",
    "Basic training was hard",
    "bearer of bad news",
    "cookie: chocolate chip",
    "Cookies are tasty",
    "author: John",
    "gpt-4o-mini-2024-07-18",
    "claude-3-5-sonnet-20241022",
    "chatcmpl-9J3uZL5xyzABC123",
    "550e8400-e29b-41d4-a716-446655440000",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "call_abcdefghijklmnopqrstuvwx",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "resp_0123456789abcdef0123456789abcdef0123456789abcdef",
    "toolu_01A09q90qw90lq917835lq9",
    "msg_01XFDUDYJgAACzvnptvVoYEL",
    "passed: 12, failed: 0",
    "tests pass: yes",
    "compass=north",
    "design: modern",
    "significant=true",
    "signal: SIGTERM",
    "processes=12",
    "assessment: good",
    "asset=1",
    "class=\"password-field\"",
    "password=${DB_PASSWORD}",
    "api_key=<your-key>",
    "password: ***",
    "token_count=12",
    "\"completion_tokens\": 17",
    "secretary: Ann",
    "credential provider chain",
    "application/x-protobuf",
    "Authorization: required",
    "auth=none",
    "\"auth\":\"oauth2\"",
    "https://api.openai.com/v1/chat/completions",
    "sk-learn",
    "task-1",
    "risk-averse-people-are-many-2",
    "desk-organizer-with-drawers-2024-edition",
    "https://www.example.com/some/long/path-with-dashes/and/UPPER/lower123",
    "application/vnd.openxmlformats-officedocument.wordprocessingml",
    "/usr/lib/python3.11/site-packages/opentelemetry/sdk",
    "key: tested",
    "The key is under the mat",
    "api key rotation",
    "import secrets",
    "passwordless login",
    "otp: generate",
};

static size_t masked(const char *text, char out[TEXT_MAX])
{
    size_t found, len = strlen(text);
    assert_true(len < TEXT_MAX);
    size_t now = wb_secrets_mask(wb_slice_str(text), (uint8_t *)out, &found);
    assert_true(now <= len);
    out[now] = '\0';
    return found;
}

/* The bytes of an AnyValue with that text, and what may come behind it. */
static bool is_found_in_bytes(const char *text, const char *behind)
{
    uint8_t bytes[TEXT_MAX + 128] = {0x0A}, *at = bytes + 1;
    size_t len = strlen(text), place;
    static wb_secret_search search;
    if (len >= 0x80) *at++ = (uint8_t)(len | 0x80);
    *at++ = (uint8_t)(len >= 0x80 ? len >> 7 : len);
    memcpy(at, text, len);
    memcpy(at + len, behind, strlen(behind));
    wb_secret_search_begin(&search, (wb_slice){bytes, (size_t)(at - bytes) + len + strlen(behind)});
    return wb_secret_search_next(&search, &place);
}

static void goes(const char *text, const char *secret)
{
    static const char *const behind[] = {
        "",
        "J\x10\x0a\x01",
        "\x22\x05",
        "ab",
        " \x01",
        "J\x2c\x0a\x0eserver.address\x12\x1a\x0a\x18planner.agents.internal.J\x11\x0a\x0b",
    };
    char once[TEXT_MAX], twice[TEXT_MAX];
    if (masked(text, once) == 0 || strstr(once, secret)) fail_msg("%s: %s", text, once);
    (void)masked(once, twice);
    if (strcmp(once, twice) != 0) fail_msg("%s: %s, and again: %s", text, once, twice);
    for (size_t i = 0; i < WB_COUNT(behind); i++)
        if (!is_found_in_bytes(text, behind[i]))
            fail_msg("%s, in bytes before %s", text, behind[i]);
}

static void what_a_name_is_given_goes(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(told); i++) goes(told[i].text, told[i].secret);
}

static void a_token_goes_wherever_it_stands(void **state)
{
    char token[TEXT_MAX / 2], text[TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < WB_COUNT(tokens); i++) {
        (void)snprintf(token, sizeof token, "%s%s", tokens[i][0], tokens[i][1]);
        for (size_t k = 0; k < WB_COUNT(around); k++) {
            const char *hole = strstr(around[k], "%s");
            (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(hole - around[k]), around[k], token,
                           hole + 2);
            goes(text, token);
            goes(text, token + strlen(token) - 8);
        }
    }
}

static void other_words_stay(void **state)
{
    char out[TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < WB_COUNT(plain); i++)
        if (masked(plain[i], out) != 0) fail_msg("%s: %s", plain[i], out);
}

static void json_stays_json(void **state)
{
    char out[TEXT_MAX];
    (void)state;
    assert_int_equal(masked("{\"password\": 12345, \"pwd\": 7}", out), 2);
    assert_string_equal(out, "{\"password\": null, \"pwd\": 0}");
    assert_int_equal(masked("{\"api_key\": \"abcdefghijk\", \"b\": 1}", out), 1);
    assert_string_equal(out, "{\"api_key\": \"[redacted]\", \"b\": 1}");
    assert_int_equal(masked("\"{\\\"pwd\\\":\\\"a\\\"}\"", out), 1);
    assert_string_equal(out, "\"{\\\"pwd\\\":\\\"*\\\"}\"");
}

/* In a message the tags, lengths and times around a text may look like letters of it. */
static void what_stands_around_a_text_hides_no_token(void **state)
{
    static const char key[] = "wJalrXUtnFEMIK7MDENG"
                              "bPxRfiCYEXAMPLEKEY12";
    static const char twin[] = "0123456789abcdef"
                               "0123456789abcdef-us21";
    static const char *const behind[] = {
        "J=\x0a\x12gen_ai.response.id\x12\x27\x0a%chatcmpl-9J3uZL5fLrmQb8YhXabcdefghijklm",
        "9abcdefg\x18"
        "Aabcdefg\x18",
        "Yabcd\x01\x02\x03\x18J\x10",
        "Z=\x09\x01",
        "0\x01"
        "9",
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(behind); i++) {
        assert_true(is_found_in_bytes(key, behind[i]));
        assert_true(is_found_in_bytes(twin, behind[i]));
    }
    for (size_t len = sizeof key - 1; len < 400;
         len++) { /* of which each is a byte before the text */
        char text[512] = {0};
        memset(text, ' ', len);
        memcpy(text, key, sizeof key - 1);
        if (!is_found_in_bytes(text, "J\x10")) fail_msg("%zu bytes, beginning with it", len);
        memset(text, ' ', len);
        memcpy(text + len - (sizeof key - 1), key, sizeof key - 1);
        if (!is_found_in_bytes(text, "J=")) fail_msg("%zu bytes, ending with it", len);
    }
}

/* ---- spots ---- */

static bool is_word_byte(uint8_t c) { return isalnum(c) || c == '-' || c == '_'; }

static bool is_run(wb_slice text, size_t at)
{
    if (at > 0 && is_word_byte(text.ptr[at - 1])) return false;
    if (text.len - at < WB_SPOT_RUN || !is_word_byte(text.ptr[at])) return false;
    for (size_t i = at; i < at + WB_SPOT_RUN; i++)
        if (!is_word_byte(text.ptr[i]) && text.ptr[i] != '+' && text.ptr[i] != '/') return false;
    return true;
}

static bool is_three(wb_slice text, size_t at)
{
    static const char *const needles[] = {"pas", "tcp", "cre", "rer", "oke", "ook", "key",
                                          "uth", "://", "---", "pwd", "sig", "sic", "ses"};
    if (text.len - at < 3) return false;
    for (size_t i = 0; i < WB_COUNT(needles); i++) {
        bool same = true;
        for (size_t k = 0; k < 3; k++) same &= (text.ptr[at + k] | 0x20) == (needles[i][k] | 0x20);
        bool goes_on = text.len - at > 4 && isalpha(text.ptr[at + 4]);
        if (same) return strcmp(needles[i], "oke") != 0 || !goes_on;
    }
    return false;
}

static void assert_spots(wb_slice text, wb_spots_way way)
{
    enum { SPOTS = 1024 };
    static wb_spot spots[SPOTS];
    size_t n = 0, from = 0, next = 0;
    while (from < text.len)
        n += wb_spots_find_by(way, text, &from, spots + n, n + 256 > SPOTS ? SPOTS - n : 256);
    for (size_t at = 0; at < text.len; at++) {
        if (is_run(text, at)) {
            assert_true(next < n && spots[next].at == at && spots[next].is_run);
            next++;
        }
        if (is_three(text, at)) {
            assert_true(next < n && spots[next].at == at && !spots[next].is_run);
            next++;
        }
    }
    assert_int_equal(next, n);
}

static void spots_are_words_and_threes(void **state)
{
    static const char *const parts[] = {"pas",
                                        "TCP",
                                        "crE",
                                        "rer",
                                        "oke",
                                        "token",
                                        "tokens",
                                        "cookie",
                                        "key",
                                        "uth",
                                        "://",
                                        "---",
                                        "pwd",
                                        "sig",
                                        "basic",
                                        "ses",
                                        "x",
                                        "-",
                                        "_",
                                        "+",
                                        "/",
                                        " ",
                                        ".",
                                        "\n",
                                        "\xc3\xa9",
                                        "\xf0\xef\xeb",
                                        "\x0d\x0d\x0d",
                                        "0123456789",
                                        "abcdefghijklmnop",
                                        "@`[{"};
    enum { BYTES = 400 };
    (void)state;
    for (uint64_t seed = 1, round = 0; round < 20000; round++) {
        char text[BYTES + 32];
        size_t len = 0, want = wb_sample_next(&seed) % BYTES;
        while (len < want) {
            const char *part = parts[wb_sample_next(&seed) % WB_COUNT(parts)];
            memcpy(text + len, part, strlen(part));
            len += strlen(part);
        }
        for (wb_spots_way way = WB_SPOTS_BY_BYTE; way <= WB_SPOTS_BY_64; way++)
            assert_spots((wb_slice){(const uint8_t *)text, len}, way);
    }
}

/* Of words, where blocks and groups of blocks end. */
static void a_long_word_starts_once(void **state)
{
    enum { BYTES = 6000, WORD_MAX = 4500, SPOTS = 256 };
    static char text[BYTES];
    (void)state;
    for (size_t at = 0; at < 300; at += 7)
        for (size_t len = WB_SPOT_RUN; len < WORD_MAX; len += 111) {
            wb_spot spots[SPOTS];
            size_t from = 0, n = 0;
            memset(text, ' ', sizeof text);
            memset(text + at, 'x', len);
            while (from < BYTES) {
                n += wb_spots_find((wb_slice){(const uint8_t *)text, BYTES}, &from, spots + n,
                                   SPOTS - n);
                assert_true(n <= 1);
            }
            assert_int_equal(n, 1);
            assert_int_equal(spots[0].at, at);
            assert_true(spots[0].is_run);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spots_are_words_and_threes),
        cmocka_unit_test(a_long_word_starts_once),
        cmocka_unit_test(what_stands_around_a_text_hides_no_token),
        cmocka_unit_test(what_a_name_is_given_goes),
        cmocka_unit_test(a_token_goes_wherever_it_stands),
        cmocka_unit_test(other_words_stay),
        cmocka_unit_test(json_stays_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
