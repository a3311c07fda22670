/* SPDX-License-Identifier: Apache-2.0 */
/* cli/output.h: what verbs print with: safe text, tables, times, JSON.
 *
 * Names, messages and ids come from other agents. Nothing of theirs may move the cursor, change the
 * title, reorder the line or forge one: control characters, bidirectional overrides and what is not
 * UTF-8 are shown as \x.. or \u{..}, in JSON as \u.... */
#ifndef WAYBILL_CLI_OUTPUT_H
#define WAYBILL_CLI_OUTPUT_H

#include "cli/cli.h"
#include "core/buffer.h"
#include "core/ids.h"

#include <stdio.h>

/* ---- text ----------------------------------------------------------------------------------- */

/** Append `text` made safe. NO_MEMORY the buffer's limit. */
WB_MUST_USE wb_status wb_safe_text(wb_buffer *out, wb_slice text);
/** Print it. */
void wb_print_safe(FILE *file, wb_slice text);
/** Columns that safe text takes on a terminal: one a character. */
size_t wb_text_width(wb_slice safe);

typedef enum wb_color {
    WB_COLOR_NONE,
    WB_COLOR_DIM,
    WB_COLOR_BOLD,
    WB_COLOR_GOOD,
    WB_COLOR_WARN,
    WB_COLOR_BAD,
    WB_COLOR_BAR, /* neither good nor bad */
} wb_color;

/** The escape sequence that begins the colour, or ends all (NONE); "" without colours. */
const char *wb_color_code(const wb_cli *cli, wb_color color);
/** The colour of a trace's, span's or delegation's state. */
wb_color wb_color_of_state(wb_slice state);

enum { WB_TIME_TEXT = 40 };
/** "850us" "12.3ms" "4.21s" "2m03s" "1h05m" "3d04h"; "-" for UINT64_MAX. Returns `out`. */
const char *wb_duration_text(uint64_t ns, char out[WB_TIME_TEXT]);
/** "2026-01-02 03:04:05Z"; "-" for 0. Returns `out`. */
const char *wb_time_text(wb_time_ns ns, char out[WB_TIME_TEXT]);
/** The same of Unix seconds, also where nanoseconds have no room for them. */
const char *wb_seconds_text(uint64_t seconds, char out[WB_TIME_TEXT]);
enum { WB_SIZE_TEXT = 24 };
/** "512 B", "1.5 KiB". Returns `out`. */
const char *wb_size_text(uint64_t bytes, char out[WB_SIZE_TEXT]);

/* ---- tables --------------------------------------------------------------------------------- */

enum { WB_TABLE_COLUMNS = 12 };

/** Left-aligned columns, as wide as their widest cell. Embedded: init, done. */
typedef struct wb_table {
    size_t columns, cells;
    wb_buffer text;  /* the cells, one behind the other */
    wb_buffer marks; /* of each cell: size_t end, width, wb_color */
} wb_table;

void wb_table_init(wb_table *table, size_t columns);
void wb_table_done(wb_table *table);
/** The next cell, row by row. Out of memory drops the cell's text. */
void wb_table_add(wb_table *table, wb_color color, wb_slice text);
void wb_table_addf(wb_table *table, wb_color color, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void wb_table_print(const wb_table *table, const wb_cli *cli, FILE *file);

/* ---- JSON ----------------------------------------------------------------------------------- */

/** A JSON text in the making. A failure (memory) sticks, and wb_json_out_finish tells. */
typedef struct wb_json_out {
    wb_buffer text;
    bool needs_comma;
    wb_status status;
} wb_json_out;

void wb_json_out_init(wb_json_out *out);
void wb_json_out_done(wb_json_out *out);
/* `key` is NULL within arrays and at the top. */
void wb_json_open(wb_json_out *out, const char *key, char bracket); /* '{' or '[' */
void wb_json_close(wb_json_out *out, char bracket);                 /* '}' or ']' */
void wb_json_text(wb_json_out *out, const char *key, wb_slice text);
void wb_json_text_or_null(wb_json_out *out, const char *key, wb_slice text); /* empty: null */
void wb_json_number(wb_json_out *out, const char *key, uint64_t number);
void wb_json_number_or_null(wb_json_out *out, const char *key, uint64_t number); /* 0: null */
void wb_json_real(wb_json_out *out, const char *key, double number); /* finite; 3 decimals */
void wb_json_bool(wb_json_out *out, const char *key, bool truth);
void wb_json_null(wb_json_out *out, const char *key);
void wb_json_hex(wb_json_out *out, const char *key, const void *id, size_t len); /* all 0: null */
/** JSON that is already made, such as an array from the store. */
void wb_json_raw(wb_json_out *out, const char *key, wb_slice json);
/** The key alone; the caller appends one value to out->text and sets out->status on failure. */
void wb_json_key(wb_json_out *out, const char *key);
/** Print JSON that is already made, with every character that a terminal could obey as \u....; false
 *  if writing failed. */
bool wb_print_json(FILE *file, wb_slice json);
/** Append the text and a line feed to `lines`, and forget it. NO_MEMORY, also of before. */
WB_MUST_USE wb_status wb_json_out_line(wb_json_out *out, wb_buffer *lines);
/** Print the text and a line feed, and forget it; WB_EXIT_FAILURE if memory was short or it could not be
 *  written, which is said of memory and standard output. */
wb_exit wb_json_out_finish(wb_json_out *out, FILE *file);

/* ---- lists ---------------------------------------------------------------------------------- */

/** A list of a verb: a table or, with --json, an array. Who fills it adds a row to the one of the two. */
typedef struct wb_listing {
    const wb_cli *cli;
    wb_table table;
    wb_json_out json;
} wb_listing;

void wb_listing_begin(wb_listing *list, const wb_cli *cli, const char *const *heads,
                      size_t columns);
/** Print it or, where `status` says that it could not be filled, say so: `verb` and `err`. */
wb_exit wb_listing_end(wb_listing *list, wb_status status, const char *verb, const wb_error *err);

#endif
