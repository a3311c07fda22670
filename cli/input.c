/* SPDX-License-Identifier: Apache-2.0 */
/* A token may be pasted, piped or kept in a file, so one argument takes all three: what names a file is
 * that file. No token and no public key can be mistaken for one, short of a file of that very name. */
#include "cli/input.h"

#include "core/json.h"
#include "propagation/ed25519.h"

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

wb_status wb_input_read(const char *word, wb_buffer *out, wb_error *err)
{
    struct stat st;
    wb_status status;
    if (!word || strcmp(word, "-") == 0)
        status = read_stream(stdin, "standard input", out, err);
    else if (stat(word, &st) == 0 && !S_ISDIR(st.st_mode))
        status = read_file(word, out, err);
    else
        status = wb_buffer_add_slice(out, wb_slice_str(word));
    if (status == WB_OK) trim(out);
    return status;
}

/* `agent_id` of the status file; false where there is no such file. */
static bool id_of_running(const wb_cli *cli, char out[WB_SELF_ID_MAX + 1])
{
    static const wb_json_limits limits = {
        .depth = 6, .members = 64, .elements = 64, .string_bytes = 4096, .any_number = true};
    WB_AUTO_BUFFER text;
    const wb_json *root = NULL;
    wb_json_fault fault;
    wb_buffer_init(&text, 2 * WB_INPUT_MAX_BYTES);
    if (read_file(cli->paths.status_file, &text, NULL) != WB_OK) return false;
    WB_AUTO(wb_arena) arena = wb_arena_new(WB_INPUT_MAX_BYTES);
    if (!arena || wb_json_parse(wb_buffer_slice(&text), &limits, arena, &root, &fault) != WB_OK)
        return false;
    const wb_json *id = wb_json_member(root, WB_S("agent_id"));
    if (!id || id->type != WB_JSON_STRING || id->text.len > WB_SELF_ID_MAX) return false;
    (void)snprintf(out, WB_SELF_ID_MAX + 1, "%.*s", WB_SLICE_ARG(id->text));
    return true;
}

void wb_input_self_id(const wb_cli *cli, const char *chosen, char out[WB_SELF_ID_MAX + 1])
{
    if (chosen)
        (void)snprintf(out, WB_SELF_ID_MAX + 1, "%s", chosen);
    else if (!id_of_running(cli, out))
        wb_self_id_default(cli->paths.name, out);
}

bool wb_input_seconds(const char *verb, const char *option, const char *text, uint64_t *out)
{
    uint64_t value = 0;
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 15 || text[len] != '\0') {
        (void)wb_cli_usage(verb, "%s wants Unix seconds, not %.40s", option, text);
        return false;
    }
    for (size_t i = 0; i < len; i++) value = value * 10 + (uint64_t)(text[i] - '0');
    *out = value;
    return true;
}

wb_exit wb_input_ready(void)
{
    wb_error err;
    if (wb_self_test(&err) == WB_OK) return WB_EXIT_OK;
    return wb_cli_fail(WB_EXIT_FAILURE, "cryptography", err.detail, "install another libsodium");
}
