/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    wb_arena *arena;
    wb_error err;
    wb_sidecar_config config;
    char path[32];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!f || !(f->arena = wb_arena_new(8 << 20))) return -1;
    (void)snprintf(f->path, sizeof f->path, "/tmp/wb-sidecar-XXXXXX");
    int fd = mkstemp(f->path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    fixture *f = *state;
    (void)unlink(f->path);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static wb_status load(fixture *f, const char *yaml)
{
    FILE *file = fopen(f->path, "w");
    if (!file || fputs(yaml, file) < 0 || fclose(file) != 0) return WB_ERR_UNAVAILABLE;
    return wb_sidecar_config_load(f->path, "Planner", NULL, f->arena, &f->config, &f->err);
}

static void what_two_keys_or_a_grammar_forbid_is_refused(void **state)
{
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {"self_ids: [planner]", "self_ids: \"planner\" is no agent id"},
        {"self_ids: [\"HTTPS://a/b\"]", "self_ids: "},
        {"self_ids: []\npeers: [{id: x, origins: [\"http://a:1\"]}]",
         "peers: \"x\" is no agent id"},
        {"trust: {policies: {bob: {}}}", "trust.policies: \"bob\" is no agent id"},
        {"trust: {policies: {\"spiffe://a/b\": {verdict: maybe}}}", "verdict: one of"},
        {"exporters: {second: {}}", "path: this key is needed"},
        {"exporters: {sqlite: {path: /tmp/x}}", "is the default store"},
        {"exporters: {\"../x\": {path: /tmp/x}}", "a name is made of"},
        {"exporters: {.x: {path: /tmp/x}}", "a name is made of"},
        {"exporters: {x: {path: /tmp/x, when_full: stop}}", "when_full: one of"},
        {"exporters: {x: {path: /tmp/x, redact: {drop: [\"*\"]}}}",
         "exporters.x.redact.drop: \"*\" is no pattern"},
        {"exporters: {x: {path: /tmp/x, redact: {hash: [\"\"]}}}", "exporters.x.redact.hash: \"\""},
        {"exporters: {x: {path: /tmp/x, redact: {cut: [\"*\"]}}}", "exporters.x.redact.cut: "},
        {"exporters: {x: {path: /tmp/x, redact: {content: whole}}}", "content: one of"},
        {"exporters: {x: {path: /tmp/x, redact: {preview_characters: 7}}}",
         "exporters.x.redact.preview_characters: less than 8"},
        {"store: {redact: {drop: [\"*\"]}}", "store.redact.drop: \"*\" is no pattern"},
        {"trust: {skew_s: 301}", "trust.skew_s: 301 is not within 0 to 300"},
        {"peers: [{id: spiffe://a/b}]", "origins: this key is needed"},
        {"peers: [{id: spiffe://a/b, origins: []}]", "origins: 0 items"},
        {"peers: [{id: spiffe://a/b, origins: [\"http://a:1/\"]}]", "is no origin"},
        {"peers: [{id: spiffe://a/b, origins: [\"http://A:1\"]}]", "is no origin"},
        {"peers: [{id: spiffe://a/b, origins: [\"http://a:80\"]}]", "is no origin"},
        {"peers: [{id: spiffe://a/b, origins: [\"ftp://a\"]}]", "is no origin"},
        {"peers: [{id: spiffe://a/b, origins: [\"http://a\"]}, {id: spiffe://a/c, origins: "
         "[\"http://a\"]}]",
         "belongs to two peers"},
        {"journal: {segment_bytes: 1MiB, limit_bytes: 3MiB}", "less than four segments"},
        {"journal: {segment_bytes: 65537}", "journal.segment_bytes: not a multiple of 4096"},
        {"admin: {listen: localhost}", "admin.listen: \"localhost\" is no address:port"},
        {"admin: {listen: \"localhost:1\"}", "is no address:port"},
        {"admin: {listen: \"127.0.0.1:65536\"}", "is no address:port"},
        {"admin: {listen: \"127.0.0.1:\"}", "is no address:port"},
        {"admin: {listen: \"::1:80\"}", "is no address:port"},
        {"admin: {listen: \":80\"}", "is no address:port"},
        {"ipc: {allow_uids: [alice]}", "ipc.allow_uids: \"alice\" is no user number"},
        {"ipc: {allow_uids: [4294967295], group: root}", "is no user number"},
        {"ipc: {allow_uids: [99999999999], group: root}", "is no user number"},
        {"ipc: {allow_uids: [\"-1\"], group: root}", "is no user number"},
        {"ipc: {allow_uids: [4294967293]}", "set ipc.group"},
        {"sandbox: sometimes", "sandbox: one of"},
        {"sandbox_writable: [mnt]", "sandbox_writable: \"mnt\" is no absolute path"},
        {"context: {baggage: {accept: []}}", "context.baggage.accept: write `none`"},
        {"context: {baggage: {accept: [peers]}}", "accept: \"peers\" is no key of baggage"},
        {"context: {baggage: {send: [joined]}}", "send: \"joined\" is no key of baggage"},
        {"context: {baggage: {send: [tier, all]}}", "send: \"all\" is no key of baggage"},
        {"context: {baggage: {send: [\"a b\"]}}", "send: \"a b\" is no key of baggage"},
        {"limits: {currency: usd}", "limits.currency: three capital letters"},
        {"token: {max_depth: 8}", "8 is not within 0 to 7"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_status status = load(f, cases[i].yaml);
        if (status != WB_ERR_CONFIG || !strstr(f->err.detail, cases[i].says))
            fail_msg("%s gave %s: %s", cases[i].yaml, wb_status_name(status), f->err.detail);
    }
    assert_int_equal(
        wb_sidecar_config_load("/nonexistent", "n", NULL, f->arena, &f->config, &f->err),
        WB_ERR_NOT_FOUND);
}

static void no_configuration_is_a_whole_configuration(void **state)
{
    fixture *f = *state;
    assert_int_equal(wb_sidecar_config_load(NULL, "Planner", NULL, f->arena, &f->config, &f->err),
                     WB_OK);
    const wb_sidecar_config *c = &f->config;
    assert_int_equal(c->n_self_ids, 1);
    assert_true(wb_slice_starts(c->self_ids[0], WB_S("spiffe://waybill.local/")));
    const char *id = (const char *)c->self_ids[0].ptr;
    assert_string_equal(strrchr(id, '/'), "/planner"); /* lower case, as an id must be */
    assert_int_equal(c->trust_mode, WB_MODE_LINK);
    assert_int_equal(c->policies.mode, WB_MODE_LINK);
    assert_true(wb_slice_eq(c->policies.self_id, c->self_ids[0]));
    assert_true(c->admin.defaulted);
    assert_int_equal(c->admin.port, 7412);
    assert_true(c->accept_baggage.known.all && c->send_baggage.known.all);
    assert_false(c->accept_baggage.others.all || c->send_baggage.others.all);
    assert_int_equal(c->accept_baggage.others.n_keys + c->send_baggage.others.n_keys, 0);
    assert_null(c->state_dir);
    assert_int_equal(c->journal_segment_bytes, 64 << 20);
}

static void a_file_reaches_policies_and_peers(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        load(f, "self_ids: [spiffe://t/a, spiffe://t/b]\n"
                "trust: {mode: observe, callbacks: true, policies: {\"https://x.example/y\": "
                "{verdict: reject, chain: leaf, mode: enforce, require: true, carry: true}}}\n"
                "peers: [{id: \"https://x.example/y\", origins: [\"https://x.example\"]}]\n"
                "context: {baggage: {accept: [tier, user.id], send: [all]}}\n"
                "admin: {listen: \"[::1]:0\"}\n"),
        WB_OK);
    const wb_sidecar_config *c = &f->config;
    assert_int_equal(c->policies.n, 1);
    assert_int_equal(c->policies.mode, WB_MODE_OBSERVE);
    assert_true(c->policies.callbacks);
    wb_trust_policy p = c->policies.entries[0];
    assert_int_equal(p.verdict, WB_POLICY_REJECT);
    assert_int_equal(p.chain, WB_CHAIN_LEAF);
    assert_int_equal(p.mode, WB_MODE_ENFORCE);
    assert_true(p.require && p.carry);
    assert_true(
        wb_slice_eq(wb_peer_of_origin(c->peers, c->n_peers, WB_S("https://x.example")), p.id));
    assert_false(c->accept_baggage.known.all);
    assert_int_equal(c->accept_baggage.known.n_keys, 2);
    assert_int_equal(c->accept_baggage.others.n_keys, 2);
    assert_true(c->send_baggage.known.all && c->send_baggage.others.all);
    assert_string_equal(c->admin.host, "::1");
    assert_false(c->admin.defaulted);
}

