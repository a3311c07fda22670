/* SPDX-License-Identifier: Apache-2.0 */
/* Both printouts walk the table in its order. What is in force is printed as YAML that loads to the
 * same values; a key that has none stands as a comment, so that every key is seen. */
#include "core/config.h"
#include "core/config_value.h"

#include <inttypes.h>
#include <stdio.h>

void wb_config_env_name(const char *key, char out[WB_CONFIG_ENV_MAX])
{
    (void)snprintf(out, WB_CONFIG_ENV_MAX, "WAYBILL_%s", key);
    WB_ASSERT(strlen(key) + sizeof "WAYBILL_" <= WB_CONFIG_ENV_MAX);
    for (char *c = out; *c; c++) {
        if (*c == '.') *c = '_';
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    }
}

/* ---- what is in force ------------------------------------------------------------------------ */

static wb_status indent(wb_buffer *out, size_t levels)
{
    return wb_buffer_printf(out, "%*s", (int)(2 * levels), "");
}

static wb_status print_rows(const wb_config_table *table, const void *values, size_t level,
                            wb_buffer *out);

/* "name=value" or "name: value": the name tells what it is. Of a text without one nothing is known. */
static wb_status print_name(wb_slice text, wb_buffer *out)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] != '=' && text.ptr[len] != ':') len++;
    wb_slice shown = len < text.len ? wb_slice_of(text.ptr, len) : (wb_slice){0};
    char quoted[WB_CONFIG_MAX_TEXT + 8];
    (void)snprintf(quoted, sizeof quoted, "%.*s%s***", WB_SLICE_ARG(shown),
                   shown.len > 0 ? "=" : "");
    return wb_config_quote(wb_slice_str(quoted), out);
}

static wb_status print_slices(const wb_config_key *key, const wb_config_items *list, size_t level,
                              wb_buffer *out)
{
    if (list->n == 0) return wb_buffer_printf(out, " []\n");
    WB_TRY(wb_buffer_printf(out, "\n"));
    for (size_t i = 0; i < list->n; i++) {
        WB_TRY(indent(out, level));
        WB_TRY(wb_buffer_printf(out, "- "));
        wb_slice text = ((const wb_slice *)list->items)[i];
        WB_TRY(key->hides_secrets ? print_name(text, out) : wb_config_quote(text, out));
        WB_TRY(wb_buffer_printf(out, "\n"));
    }
    return WB_OK;
}

static wb_status print_list(const wb_config_key *key, const wb_config_items *list, size_t level,
                            wb_buffer *out)
{
    if (list->n == 0) return wb_buffer_printf(out, " []\n");
    WB_TRY(wb_buffer_printf(out, "\n"));
    for (size_t i = 0; i < list->n; i++) {
        WB_TRY(indent(out, level));
        WB_TRY(wb_buffer_printf(out, "-\n"));
        WB_TRY(
            print_rows(key->of, (const uint8_t *)list->items + i * key->of->size, level + 1, out));
    }
    return WB_OK;
}

static wb_status print_map(const wb_config_key *key, const wb_config_items *list, size_t level,
                           wb_buffer *out)
{
    const wb_config_table inside = {key->of->keys + 1, key->of->n - 1, key->of->size};
    if (list->n == 0) return wb_buffer_printf(out, " {}\n");
    WB_TRY(wb_buffer_printf(out, "\n"));
    for (size_t i = 0; i < list->n; i++) {
        const void *item = (const uint8_t *)list->items + i * key->of->size;
        WB_TRY(indent(out, level));
        WB_TRY(wb_config_value_print(key->of->keys, item, out));
        WB_TRY(wb_buffer_printf(out, ":\n"));
        WB_TRY(print_rows(&inside, item, level + 1, out));
    }
    return WB_OK;
}

static wb_status print_row(const wb_config_key *key, const char *name, const void *values,
                           size_t level, wb_buffer *out)
{
    const void *place = (const uint8_t *)values + key->offset;
    size_t start = out->len;
    WB_TRY(indent(out, level));
    WB_TRY(wb_buffer_printf(out, "%s:", name));
    if (key->type == WB_SLICES) return print_slices(key, place, level + 1, out);
    if (key->type == WB_LIST) return print_list(key, place, level + 1, out);
    if (key->type == WB_MAP) return print_map(key, place, level + 1, out);
    WB_TRY(wb_buffer_printf(out, " "));
    size_t before = out->len;
    WB_TRY(wb_config_value_print(key, values, out));
    if (out->len > before) return wb_buffer_printf(out, "\n");
    out->len = start;
    WB_TRY(indent(out, level));
    return wb_buffer_printf(out, "# %s: not set\n", name);
}

static wb_status print_rows(const wb_config_table *table, const void *values, size_t level,
                            wb_buffer *out)
{
    wb_slice open = WB_S(""); /* the section that the last row was in, dot included */
    for (size_t i = 0; i < table->n; i++) {
        const char *name = table->keys[i].name;
        size_t depth = 0;
        if (!wb_config_applies(table, &table->keys[i], values)) continue;
        for (const char *dot; (dot = strchr(name, '.')) != NULL; depth++) {
            wb_slice section =
                wb_slice_of(table->keys[i].name, (size_t)(dot + 1 - table->keys[i].name));
            if (!wb_slice_starts(open, section)) {
                WB_TRY(indent(out, level + depth));
                WB_TRY(wb_buffer_printf(out, "%.*s:\n", (int)(dot - name), name));
            }
            name = dot + 1;
        }
        open = wb_slice_of(table->keys[i].name, (size_t)(name - table->keys[i].name));
        WB_TRY(print_row(&table->keys[i], name, values, level + depth, out));
    }
    return WB_OK;
}

