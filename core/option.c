/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a command line by its table. Not getopt: its state is global, it permutes argv, it speaks in
 * its own words, and its table would be a second one beside ours. */
#include "core/option.h"

#include "core/config_value.h"

#include <stdio.h>

static void *place_of(const wb_option *row, void *line) { return (uint8_t *)line + row->offset; }

/* ---- values --------------------------------------------------------------------------------- */

/* Is `text` one of the words of "a|b|c"? */
static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    while (*choices) {
        size_t word = strcspn(choices, "|");
        if (word == len && memcmp(choices, text, len) == 0) return true;
        choices += word + (choices[word] == '|');
    }
    return false;
}

static const char *title_of(const wb_option *row) { return row->name ? row->name : row->value; }

static wb_status take_choice(const wb_option *row, const char *text, wb_error *err)
{
    char words[144] = ""; /* of many choices the first ones */
    size_t len = 0;
    if (!row->choices || is_choice(row->choices, text)) return WB_OK;
    for (const char *c = row->choices; *c && len + 3 < sizeof words; c++) {
        words[len++] = *c == '|' ? ',' : *c;
        if (*c == '|') words[len++] = ' ';
    }
    return wb_fail(err, WB_ERR_MALFORMED, "%s %.30s: not one of %s", title_of(row), text, words);
}

static wb_status take_number(const wb_option *row, const char *text, void *line, wb_error *err)
{
    wb_error why = {0};
    wb_config_key key = {.name = title_of(row),
                         .type = row->kind == WB_OPTION_MS ? WB_MS : WB_NUMBER,
                         .min = row->min,
                         .max = row->max ? row->max : UINT64_MAX - 1,
                         .offset = row->offset};
    if (wb_config_value_parse(&key, wb_slice_str(text), NULL, line, &why) == WB_OK) return WB_OK;
    return wb_fail(err, WB_ERR_MALFORMED, "%s %.40s: %s", title_of(row), text, why.detail);
}

static wb_status take_value(const wb_option *row, const char *text, void *line, wb_error *err)
{
    switch (row->kind) {
    case WB_OPTION_MS:
    case WB_OPTION_NUMBER: return take_number(row, text, line, err);
    case WB_OPTION_TEXT: WB_TRY(take_choice(row, text, err)); break;
    case WB_OPTION_FLAG:
    case WB_OPTION_WORDS:
    case WB_OPTION_LIST: WB_ASSERT(false); /* have no value of this kind */
    }
    *(const char **)place_of(row, line) = text;
    return WB_OK;
}

static size_t size_of(wb_option_kind kind)
{
    switch (kind) {
    case WB_OPTION_FLAG: return sizeof(bool);
    case WB_OPTION_TEXT: return sizeof(const char *);
    case WB_OPTION_MS:
    case WB_OPTION_NUMBER: return sizeof(uint64_t);
    default: return sizeof(wb_words);
    }
}

size_t wb_options_extent(const wb_option *options)
{
    size_t extent = 0;
    for (const wb_option *row = options; !wb_option_ends(row); row++)
        if (row->offset + size_of(row->kind) > extent) extent = row->offset + size_of(row->kind);
    return extent;
}

void wb_options_reset(const wb_option_table *table)
{
    void *line = table->line;
    for (const wb_option *row = table->options; !wb_option_ends(row); row++) {
        switch (row->kind) {
        case WB_OPTION_FLAG: *(bool *)place_of(row, line) = false; break;
        case WB_OPTION_TEXT: *(const char **)place_of(row, line) = NULL; break;
        case WB_OPTION_MS:
        case WB_OPTION_NUMBER: *(uint64_t *)place_of(row, line) = WB_OPTION_UNSET; break;
        case WB_OPTION_LIST:
        case WB_OPTION_WORDS: *(wb_words *)place_of(row, line) = (wb_words){0}; break;
        }
        if (row->fallback) WB_ASSERT(take_value(row, row->fallback, line, NULL) == WB_OK);
    }
}

/* ---- options -------------------------------------------------------------------------------- */

