/* SPDX-License-Identifier: Apache-2.0 */
/* `key new`, `key show`: the instance's own signing key. What is printed is public; the seed never
 * leaves the key ring. The JSON is a trust file (TOKENS section 13) with the instance's name beside it,
 * so another agent's `trust add` takes it as it is. */
#include "cli/input.h"
#include "cli/output.h"
#include "propagation/keyring.h"
#include "propagation/token.h"

#include <stdio.h>

typedef struct key_view {
    const char *file, *id, *kid;
    char x[WB_HASH_B64 + 1];
} key_view;

static wb_exit print_json(const wb_cli *cli, const key_view *key)
{
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "wb_iss", wb_slice_str(key->id));
    wb_json_number(&out, "spiffe_sequence", 1);
    wb_json_open(&out, "keys", '[');
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "kty", WB_S("OKP"));
    wb_json_text(&out, "crv", WB_S("Ed25519"));
    wb_json_text(&out, "x", wb_slice_str(key->x));
    wb_json_text(&out, "kid", wb_slice_str(key->kid));
    wb_json_text(&out, "use", WB_S("waybill"));
    wb_json_close(&out, '}');
    wb_json_close(&out, ']');
    wb_json_text(&out, "name", wb_slice_str(cli->paths.name));
    wb_json_text(&out, "file", wb_slice_str(key->file));
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

static wb_exit print_key(const wb_cli *cli, const wb_key_ring *ring, const char *chosen_id)
{
    char id[WB_SELF_ID_MAX + 1], file[WB_PATH_MAX + 16];
    key_view key = {.file = file, .id = id, .kid = wb_key_ring_kid(ring)};
    wb_input_self_id(cli, chosen_id, id);
    (void)snprintf(file, sizeof file, "%s/current.key", cli->paths.keys_dir);
    wb_b64url_format(wb_slice_of(wb_key_ring_public(ring), WB_KEY_BYTES), key.x);
    if (cli->json) return print_json(cli, &key);
    (void)printf("agent id    ");
    wb_print_safe(stdout, wb_slice_str(id));
    (void)printf("\nkey id      %s\npublic key  %s\nfile        ", key.kid, key.x);
    wb_print_safe(stdout, wb_slice_str(file));
    (void)printf("\n");
    return WB_EXIT_OK;
}

static wb_exit open_and_print(const wb_cli *cli, const char *chosen_id)
{
    wb_error err = {0};
    WB_AUTO(wb_key_ring) ring = NULL;
    wb_status status = wb_key_ring_open(cli->paths.keys_dir, &ring, &err);
    if (status == WB_ERR_NOT_FOUND)
        return wb_cli_fail(WB_EXIT_NO, "key", err.detail,
                           "make one with: waybill key new, or start the sidecar");
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "key", err.detail, NULL);
    return print_key(cli, ring, chosen_id);
}

/* The only option that both verbs have. */
static wb_exit read_line(int argc, char **argv, const char **id)
{
    const wb_option options[] = {{.name = "--id", .text = id}};
    wb_exit code = wb_cli_parse(argc, argv, options, WB_COUNT(options), NULL, 0, 0);
    if (code != WB_EXIT_OK) return code;
    if (*id && !wb_agent_id_ok(wb_slice_str(*id)))
        return wb_cli_usage(argv[0], "%.80s is no agent id (https:// or spiffe://, lower case)",
                            *id);
    return wb_input_ready();
}

static wb_exit key_new(const wb_cli *cli, int argc, char **argv)
{
    wb_error err = {0};
    const char *id = NULL;
    wb_exit code = read_line(argc, argv, &id);
    if (code != WB_EXIT_OK) return code;
    wb_status status = wb_make_dirs(cli->paths.state_dir, &err);
    if (status == WB_OK) status = wb_key_new(cli->paths.keys_dir, &err);
    if (status == WB_ERR_REJECTED)
        return wb_cli_fail(WB_EXIT_NO, "key", "there is a key already",
                           "it is never overwritten: see waybill key show");
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "key", err.detail, NULL);
    return open_and_print(cli, id);
}

static wb_exit key_show(const wb_cli *cli, int argc, char **argv)
{
    const char *id = NULL;
    wb_exit code = read_line(argc, argv, &id);
    return code == WB_EXIT_OK ? open_and_print(cli, id) : code;
}

#define ID_HELP                                                                                    \
    "  --id AGENT_ID   the agent id to print beside the key; without it, what the\n"               \
    "                  running sidecar says, else the default of its name\n"

const wb_verb wb_key_verbs[] = {
    {.name = "key new",
     .synopsis = "[--id AGENT_ID]",
     .summary = "Make this instance's signing key",
     .help = ID_HELP "\n"
                     "The sidecar makes a key by itself at its first start; this makes it before.\n"
                     "A key that is there is never overwritten (exit code 1).\n",
     .run = key_new},
    {.name = "key show",
     .synopsis = "[--id AGENT_ID]",
     .summary = "Show this instance's public key",
     .help = ID_HELP "\n"
                     "With --json it prints a trust file, which another agent believes by\n"
                     "  waybill key show --json --name a | waybill trust add - --name b\n",
     .run = key_show},
    {0},
};
