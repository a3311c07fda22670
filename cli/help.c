/* SPDX-License-Identifier: Apache-2.0 */
/* --help, made from the tables of verbs and options. */
#include "cli/cli.h"

enum { HELP_BYTES = 64 * 1024, VERB_COLUMNS = 17 };

typedef wb_status (*writer)(const wb_verb *verb, wb_buffer *out);

static wb_exit print(FILE *file, const wb_verb *verb, writer write)
{
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, HELP_BYTES);
    if (write(verb, &out) != WB_OK) return wb_cli_fail(WB_EXIT_FAILURE, "help", "no memory", NULL);
    (void)fwrite(out.ptr, 1, out.len, file);
    return WB_EXIT_OK;
}

static wb_status add_globals(const wb_term *exits, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "\nGlobal options, anywhere on the line:\n"));
    WB_TRY(wb_options_print(wb_cli_globals, out));
    WB_TRY(wb_buffer_printf(out, "\nExit codes:\n"));
    return wb_terms_print(exits ? exits : wb_cli_exits, out);
}

static wb_status write_overview(const wb_verb *verb, wb_buffer *out)
{
    (void)verb;
    WB_TRY(wb_buffer_printf(
        out, "waybill: keys, trust, tokens, traces and delegations of a Waybill sidecar\n\n"
             "Usage: waybill [options] VERB [arguments]\n\nVerbs:\n"));
    for (const wb_family *f = wb_cli_families; f->verbs; f++)
        for (const wb_verb *v = f->verbs; v->name; v++)
            WB_TRY(wb_buffer_printf(out, "  %-*s %s\n", VERB_COLUMNS, v->name, v->summary));
    WB_TRY(wb_buffer_printf(out, "\nwaybill VERB --help says more.\n"));
    return add_globals(NULL, out);
}

/* "<before>waybill NAME [--option] ARGUMENT", filled under the first option. */
static wb_status add_usage(const char *before, const wb_verb *v, wb_buffer *out)
{
    WB_AUTO_BUFFER synopsis;
    wb_buffer_init(&synopsis, HELP_BYTES);
    size_t column = strlen(before) + strlen("waybill ") + strlen(v->name) + 1;
    WB_TRY(wb_options_synopsis(v->options, true, &synopsis));
    WB_TRY(wb_buffer_printf(out, "%swaybill %s%s", before, v->name, synopsis.len ? " " : ""));
    WB_TRY(wb_text_fill(wb_buffer_slice(&synopsis), column, column, out));
    return wb_buffer_printf(out, "\n");
}

static wb_status write_family(const wb_verb *family, wb_buffer *out)
{
    for (const wb_verb *v = family; v->name; v++) {
        WB_TRY(add_usage("  ", v, out));
        WB_TRY(wb_buffer_printf(out, "      %s\n", v->summary));
    }
    return WB_OK;
}

static wb_status add_clause(const char *before, const char *clause, wb_buffer *out)
{
    char text[400];
    if (!clause) return WB_OK;
    (void)snprintf(text, sizeof text, "%s: %s.", before, clause);
    return wb_prose_print(text, out);
}

static wb_status add_examples(const char *lines, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "\n"));
    while (*lines) {
        size_t len = strcspn(lines, "\n");
        WB_TRY(wb_buffer_printf(out, "  %.*s\n", (int)len, lines));
        lines += len + (lines[len] == '\n');
    }
    return WB_OK;
}

static wb_status write_verb(const wb_verb *v, wb_buffer *out)
{
    WB_TRY(add_usage("Usage: ", v, out));
    WB_TRY(wb_buffer_printf(out, "\n%s.\n", v->summary));
    if (!wb_option_ends(v->options)) {
        WB_TRY(wb_buffer_printf(out, "\n"));
        WB_TRY(wb_options_print(v->options, out));
    }
    if (v->help) {
        WB_TRY(wb_buffer_printf(out, "\n"));
        WB_TRY(wb_prose_print(v->help, out));
    }
    if (v->examples) WB_TRY(add_examples(v->examples, out));
    if (v->no || v->json) WB_TRY(wb_buffer_printf(out, "\n"));
    WB_TRY(add_clause("Exit code 1", v->no, out));
    WB_TRY(add_clause("With --json", v->json, out));
    return add_globals(v->exits, out);
}

wb_exit wb_help_overview(FILE *file) { return print(file, NULL, write_overview); }
wb_exit wb_help_family(FILE *file, const wb_verb *family)
{
    return print(file, family, write_family);
}
wb_exit wb_help_verb(FILE *file, const wb_verb *verb) { return print(file, verb, write_verb); }
