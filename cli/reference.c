/* SPDX-License-Identifier: Apache-2.0 */
/* The reference of the command line as Markdown: the part of docs/cli.md that a test compares. */
#include "cli/manual.h"

enum { TEXT_BYTES = 16 * 1024 };

static wb_status rows(const char *head, const wb_option *options, wb_buffer *out)
{
    if (wb_option_ends(options)) return WB_OK;
    WB_TRY(wb_buffer_printf(out, "\n| %s | |\n|---|---|\n", head));
    for (const wb_option *row = options; !wb_option_ends(row); row++) {
        WB_AUTO_BUFFER heading, text;
        wb_buffer_init(&heading, TEXT_BYTES);
        wb_buffer_init(&text, TEXT_BYTES);
        WB_TRY(wb_option_heading(row, &heading));
        WB_TRY(wb_option_describe(row, &text));
        WB_TRY(wb_buffer_printf(out, "| `"));
        for (size_t i = 0; i < heading.len; i++)
            WB_TRY(wb_buffer_printf(out, heading.ptr[i] == '|' ? "\\%c" : "%c", heading.ptr[i]));
        WB_TRY(wb_buffer_printf(out, "` | %.*s |\n", WB_SLICE_ARG(wb_buffer_slice(&text))));
    }
    return WB_OK;
}

static wb_status table(const char *head, const wb_term *t, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "\n| %s| |\n|---|---|\n", head));
    for (; t->term; t++) WB_TRY(wb_buffer_printf(out, "| `%s` | %s |\n", t->term, t->meaning));
    return WB_OK;
}

static wb_status section(const char *title, const wb_term *t, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "\n## %s\n", title));
    return table("", t, out);
}

/* Lines that are kept are indented in the tables, fenced here. */
static wb_status prose(const char *text, wb_buffer *out)
{
    wb_prose piece;
    bool fenced = false;
    while (wb_prose_next(&text, &piece)) {
        bool kept = piece.literal && piece.text.len > 0;
        if (kept != fenced) WB_TRY(wb_buffer_printf(out, kept ? "\n```\n" : "```\n"));
        if (kept)
            WB_TRY(wb_buffer_printf(out, "%.*s\n", (int)piece.text.len - 2,
                                    (const char *)piece.text.ptr + 2));
        else if (!piece.literal)
            WB_TRY(wb_buffer_printf(out, "\n%.*s\n", WB_SLICE_ARG(piece.text)));
        fenced = kept;
    }
    return fenced ? wb_buffer_printf(out, "```\n") : WB_OK;
}

static wb_status verb(const wb_verb *v, wb_buffer *out)
{
    WB_AUTO_BUFFER synopsis;
    wb_buffer_init(&synopsis, TEXT_BYTES);
    WB_TRY(wb_options_synopsis(v->options, true, &synopsis));
    WB_TRY(wb_buffer_printf(out, "\n### %s\n\n`waybill %s%s%.*s`: %s.\n", v->name, v->name,
                            synopsis.len ? " " : "", WB_SLICE_ARG(wb_buffer_slice(&synopsis)),
                            v->summary));
    if (v->help) WB_TRY(prose(v->help, out));
    if (v->examples) WB_TRY(wb_buffer_printf(out, "\n```sh\n%s```\n", v->examples));
    WB_TRY(rows("option", v->options, out));
    if (v->exits) WB_TRY(table("exit code ", v->exits, out));
    if (v->no || v->json) WB_TRY(wb_buffer_printf(out, "\n"));
    if (v->no) WB_TRY(wb_buffer_printf(out, "- Exit code 1: %s.\n", v->no));
    return v->json ? wb_buffer_printf(out, "- With `--json`: %s.\n", v->json) : WB_OK;
}

wb_status wb_reference_print(wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "## Global options\n"));
    WB_TRY(rows("anywhere on the line", wb_cli_globals, out));
    WB_TRY(section("Exit codes", wb_cli_exits, out));
    WB_TRY(section("Variables", wb_cli_variables, out));
    WB_TRY(section("Files", wb_cli_files, out));
    WB_TRY(wb_buffer_printf(out, "\n## Verbs\n"));
    for (const wb_family *f = wb_cli_families; f->verbs; f++)
        for (const wb_verb *v = f->verbs; v->name; v++) WB_TRY(verb(v, out));
    return WB_OK;
}