wb_status wb_config_print(const wb_config_table *table, const void *values, wb_buffer *out)
{
    return print_rows(table, values, 0, out);
}

/* ---- the reference --------------------------------------------------------------------------- */

static const char *type_name(wb_config_type type)
{
    static const char *const names[] = {
        [WB_BOOL] = "true or false",
        [WB_U32] = "number",
        [WB_NUMBER] = "number",
        [WB_BYTES] = "bytes",
        [WB_MS] = "milliseconds",
        [WB_SECONDS] = "seconds",
        [WB_CHOICE] = "choice",
        [WB_TEXT] = "text",
        [WB_SLICE] = "text",
        [WB_SLICES] = "list of texts",
        [WB_LIST] = "list of sections",
        [WB_MAP] = "sections by name",
    };
    return names[type];
}

/* Print a bound as the value of a key of this type would be. */
static wb_status bound(const wb_config_key *key, uint64_t value, wb_buffer *out)
{
    const wb_config_key plain = {.type = key->type == WB_BYTES ? WB_BYTES : WB_MS};
    return wb_config_value_print(&plain, &value, out);
}

static wb_status range(const wb_config_key *key, wb_buffer *out)
{
    if (key->type == WB_CHOICE) {
        char said[WB_CONFIG_CHOICES_MAX];
        return wb_buffer_printf(out, "%s", wb_config_choices_say(key->choices, said, sizeof said));
    }
    if (key->min == 0 && key->max == 0) return WB_OK;
    WB_TRY(bound(key, key->min, out));
    if (key->max == UINT64_MAX)
        WB_TRY(wb_buffer_printf(out, " or more"));
    else {
        WB_TRY(wb_buffer_printf(out, " to "));
        WB_TRY(bound(key, key->max, out));
    }
    if (key->type == WB_TEXT || key->type == WB_SLICE) return wb_buffer_printf(out, " bytes");
    if (!wb_config_is_scalar(key->type)) return wb_buffer_printf(out, " items");
    return WB_OK;
}

typedef struct row_reader {
    wb_status (*each)(void *self, const wb_config_row *row);
    void *self;
    wb_buffer text; /* the range, NUL, the help, NUL of one row */
} row_reader;

static wb_status tell_row(row_reader *r, const wb_config_key *key, const char *inside)
{
    char name[WB_CONFIG_ENV_MAX], env[WB_CONFIG_ENV_MAX] = "";
    (void)snprintf(name, sizeof name, "%s%s", inside, key->name);
    if (!*inside) wb_config_env_name(key->name, env);
    wb_buffer_clear(&r->text);
    WB_TRY(range(key, &r->text));
    WB_TRY(wb_buffer_add(&r->text, "", 1));
    size_t help = r->text.len;
    if (key->only) WB_TRY(wb_buffer_printf(&r->text, "`%s`: ", key->only));
    WB_TRY(wb_buffer_printf(&r->text, key->live ? "%s (reload)" : "%s", key->help));
    WB_TRY(wb_buffer_add(&r->text, "", 1));
    const wb_config_row row = {.name = name,
                               .type = type_name(key->type),
                               .fallback = key->fallback,
                               .range = (const char *)r->text.ptr,
                               .env = env,
                               .help = (const char *)r->text.ptr + help};
    return r->each(r->self, &row);
}

static wb_status tell_rows(row_reader *r, const wb_config_table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        const wb_config_key *key = &table->keys[i];
        WB_TRY(tell_row(r, key, ""));
        if (!key->of) continue;
        char inside[WB_CONFIG_ENV_MAX];
        (void)snprintf(inside, sizeof inside, key->type == WB_MAP ? "%s.NAME." : "%s[].",
                       key->name);
        for (size_t k = key->type == WB_MAP ? 1 : 0; k < key->of->n; k++)
            WB_TRY(tell_row(r, &key->of->keys[k], inside));
    }
    return WB_OK;
}

wb_status wb_config_each(const wb_config_table *table,
                         wb_status (*each)(void *self, const wb_config_row *row), void *self)
{
    row_reader r = {.each = each, .self = self};
    wb_buffer_init(&r.text, WB_CONFIG_MAX_TEXT);
    wb_status status = tell_rows(&r, table);
    wb_buffer_done(&r.text);
    return status;
}

static wb_status reference_row(void *self, const wb_config_row *row)
{
    wb_buffer *out = self;
    WB_TRY(wb_buffer_printf(out, "| `%s` | %s | ", row->name, row->type));
    WB_TRY(wb_buffer_printf(out, row->fallback ? "`%s` | " : "%s | ",
                            row->fallback ? row->fallback : ""));
    WB_TRY(wb_buffer_printf(out, *row->env ? "%s | `%s` | " : "%s | %s| ", row->range, row->env));
    return wb_buffer_printf(out, "%s |\n", row->help);
}

wb_status wb_config_reference(const wb_config_table *table, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "| key | type | default | range | variable | meaning |\n"
                                 "|---|---|---|---|---|---|\n"));
    return wb_config_each(table, reference_row, out);
}
