/* SPDX-License-Identifier: Apache-2.0 */
/* `trust policy`: the running sidecar says what is configured (over its socket, not to everybody on the
 * machine), and what follows from it for one agent is worked out here, by the same function. */
#include "cli/trust.h"

#include "cli/input.h"
#include "cli/output.h"
#include "cli/probe.h"
#include "propagation/token.h"
#include "propagation/trust.h"

#include <stdlib.h>
#include <unistd.h>

enum { ARENA_BYTES = 16 * 1024 * 1024, TIMEOUT_MS = 5000 };

typedef struct policy_line {
    const char *id;
} policy_line;

static unsigned choice_of(const wb_json *object, const char *name,
                          const char *(*name_of)(unsigned value), unsigned n)
{
    wb_slice word = wb_report_text(object, name);
    for (unsigned i = 0; i < n; i++)
        if (wb_slice_eq(word, wb_slice_str(name_of(i)))) return i;
    return 0;
}

static const char *verdict_name(unsigned value)
{
    return wb_policy_verdict_name((wb_policy_verdict)value);
}
static const char *chain_name(unsigned value)
{
    return wb_policy_chain_name((wb_policy_chain)value);
}
static const char *mode_name(unsigned value) { return wb_trust_mode_name((wb_trust_mode)value); }

static wb_status read_policies(const wb_json *report, wb_arena *arena, wb_policies *out)
{
    const wb_json *told = wb_report_object(report, "policies");
    const wb_json *list = wb_report_object(told, "entries");
    wb_trust_policy *entries = wb_arena_array(arena, list ? list->n + 1 : 1, sizeof *entries);
    if (!entries) return WB_ERR_NO_MEMORY;
    *out = (wb_policies){.self_id = wb_report_text(told, "self_id"),
                         .mode = (wb_trust_mode)choice_of(told, "mode", mode_name, 4),
                         .entries = entries};
    for (const wb_json *e = list ? list->first : NULL; e; e = e->next)
        entries[out->n++] = (wb_trust_policy){
            .id = wb_report_text(e, "id"),
            .verdict = (wb_policy_verdict)choice_of(e, "verdict", verdict_name, 4),
            .chain = (wb_policy_chain)choice_of(e, "chain", chain_name, 3),
            .mode = (wb_trust_mode)choice_of(e, "mode", mode_name, 4),
            .require = wb_report_bool(e, "require"),
            .carry = wb_report_bool(e, "carry")};
    return WB_OK;
}

static wb_status ask(const wb_cli *cli, wb_arena *arena, wb_policies *out, wb_error *err)
{
    wb_slice text;
    WB_TRY(wb_report_ask(cli->paths.socket, TIMEOUT_MS, arena, &text, err));
    const wb_json *report = wb_report_parse(text, arena);
    if (!wb_report_object(report, "policies"))
        return wb_fail(err, WB_ERR_MALFORMED, "the sidecar does not tell its policies");
    wb_status status = read_policies(report, arena, out);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory");
}

static int compare(const void *a, const void *b)
{
    const wb_slice *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int by_bytes = len ? memcmp(x->ptr, y->ptr, len) : 0;
    return by_bytes != 0 ? by_bytes : (x->len > y->len) - (x->len < y->len);
}

/* Whom there is something to say about: those with an entry, those with a key. */
static wb_status list_ids(const wb_policies *policies, const wb_trust *trust, wb_arena *arena,
                          wb_slice **out, size_t *n)
{
    size_t issuers = 0, unique = 0, all = 0;
    while (trust && wb_trust_at(trust, issuers)) issuers++;
    wb_slice *ids = wb_arena_array(arena, policies->n + issuers + 1, sizeof *ids);
    if (!ids) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < policies->n; i++) ids[all++] = policies->entries[i].id;
    for (size_t i = 0; i < issuers; i++) ids[all++] = wb_trust_at(trust, i)->id;
    qsort(ids, all, sizeof *ids, compare);
    for (size_t i = 0; i < all; i++)
        if (i == 0 || !wb_slice_eq(ids[i], ids[unique - 1])) ids[unique++] = ids[i];
    *out = ids;
    *n = unique;
    return WB_OK;
}

static void add_cell(wb_table *table, const char *value, wb_policy_source from)
{
    wb_table_addf(table, from == WB_FROM_ENTRY ? WB_COLOR_BOLD : WB_COLOR_NONE, "%s (%s)", value,
                  wb_policy_source_name(from));
}