/* Does argv[*i] name this option? Then its value is *value, NULL if there is none, and *i is moved. */
static bool is_named(const char *name, bool takes_value, int argc, char **argv, int *i,
                     const char **value)
{
    size_t len = name ? strlen(name) : 0;
    *value = NULL;
    if (len == 0 || strncmp(argv[*i], name, len) != 0) return false;
    char behind = argv[*i][len];
    if (!takes_value) return behind == '\0';
    if (behind == '=') *value = argv[*i] + len + 1;
    if (behind == '\0' && *i + 1 < argc) *value = argv[++*i];
    return behind == '=' || behind == '\0';
}

/* The values move together in argv, to where the first of them stands: those slots are read already. */
static wb_status take_further(const wb_option *row, char **slot, const char *value, void *line,
                              wb_error *err)
{
    wb_words *list = place_of(row, line);
    if (list->n >= row->max)
        return wb_fail(err, WB_ERR_MALFORMED, "%s may be said %u times at most", row->name,
                       (unsigned)row->max);
    if (list->n == 0) list->at = slot;
    list->at[list->n++] = (char *)value;
    return WB_OK;
}

wb_status wb_option_take(const wb_option_table *table, int argc, char **argv, int *i, bool *taken,
                         wb_error *err)
{
    *taken = true;
    for (const wb_option *row = table->options; !wb_option_ends(row); row++) {
        const char *value;
        bool takes_value = row->kind != WB_OPTION_FLAG;
        if (!is_named(row->name, takes_value, argc, argv, i, &value) &&
            !is_named(row->also, takes_value, argc, argv, i, &value))
            continue;
        if (takes_value && !value)
            return wb_fail(err, WB_ERR_MALFORMED, "%s wants a value", row->name);
        if (row->kind == WB_OPTION_LIST)
            return take_further(row, argv + *i, value, table->line, err);
        if (takes_value) return take_value(row, value, table->line, err);
        *(bool *)place_of(row, table->line) = true;
        return WB_OK;
    }
    *taken = false;
    return WB_OK;
}

/* One key in 64 begins with '-', so what can only be a key (43 characters, or two with ':') is none. */
bool wb_option_is(const char *text)
{
    static const char key_bytes[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:";
    enum { KEY_LEN = 43 };
    size_t len = strlen(text);
    if (text[0] != '-' || len == 1 || strcmp(text, "--") == 0) return false;
    return strspn(text, key_bytes) < len || (len != KEY_LEN && len != 2 * KEY_LEN + 1);
}

/* ---- arguments ------------------------------------------------------------------------------ */

static const wb_option *next_argument(const wb_option *row)
{
    while (!wb_option_ends(row) && row->name) row++;
    return row;
}

/* Argument argv[*i] goes to `row`; *i is moved to the last word that it took. */
static wb_status take_argument(const wb_option *row, int argc, char **argv, int *i, void *line,
                               wb_error *err)
{
    if (wb_option_ends(row))
        return wb_fail(err, WB_ERR_MALFORMED, "one argument too many: %.60s", argv[*i]);
    if (row->kind != WB_OPTION_WORDS) return take_value(row, argv[*i], line, err);
    *(wb_words *)place_of(row, line) = (wb_words){.at = argv + *i, .n = (size_t)(argc - *i)};
    *i = argc - 1;
    return WB_OK;
}

static wb_status take_option(const wb_option_table *tables, size_t n, int argc, char **argv, int *i,
                             wb_error *err)
{
    bool taken = false;
    for (size_t k = 0; k < n && !taken; k++)
        WB_TRY(wb_option_take(&tables[k], argc, argv, i, &taken, err));
    return taken ? WB_OK : wb_fail(err, WB_ERR_MALFORMED, "unknown option %.60s", argv[*i]);
}

wb_status wb_options_parse(const wb_option_table *tables, size_t n, int argc, char **argv,
                           wb_error *err)
{
    const wb_option *argument = next_argument(tables[0].options);
    bool options_end = false;
    for (int i = 1; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && wb_option_is(argv[i])) {
            WB_TRY(take_option(tables, n, argc, argv, &i, err));
        } else {
            WB_TRY(take_argument(argument, argc, argv, &i, tables[0].line, err));
            argument = next_argument(argument + 1);
        }
    }
    if (!wb_option_ends(argument) && !argument->optional)
        return wb_fail(err, WB_ERR_MALFORMED, "an argument is missing: %s", argument->value);
    return WB_OK;
}
