/* SPDX-License-Identifier: Apache-2.0 */
/* `trust bundle`: what peers lay down to believe us, on standard output. It holds public keys only. */
#include "cli/input.h"
#include "cli/trust.h"
#include "propagation/keyring.h"

#include <stdio.h>

typedef struct bundle_line {
    const char *id;
    bool all;
} bundle_line;

typedef struct bundle {
    wb_arena *arena; /* owned */
    wb_slice ids[WB_INPUT_IDS_MAX];
    size_t n_ids;
    wb_trust_key keys[WB_TRUST_KEYS_MAX]; /* of the ring, for each id */
    wb_trust_issuer own;
    wb_trust *trust; /* owned; NULL: own ids only */
    wb_buffer text;
} bundle;

static bool is_own(const bundle *b, wb_slice id)
{
    for (size_t i = 0; i < b->n_ids; i++)
        if (wb_slice_eq(b->ids[i], id)) return true;
    return false;
}

static wb_status add(bundle *b, const wb_trust_issuer *issuer, bool *first)
{
    WB_TRY(wb_buffer_add_slice(&b->text, *first ? WB_S("") : WB_S(",\n")));
    *first = false;
    return wb_trust_file_format(issuer, &b->text);
}

static wb_status format(bundle *b)
{
    bool first = true, many = b->n_ids > 1 || b->trust;
    if (many) WB_TRY(wb_buffer_add_slice(&b->text, WB_S("{\"wb_bundles\":[\n")));
    for (size_t i = 0; i < b->n_ids; i++) {
        b->own.id = b->ids[i];
        WB_TRY(add(b, &b->own, &first));
    }
    for (size_t i = 0; b->trust && wb_trust_at(b->trust, i); i++)
        if (!is_own(b, wb_trust_at(b->trust, i)->id))
            WB_TRY(add(b, wb_trust_at(b->trust, i), &first));
    if (many) WB_TRY(wb_buffer_add_slice(&b->text, WB_S("\n]}")));
    return wb_buffer_add(&b->text, "\n", 1);
}

static wb_exit fill(const wb_cli *cli, const char *id, bool all, bundle *b)
{
    wb_error err = {0};
    WB_AUTO(wb_key_ring) ring = NULL;
    wb_status status = wb_key_ring_open(cli->paths.keys_dir, &ring, &err);
    if (status == WB_ERR_NOT_FOUND)
        return wb_cli_fail(WB_EXIT_NO, "key", err.detail,
                           "make one with: waybill key new, or start the sidecar");
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "key", err.detail, NULL);
    wb_key_ring_publish(ring, (wb_slice){0}, b->keys, &b->own);
    if (all) status = wb_trust_load(cli->paths.trust_dir, NULL, &b->trust, &err);
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "trust", err.detail, NULL);
    b->n_ids = wb_input_self_ids(cli, id, b->arena, b->ids);
    if (b->n_ids == 0 || format(b) != WB_OK)
        return wb_cli_fail(WB_EXIT_FAILURE, "trust", "the bundle does not fit",
                           "peers read at most 64 KiB in one file");
    return WB_EXIT_OK;
}

static wb_exit print(const wb_cli *cli, const char *id, bool all, bundle *b)
{
    wb_exit code = fill(cli, id, all, b);
    if (code != WB_EXIT_OK) return code;
    (void)fwrite(b->text.ptr, 1, b->text.len, stdout);
    return WB_EXIT_OK;
}

wb_exit wb_cli_trust_bundle(const wb_cli *cli, const void *given)
{
    const bundle_line *line = given;
    wb_exit code = wb_input_agent_id(cli, line->id);
    if (code == WB_EXIT_OK) code = wb_input_ready();
    if (code != WB_EXIT_OK) return code;
    bundle b = {.arena = wb_arena_new(2 * WB_INPUT_MAX_BYTES)};
    wb_buffer_init(&b.text, WB_TRUST_FILE_MAX_BYTES);
    code = b.arena ? print(cli, line->id, line->all, &b)
                   : wb_cli_fail(WB_EXIT_FAILURE, "trust", "no memory", NULL);
    wb_buffer_done(&b.text);
    wb_trust_free(b.trust);
    wb_arena_free(b.arena);
    return code;
}

const wb_option wb_trust_bundle_options[] = {
    {.name = "--all",
     WB_INTO_FLAG(bundle_line, all),
     .help = "and everybody whom this agent trusts: one file for a new colleague"},
    {.name = "--id",
     .value = "AGENT_ID",
     WB_INTO_TEXT(bundle_line, id),
     .help = "the agent id; without it, what the running sidecar says, else the default of its "
             "name"},
    {0},
};