static void allowed_users_are_numbers(void **state)
{
    fixture *f = *state;
    char yaml[96];
    (void)snprintf(yaml, sizeof yaml, "ipc: {allow_uids: [0, 1001, 4294967294], group: agents}\n");
    assert_int_equal(load(f, yaml), WB_OK);
    assert_int_equal(f->config.n_ipc_allow_uids, 3);
    assert_int_equal(f->config.allow_uids[0], 0);
    assert_int_equal(f->config.allow_uids[1], 1001);
    assert_int_equal(f->config.allow_uids[2], 4294967294u);
    assert_string_equal(f->config.ipc_group, "agents");
    (void)snprintf(yaml, sizeof yaml, "ipc: {allow_uids: [%u, 0]}\n", (unsigned)geteuid());
    assert_int_equal(load(f, yaml), WB_OK); /* who needs no group to reach the socket */
}

static void every_key_has_a_variable_of_its_own(void **state)
{
    (void)state;
    const wb_config_table *t = &wb_sidecar_config_table;
    for (size_t i = 0; i < t->n; i++) {
        for (size_t k = 0; k < i; k++) {
            char a[WB_CONFIG_ENV_MAX], b[WB_CONFIG_ENV_MAX];
            wb_config_env_name(t->keys[i].name, a);
            wb_config_env_name(t->keys[k].name, b);
            assert_string_not_equal(a, b);
        }
    }
}

/* docs/configuration.md ends with what waybilld --print-config-reference prints. */
static void the_reference_page_is_the_table(void **state)
{
    (void)state;
    static char page[256 * 1024];
    FILE *file = fopen(WAYBILL_SOURCE_DIR "/docs/configuration.md", "r");
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    (void)fclose(file);
    WB_AUTO_BUFFER table;
    wb_buffer_init(&table, sizeof page);
    assert_int_equal(wb_config_reference(&wb_sidecar_config_table, &table), WB_OK);
    const char *printed = strstr(page, "| key |");
    assert_non_null(printed);
    if (strlen(printed) != table.len || memcmp(printed, table.ptr, table.len) != 0)
        fail_msg("docs/configuration.md is old; its table must be:\n%.*s",
                 WB_SLICE_ARG(wb_buffer_slice(&table)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_two_keys_or_a_grammar_forbid_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_configuration_is_a_whole_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_reaches_policies_and_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(allowed_users_are_numbers, setup, teardown),
        cmocka_unit_test(every_key_has_a_variable_of_its_own),
        cmocka_unit_test(the_reference_page_is_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
