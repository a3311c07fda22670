/* SPDX-License-Identifier: Apache-2.0 */
/* What a table of options says of itself as text for a terminal. Widths count bytes: the tables are
 * ASCII. */
#include "core/option.h"

enum { HEADING_COLUMNS = 24, BRIEF_FROM = 5 };

/* ---- filling -------------------------------------------------------------------------------- */

typedef struct filler {
    wb_buffer *out;
    size_t indent; /* of every line but the first, which the caller began */
    size_t column;
    bool any; /* a word on this line */
} filler;

static wb_status fill_word(filler *f, wb_slice word)
{
    if (f->any && f->column + 1 + word.len > WB_TEXT_COLUMNS) {
        WB_TRY(wb_buffer_printf(f->out, "\n%*s", (int)f->indent, ""));
        f->column = f->indent;
        f->any = false;
    }
    if (f->any) WB_TRY(wb_buffer_printf(f->out, " "));
    f->column += word.len + f->any;
    f->any = true;
    return wb_buffer_add_slice(f->out, word);
}

wb_status wb_text_fill(wb_slice text, size_t column, size_t indent, wb_buffer *out)
{
    filler f = {.out = out, .indent = indent, .column = column};
    size_t i = 0;
    while (i < text.len) {
        size_t start = i, depth = 0;
        for (; i < text.len; i++) {
            uint8_t c = text.ptr[i];
            if (c == '[') depth++;
            if (c == ']' && depth > 0) depth--;
            if (depth == 0 && (c == ' ' || c == '\n')) break;
        }
        if (i > start) WB_TRY(fill_word(&f, wb_slice_of(text.ptr + start, i - start)));
        i++;
    }
    return WB_OK;
}

bool wb_prose_next(const char **text, wb_prose *piece)
{
    const char *start = *text, *at = start;
    if (!*start) return false;
    piece->literal = *start == ' ' || *start == '\n';
    do {
        at += strcspn(at, "\n");
        piece->text = wb_slice_of(start, (size_t)(at - start));
        at += *at == '\n';
    } while (!piece->literal && *at && *at != ' ' && *at != '\n');
    *text = at;
    return true;
}

wb_status wb_prose_print(const char *text, wb_buffer *out)
{
    wb_prose piece;
    while (wb_prose_next(&text, &piece)) {
        WB_TRY(piece.literal ? wb_buffer_add_slice(out, piece.text)
                             : wb_text_fill(piece.text, 0, 0, out));
        WB_TRY(wb_buffer_printf(out, "\n"));
    }
    return WB_OK;
}

/* ---- rows ----------------------------------------------------------------------------------- */

wb_status wb_option_heading(const wb_option *row, wb_buffer *out)
{
    if (row->also) WB_TRY(wb_buffer_printf(out, "%s, ", row->also));
    if (row->name) WB_TRY(wb_buffer_printf(out, "%s", row->name));
    if (row->name && row->value) WB_TRY(wb_buffer_printf(out, " "));
    return row->value ? wb_buffer_printf(out, "%s", row->value) : WB_OK;
}

static wb_status add_choices(const char *choices, wb_buffer *out)
{
    const char *between = ": ";
    while (*choices) {
        size_t len = strcspn(choices, "|");
        WB_TRY(wb_buffer_printf(out, "%s%.*s", between, (int)len, choices));
        choices += len + (choices[len] == '|');
        between = strchr(choices, '|') ? ", " : " or ";
    }
    return WB_OK;
}

wb_status wb_option_describe(const wb_option *row, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "%s", row->help));
    if (row->choices) WB_TRY(add_choices(row->choices, out));
    return row->fallback ? wb_buffer_printf(out, " (default: %s)", row->fallback) : WB_OK;
}

static size_t heading_width(const wb_option *row)
{
    size_t width = row->also ? strlen(row->also) + 2 : 0;
    if (row->name) width += strlen(row->name);
    if (row->value) width += strlen(row->value);
    return width + (row->name && row->value);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Behind a heading of `width` columns that was written: its meaning, in the second column. */
static wb_status print_meaning(size_t width, wb_slice meaning, size_t column, wb_buffer *out)
{
    if (2 + width + 2 > column)
        WB_TRY(wb_buffer_printf(out, "\n%*s", (int)column, ""));
    else
        WB_TRY(wb_buffer_printf(out, "%*s", (int)(column - 2 - width), ""));
    WB_TRY(wb_text_fill(meaning, column, column, out));
    return wb_buffer_printf(out, "\n");
}

static wb_status print_row(const wb_option *row, size_t column, wb_buffer *out)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, out->limit);
    WB_TRY(wb_option_describe(row, &text));
    WB_TRY(wb_buffer_printf(out, "  "));
    WB_TRY(wb_option_heading(row, out));
    return print_meaning(heading_width(row), wb_buffer_slice(&text), column, out);
}

wb_status wb_options_print(const wb_option *options, wb_buffer *out)
{
    size_t widest = 0;
    for (const wb_option *row = options; !wb_option_ends(row); row++)
        if (heading_width(row) <= HEADING_COLUMNS) widest = larger(widest, heading_width(row));
    for (const wb_option *row = options; !wb_option_ends(row); row++)
        WB_TRY(print_row(row, widest + 4, out));
    return WB_OK;
}

wb_status wb_terms_print(const wb_term *terms, wb_buffer *out)
{
    size_t widest = 0;
    for (const wb_term *t = terms; t->term; t++)
        if (strlen(t->term) <= HEADING_COLUMNS) widest = larger(widest, strlen(t->term));
    for (const wb_term *t = terms; t->term; t++) {
        WB_TRY(wb_buffer_printf(out, "  %s", t->term));
        WB_TRY(print_meaning(strlen(t->term), wb_slice_str(t->meaning), widest + 4, out));
    }
    return WB_OK;
}

/* ---- the synopsis --------------------------------------------------------------------------- */

static wb_status add_option(const wb_option *row, wb_buffer *out)
{
    const char *gap = out->len > 0 ? " " : "";
    const char *often = row->kind == WB_OPTION_LIST ? "..." : "";
    return row->value ? wb_buffer_printf(out, "%s[%s %s]%s", gap, row->name, row->value, often)
                      : wb_buffer_printf(out, "%s[%s]", gap, row->name);
}

static wb_status add_argument(const wb_option *row, wb_buffer *out)
{
    const char *gap = out->len > 0 ? " " : "";
    const char *more = row->kind == WB_OPTION_WORDS ? "..." : "";
    return wb_buffer_printf(out, row->optional ? "%s[%s%s]" : "%s%s%s", gap, row->value, more);
}

wb_status wb_options_synopsis(const wb_option *options, bool brief, wb_buffer *out)
{
    size_t n = 0;
    for (const wb_option *row = options; !wb_option_ends(row); row++) n += row->name != NULL;
    if (brief && n >= BRIEF_FROM) WB_TRY(wb_buffer_printf(out, "[options]"));
    for (const wb_option *row = options; !wb_option_ends(row); row++)
        if (row->name && !(brief && n >= BRIEF_FROM)) WB_TRY(add_option(row, out));
    for (const wb_option *row = options; !wb_option_ends(row); row++)
        if (!row->name) WB_TRY(add_argument(row, out));
    return WB_OK;
}
