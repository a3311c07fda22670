/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and options, alike for every verb. Not getopt: its state is global, it permutes argv, and it
 * speaks in its own words. */
#include "cli/cli.h"

#include "cli/output.h"
#include "core/config_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- messages ------------------------------------------------------------------------------- */

wb_exit wb_cli_fail(wb_exit code, const char *what, const char *why, const char *todo)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "waybill: ");
    wb_print_safe(stderr, wb_slice_str(what));
    (void)fprintf(stderr, ": ");
    wb_print_safe(stderr, wb_slice_str(why));
    if (todo) {
        (void)fprintf(stderr, "; ");
        wb_print_safe(stderr, wb_slice_str(todo));
    }
    (void)fputc('\n', stderr);
    return code;
}

wb_exit wb_cli_usage(const char *verb, const char *fmt, ...)
{
    char why[256], todo[96];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    (void)snprintf(todo, sizeof todo, "see: waybill %s%s--help", verb, *verb ? " " : "");
    return wb_cli_fail(WB_EXIT_USAGE, *verb ? verb : "command line", why, todo);
}

wb_exit wb_cli_exit_of(wb_status status)
{
    switch (status) {
    case WB_OK: return WB_EXIT_OK;
    case WB_ERR_NOT_FOUND:
    case WB_ERR_DENIED:
    case WB_ERR_REJECTED: return WB_EXIT_NO;
    default: return WB_EXIT_FAILURE;
    }
}

/* ---- options of verbs ----------------------------------------------------------------------- */

/* The value of option `name` at argv[*i]: "--x=v" or "--x v". NULL: another option; *missing: none. */
static const char *option_value(int argc, char **argv, int *i, const char *name, bool *missing)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0) return NULL;
    if (argv[*i][len] == '=') return argv[*i] + len + 1;
    if (argv[*i][len] != '\0') return NULL;
    if (*i + 1 < argc) return argv[++*i];
    *missing = true;
    return NULL;
}

static wb_exit take_duration(const char *verb, const wb_option *option, const char *text)
{
    static const wb_config_key key = {.name = "duration", .type = WB_MS};
    wb_error err = {0};
    wb_status status =
        wb_config_value_parse(&key, wb_slice_str(text), NULL, option->duration_ms, &err);
    if (status == WB_OK) return WB_EXIT_OK;
    return wb_cli_usage(verb, "%s %.40s: %.120s", option->name, text, err.detail);
}

bool wb_cli_take_option(int argc, char **argv, int *i, const wb_option *option, wb_exit *code)
{
    bool missing = false;
    *code = WB_EXIT_OK;
    if (option->flag) {
        if (strcmp(argv[*i], option->name) != 0) return false;
        *option->flag = true;
        return true;
    }
    const char *value = option_value(argc, argv, i, option->name, &missing);
    if (missing) {
        *code = wb_cli_usage(argv[0], "%s wants a value", option->name);
        return true;
    }
    if (!value) return false;
    if (option->text)
        *option->text = value;
    else
        *code = take_duration(argv[0], option, value);
    return true;
}

static wb_exit take_any_option(int argc, char **argv, int *i, const wb_option *options, size_t n)
{
    wb_exit code;
    for (size_t k = 0; k < n; k++)
        if (wb_cli_take_option(argc, argv, i, &options[k], &code)) return code;
    return wb_cli_usage(argv[0], "unknown option %.60s", argv[*i]);
}

/* One key in 64 begins with '-', so what can only be a key (43 characters, or two with ':') is none. */
static bool is_option(const char *text)
{
    static const char key_bytes[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:";
    enum { KEY_LEN = 43 };
    size_t len = strlen(text);
    if (text[0] != '-' || len == 1) return false;
    return strspn(text, key_bytes) < len || (len != KEY_LEN && len != 2 * KEY_LEN + 1);
}

wb_exit wb_cli_parse(int argc, char **argv, const wb_option *options, size_t n_options,
                     const char **words, size_t n_words, size_t max_words)
{
    size_t found = 0;
    bool options_end = false;
    for (int i = 1; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && is_option(argv[i])) {
            wb_exit code = take_any_option(argc, argv, &i, options, n_options);
            if (code != WB_EXIT_OK) return code;
        } else if (found < max_words) {
            words[found++] = argv[i];
        } else {
            return wb_cli_usage(argv[0], "one argument too many: %.60s", argv[i]);
        }
    }
    if (found < n_words) return wb_cli_usage(argv[0], "an argument is missing");
    for (; found < max_words; found++) words[found] = NULL;
    return WB_EXIT_OK;
}
