/* SPDX-License-Identifier: Apache-2.0 */
/* man(7), the macros that both groff and mandoc read. A line of text must not begin with '.' or "'", a
 * backslash and the '-' of an option are written with a backslash, and lines are kept short, for both
 * readers complain about long ones. */
#include "core/manual.h"

enum { TEXT_BYTES = 64 * 1024 };

/* ---- text ----------------------------------------------------------------------------------- */

/* Is the '-' at text[i] typed as such, as in an option, rather than a hyphen? */
static bool is_typed(wb_slice text, size_t i, bool literal)
{
    bool word_begins = i == 0 || strchr(" \n-[(,`\"", text.ptr[i - 1]) != NULL;
    return literal || word_begins;
}

static wb_status escape(wb_slice text, bool literal, wb_buffer *out)
{
    bool bold = false, word_begins = true;
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.ptr[i];
        if (c == '`' && !literal) {
            bold = !bold;
            WB_TRY(wb_buffer_printf(out, bold ? "\\fB" : "\\fP"));
            continue;
        }
        if (word_begins && (c == '.' || c == '\'')) WB_TRY(wb_buffer_printf(out, "\\&"));
        if (c == '\\')
            WB_TRY(wb_buffer_printf(out, "\\e"));
        else if (c == '-' && is_typed(text, i, literal || bold))
            WB_TRY(wb_buffer_printf(out, "\\-"));
        else
            WB_TRY(wb_buffer_add(out, &c, 1));
        word_begins = c == ' ' || c == '\n';
    }
    return WB_OK;
}

static wb_status literal(const char *text, wb_buffer *out)
{
    return escape(wb_slice_str(text), true, out);
}

/* A paragraph, filled from `column` of the line on, and the end of its last line. */
static wb_status paragraph(wb_slice text, size_t column, wb_buffer *out)
{
    WB_AUTO_BUFFER escaped;
    wb_buffer_init(&escaped, TEXT_BYTES);
    WB_TRY(escape(text, false, &escaped));
    WB_TRY(wb_text_fill(wb_buffer_slice(&escaped), column, 0, out));
    return wb_buffer_printf(out, "\n");
}

/* Lines that are kept, from the first literal piece to the last one before other text. */
static wb_status kept_lines(const char **text, wb_prose *piece, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, ".EX\n"));
    for (;;) {
        const char *next = *text;
        wb_prose following;
        WB_TRY(escape(piece->text, true, out));
        WB_TRY(wb_buffer_printf(out, "\n"));
        if (!wb_prose_next(&next, &following) || !following.literal || following.text.len == 0)
            break;
        *piece = following;
        *text = next;
    }
    return wb_buffer_printf(out, ".EE\n");
}

/* Begin a paragraph, unless a heading has just done so. */
static wb_status begin_paragraph(wb_buffer *out)
{
    if (out->len == 0) return wb_buffer_printf(out, ".PP\n");
    size_t start = out->len - 1;
    while (start > 0 && out->ptr[start - 1] != '\n') start--;
    wb_slice last = wb_slice_of(out->ptr + start, out->len - start);
    return wb_slice_starts(last, WB_S(".S")) ? WB_OK : wb_buffer_printf(out, ".PP\n");
}

wb_status wb_manual_prose(const char *text, wb_buffer *out)
{
    wb_prose piece;
    while (wb_prose_next(&text, &piece)) {
        if (piece.text.len == 0) continue;
        WB_TRY(begin_paragraph(out));
        WB_TRY(piece.literal ? kept_lines(&text, &piece, out) : paragraph(piece.text, 0, out));
    }
    return WB_OK;
}

wb_status wb_manual_lines(const char *text, wb_buffer *out)
{
    WB_TRY(begin_paragraph(out));
    WB_TRY(wb_buffer_printf(out, ".EX\n"));
    WB_TRY(literal(text, out));
    return wb_buffer_printf(out, ".EE\n");
}

/* ---- the frame ------------------------------------------------------------------------------ */

wb_status wb_manual_heading(const char *title, wb_buffer *out)
{
    return wb_buffer_printf(out, ".SH %s\n", title);
}

wb_status wb_manual_subheading(const char *title, wb_buffer *out)
{
    return wb_buffer_printf(out, ".SS %s\n", title);
}

