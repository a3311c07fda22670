/* SPDX-License-Identifier: Apache-2.0 */
/* A token may be pasted, piped or kept in a file, so one argument takes all three: what names a file is
 * that file. No token and no public key can be mistaken for one, short of a file of that very name. */
#include "cli/input.h"

#include "core/json.h"
#include "propagation/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static wb_status read_stream(FILE *in, const char *name, wb_buffer *out, wb_error *err)
{
    for (;;) {
        uint8_t *at;
        enum { CHUNK = 16 * 1024 };
        if (out->len >= WB_INPUT_MAX_BYTES)
            return wb_fail(err, WB_ERR_FULL, "%.100s is longer than 256 KiB", name);
        if (wb_buffer_reserve(out, CHUNK, &at) != WB_OK)
            return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for %.100s", name);
        size_t got = fread(at, 1, CHUNK, in);
        out->len -= CHUNK - got;
        if (ferror(in)) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%.100s", name);
        if (got == 0) return WB_OK;
    }
}

static wb_status read_file(const char *path, wb_buffer *out, wb_error *err)
{
    FILE *in = fopen(path, "re");
    if (!in) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%.100s", path);
    wb_status status = read_stream(in, path, out, err);
    (void)fclose(in);
    return status;
}

static bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void trim(wb_buffer *text)
{
    size_t front = 0;
    while (text->len > 0 && is_space(text->ptr[text->len - 1])) text->len--;
    while (front < text->len && is_space(text->ptr[front])) front++;
    if (front > 0) memmove(text->ptr, text->ptr + front, text->len - front);
    text->len -= front;
}

/* Shorter than any public key or token, or with a letter that neither has: a file's name. */
static bool names_a_file(const char *word)
{
    bool json = word[0] == '{' || word[0] == '[';
    return !json && (strlen(word) < WB_HASH_B64 || strchr(word, '/') != NULL);
}

wb_status wb_input_read(const char *word, wb_buffer *out, wb_error *err)
{
    struct stat st;
    wb_status status;
    if (!word || strcmp(word, "-") == 0)
        status = read_stream(stdin, "standard input", out, err);
    else if (stat(word, &st) == 0)
        status = S_ISDIR(st.st_mode) ? wb_fail(err, WB_ERR_UNAVAILABLE,
                                               "%.100s is a directory: name a file in it", word)
                                     : read_file(word, out, err);
    else if (names_a_file(word))
        status = wb_fail(err, WB_ERR_UNAVAILABLE, "%.100s: no such file", word);
    else
        status = wb_buffer_add_slice(out, wb_slice_str(word));
    if (status == WB_OK) trim(out);
    return status;
}

/* An agent id that may be printed and compared, copied. */
static bool take_id(const wb_json *value, wb_arena *arena, wb_slice *out)
{
    return value && value->type == WB_JSON_STRING && value->text.len <= WB_SELF_ID_MAX &&
           wb_arena_dup(arena, value->text, out) == WB_OK;
}

/* The ids in the status file; 0 where there is no such file. */
static size_t ids_of_running(const wb_cli *cli, wb_arena *arena, wb_slice ids[WB_INPUT_IDS_MAX])
{
    static const wb_json_limits limits = {
        .depth = 6, .members = 64, .elements = 64, .string_bytes = 4096, .any_number = true};
    WB_AUTO_BUFFER text;
    const wb_json *root = NULL;
    wb_json_fault fault;
    size_t n = 0;
    wb_buffer_init(&text, 2 * WB_INPUT_MAX_BYTES);
    if (read_file(cli->paths.status_file, &text, NULL) != WB_OK ||
        wb_json_parse(wb_buffer_slice(&text), &limits, arena, &root, &fault) != WB_OK)
        return 0;
    const wb_json *all = wb_json_member(root, WB_S("agent_ids"));
    const wb_json *at = all && all->type == WB_JSON_ARRAY ? all->first : NULL;
    for (; at && n < WB_INPUT_IDS_MAX; at = at->next)
        if (take_id(at, arena, &ids[n])) n++;
    if (n == 0 && take_id(wb_json_member(root, WB_S("agent_id")), arena, &ids[0])) n = 1;
    return n;
}

size_t wb_input_self_ids(const wb_cli *cli, const char *chosen, wb_arena *arena,
                         wb_slice ids[WB_INPUT_IDS_MAX])
{
    char id[WB_SELF_ID_MAX + 1];
    size_t n = chosen ? 0 : ids_of_running(cli, arena, ids);
    if (n > 0) return n;
    if (!chosen) wb_self_id_default(cli->paths.name, id);
    return wb_arena_dup(arena, wb_slice_str(chosen ? chosen : id), &ids[0]) == WB_OK ? 1 : 0;
}

void wb_input_self_id(const wb_cli *cli, const char *chosen, char out[WB_SELF_ID_MAX + 1])
{
    wb_slice ids[WB_INPUT_IDS_MAX];
    WB_AUTO(wb_arena) arena = wb_arena_new(WB_INPUT_MAX_BYTES);
    if (arena && wb_input_self_ids(cli, chosen, arena, ids) > 0)
        (void)snprintf(out, WB_SELF_ID_MAX + 1, "%.*s", WB_SLICE_ARG(ids[0]));
    else
        wb_self_id_default(cli->paths.name, out);
}

wb_exit wb_input_agent_id(const wb_cli *cli, const char *id)
{
    if (!id || wb_agent_id_ok(wb_slice_str(id))) return WB_EXIT_OK;
    return wb_cli_usage(cli, "%.80s is no agent id (https:// or spiffe://, lower case)", id);
}

wb_exit wb_input_ready(void)
{
    wb_error err;
    if (wb_self_test(&err) == WB_OK) return WB_EXIT_OK;
    return wb_cli_fail(WB_EXIT_FAILURE, "cryptography", err.detail, "install another libsodium");
}