static void print_table(const wb_cli *cli, const wb_policies *policies, const wb_slice *ids,
                        size_t n)
{
    static const char *const titles[] = {"AGENT", "VERDICT", "CHAIN", "MODE", "REQUIRE", "CARRY"};
    wb_table table;
    wb_table_init(&table, WB_COUNT(titles));
    for (size_t i = 0; i < WB_COUNT(titles); i++)
        wb_table_add(&table, WB_COLOR_BOLD, wb_slice_str(titles[i]));
    for (size_t i = 0; i < n; i++) {
        wb_policy_sources from;
        wb_trust_policy p = wb_policy_explain(policies, ids[i], &from);
        wb_table_add(&table, WB_COLOR_NONE, ids[i]);
        add_cell(&table, wb_policy_verdict_name(p.verdict), from.verdict);
        add_cell(&table, wb_policy_chain_name(p.chain), from.chain);
        add_cell(&table, wb_trust_mode_name(p.mode), from.mode);
        add_cell(&table, p.require ? "yes" : "no", from.require);
        add_cell(&table, p.carry ? "yes" : "no", from.carry);
    }
    wb_table_print(&table, cli, stdout);
    wb_table_done(&table);
}

static void json_field(wb_json_out *out, const char *key, const char *value, wb_policy_source from)
{
    wb_json_open(out, key, '{');
    wb_json_text(out, "value", wb_slice_str(value));
    wb_json_text(out, "from", wb_slice_str(wb_policy_source_name(from)));
    wb_json_close(out, '}');
}

static wb_exit print_json(const wb_policies *policies, const wb_slice *ids, size_t n)
{
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '[');
    for (size_t i = 0; i < n; i++) {
        wb_policy_sources from;
        wb_trust_policy p = wb_policy_explain(policies, ids[i], &from);
        wb_json_open(&out, NULL, '{');
        wb_json_text(&out, "agent_id", ids[i]);
        json_field(&out, "verdict", wb_policy_verdict_name(p.verdict), from.verdict);
        json_field(&out, "chain", wb_policy_chain_name(p.chain), from.chain);
        json_field(&out, "mode", wb_trust_mode_name(p.mode), from.mode);
        json_field(&out, "require", p.require ? "true" : "false", from.require);
        json_field(&out, "carry", p.carry ? "true" : "false", from.carry);
        wb_json_close(&out, '}');
    }
    wb_json_close(&out, ']');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

wb_exit wb_cli_trust_policy(const wb_cli *cli, const void *given)
{
    const char *id = ((const policy_line *)given)->id;
    wb_error err = {0};
    wb_policies policies;
    wb_slice *ids = NULL, one;
    size_t n = 1;
    WB_AUTO(wb_trust) trust = NULL;
    wb_exit code = wb_input_agent_id(cli, id);
    if (code == WB_EXIT_OK) code = wb_input_ready();
    if (code != WB_EXIT_OK) return code;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) return wb_cli_fail(WB_EXIT_FAILURE, "policy", "no memory", NULL);
    wb_status status = ask(cli, arena, &policies, &err);
    if (status == WB_ERR_UNAVAILABLE)
        return wb_cli_fail(
            WB_EXIT_FAILURE, "policy", err.detail,
            access(cli->paths.socket, F_OK) == 0
                ? "if a sidecar runs: be its user, or one of its ipc.allow_uids"
                : "start the sidecar; waybilld --check says what would be configured");
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "policy", err.detail, NULL);
    if (id) {
        one = wb_slice_str(id);
        ids = &one;
    } else {
        (void)!wb_trust_load(cli->paths.trust_dir, NULL, &trust, NULL); /* else entries alone */
        if (list_ids(&policies, trust, arena, &ids, &n) != WB_OK)
            return wb_cli_fail(WB_EXIT_FAILURE, "policy", "no memory", NULL);
    }
    if (cli->json) return print_json(&policies, ids, n);
    print_table(cli, &policies, ids, n);
    return WB_EXIT_OK;
}

const wb_option wb_trust_policy_options[] = {
    {.value = "AGENT_ID",
     WB_INTO_TEXT(policy_line, id),
     .optional = true,
     .help = "of this agent alone"},
    {0},
};