wb_status wb_manual_begin(const char *name, int section, const char *summary, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, ".\\\" Made from the tables of the program. SPDX-License-"
                                 "Identifier: Apache-2.0\n.TH "));
    for (const char *c = name; *c; c++)
        WB_TRY(wb_buffer_printf(out, "%c", *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c));
    WB_TRY(wb_buffer_printf(out, " %d " WAYBILL_DATE " \"waybill " WAYBILL_VERSION "\" Waybill\n",
                            section));
    WB_TRY(wb_manual_heading("NAME", out));
    WB_TRY(literal(name, out));
    WB_TRY(wb_buffer_printf(out, " \\- "));
    return paragraph(wb_slice_str(summary), 2 * strlen(name) + 4, out);
}

wb_status wb_manual_reference(const char *name, int section, const char *end, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, ".BR "));
    WB_TRY(literal(name, out));
    return wb_buffer_printf(out, " (%d)%s\n", section, end);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static wb_status synopsis_row(const wb_option *row, wb_buffer *out)
{
    if (row->name) {
        WB_TRY(wb_buffer_printf(out, ".OP "));
        WB_TRY(literal(row->name, out));
        return wb_buffer_printf(out, row->value ? " %s\n" : "\n", row->value);
    }
    bool many = row->kind == WB_OPTION_WORDS;
    WB_TRY(wb_buffer_printf(out, row->optional ? ".RI [ \"" : ".IR \""));
    WB_TRY(literal(row->value, out));
    return wb_buffer_printf(out, "\"%s%s\n", many ? " ..." : "", row->optional ? " ]" : "");
}

wb_status wb_manual_synopsis(const char *command, const wb_option *options, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, ".SY \"%s\"\n", command));
    for (const wb_option *row = options; !wb_option_ends(row); row++)
        if (row->name) WB_TRY(synopsis_row(row, out));
    for (const wb_option *row = options; !wb_option_ends(row); row++)
        if (!row->name) WB_TRY(synopsis_row(row, out));
    return wb_buffer_printf(out, ".YS\n");
}

/* "-h, --name VALUE" as the heading of what follows. */
static wb_status tag(const wb_option *row, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, ".TP\n"));
    if (row->also) {
        WB_TRY(wb_buffer_printf(out, "\\fB"));
        WB_TRY(literal(row->also, out));
        WB_TRY(wb_buffer_printf(out, "\\fP, "));
    }
    if (row->name) {
        WB_TRY(wb_buffer_printf(out, "\\fB"));
        WB_TRY(literal(row->name, out));
        WB_TRY(wb_buffer_printf(out, row->value ? "\\fP " : "\\fP"));
    }
    if (row->value) {
        WB_TRY(wb_buffer_printf(out, "\\fI"));
        WB_TRY(literal(row->value, out));
        WB_TRY(wb_buffer_printf(out, "\\fP"));
    }
    return wb_buffer_printf(out, "\n");
}

wb_status wb_manual_options(const wb_option *options, wb_buffer *out)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, TEXT_BYTES);
    for (const wb_option *row = options; !wb_option_ends(row); row++) {
        wb_buffer_clear(&text);
        WB_TRY(tag(row, out));
        WB_TRY(wb_option_describe(row, &text));
        WB_TRY(wb_buffer_printf(&text, "."));
        if (text.ptr[0] >= 'a' && text.ptr[0] <= 'z')
            text.ptr[0] = (uint8_t)(text.ptr[0] - 'a' + 'A');
        WB_TRY(paragraph(wb_buffer_slice(&text), 0, out));
    }
    return WB_OK;
}

static wb_status term(const char *name, wb_slice meaning, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, ".TP\n.B "));
    WB_TRY(literal(name, out));
    WB_TRY(wb_buffer_printf(out, "\n"));
    return paragraph(meaning, 0, out);
}

wb_status wb_manual_terms(const wb_term *terms, wb_buffer *out)
{
    for (; terms->term; terms++) WB_TRY(term(terms->term, wb_slice_str(terms->meaning), out));
    return WB_OK;
}

static wb_status add_key(void *self, const wb_config_row *row)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, TEXT_BYTES);
    WB_TRY(wb_buffer_printf(&text, "%s Type: %s", row->help, row->type));
    if (*row->range) WB_TRY(wb_buffer_printf(&text, ", %s", row->range));
    if (row->fallback) WB_TRY(wb_buffer_printf(&text, "; default: `%s`", row->fallback));
    WB_TRY(wb_buffer_printf(&text, "."));
    return term(row->name, wb_buffer_slice(&text), self);
}

wb_status wb_manual_keys(const wb_config_table *table, wb_buffer *out)
{
    return wb_config_each(table, add_key, out);
}
