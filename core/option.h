/* SPDX-License-Identifier: Apache-2.0 */
/* core/option.h: one row per option or argument of a command line is parser, --help, manual page and
 * shell completion at once, as a row of core/config.h is for a key of the configuration.
 *
 * A table is an array of rows that ends with an empty one. It describes a struct, the line, which
 * parsing fills; rows that were not given get their fallback. */
#ifndef WAYBILL_CORE_OPTION_H
#define WAYBILL_CORE_OPTION_H

#include "core/buffer.h"
#include "core/status.h"

typedef enum wb_option_kind {
    WB_OPTION_FLAG,   /* bool: true when it is there; takes no value */
    WB_OPTION_TEXT,   /* const char *; NULL when not given */
    WB_OPTION_MS,     /* uint64_t: "90s", "30m", "2h", "7d", or milliseconds */
    WB_OPTION_NUMBER, /* uint64_t: digits only */
    WB_OPTION_WORDS,  /* wb_words: an argument that takes all that is left, options too */
    WB_OPTION_LIST,   /* wb_words: an option's values; it may be said up to `max` times */
} wb_option_kind;

/* What a MS or a NUMBER without fallback is when it was not given. No number that can be given. */
#define WB_OPTION_UNSET UINT64_MAX

/* What a shell offers where the value is to stand, beside `choices`. */
typedef enum wb_option_hint {
    WB_HINT_NONE,
    WB_HINT_FILE,
    WB_HINT_DIR,
    WB_HINT_COMMAND,  /* the name of a program, then its arguments */
    WB_HINT_TRACE,    /* the id of a trace in the store */
    WB_HINT_VERB,     /* a verb of the program */
    WB_HINT_INSTANCE, /* the name of a sidecar */
} wb_option_hint;

typedef struct wb_words {
    char **at; /* argv's own slots; of WORDS a NULL ends them */
    size_t n;
} wb_words;

typedef struct wb_option {
    const char *name;  /* "--since"; NULL: an argument, taken in the order of the rows */
    const char *also;  /* "-h": a second name, or NULL */
    const char *value; /* "DURATION", the word that stands for the value; NULL for flags */
    wb_option_kind kind;
    size_t offset;
    bool optional;       /* an argument that may be left out; options always may */
    const char *choices; /* "a|b|c": the only values of a TEXT */
    const char *fallback;
    uint64_t min, max; /* of MS and NUMBER; 0, 0: any. Of a LIST: its most */
    wb_option_hint hint;
    const char *help; /* no full stop; choices and fallback are added to it */
} wb_option;

/* Kind and place of a row in one, checked by the compiler: WB_INTO_MS(list_line, since_ms). */
#define WB_OPTION_AT(line, field, type)                                                            \
    (offsetof(line, field) + 0 * sizeof(char[_Generic(((line *)0)->field, type : 1)]))
#define WB_INTO_FLAG(line, field) .kind = WB_OPTION_FLAG, .offset = WB_OPTION_AT(line, field, bool)
#define WB_INTO_TEXT(line, field)                                                                  \
    .kind = WB_OPTION_TEXT, .offset = WB_OPTION_AT(line, field, const char *)
#define WB_INTO_MS(line, field) .kind = WB_OPTION_MS, .offset = WB_OPTION_AT(line, field, uint64_t)
#define WB_INTO_NUMBER(line, field)                                                                \
    .kind = WB_OPTION_NUMBER, .offset = WB_OPTION_AT(line, field, uint64_t)
#define WB_INTO_WORDS(line, field)                                                                 \
    .kind = WB_OPTION_WORDS, .offset = WB_OPTION_AT(line, field, wb_words)

#define WB_INTO_LIST(line, field)                                                                  \
    .kind = WB_OPTION_LIST, .offset = WB_OPTION_AT(line, field, wb_words)

static inline bool wb_option_ends(const wb_option *row) { return !row->name && !row->value; }

/* ---- reading a command line (core/option.c) -------------------------------------------------- */

/** Options that are taken together; of arguments those of the first table are. */
typedef struct wb_option_table {
    const wb_option *options;
    void *line;
} wb_option_table;

/** How many bytes of its line a table reaches. */
size_t wb_options_extent(const wb_option *options);

/** Give every row its fallback. A table's fallbacks must be right: that is asserted. */
void wb_options_reset(const wb_option_table *table);

/** Fill the lines of `n` tables, which were reset, from argv[1] on; argv[argc] is NULL. "--x v" and
 *  "--x=v" are alike, "--" ends the options. That an argument is missing is found last.
 *  Errors  MALFORMED the reason is in `err` */
WB_MUST_USE wb_status wb_options_parse(const wb_option_table *tables, size_t n, int argc,
                                       char **argv, wb_error *err);

/** Does this look like an option, not like an argument? "-" and "--" do not. */
bool wb_option_is(const char *text);

/** Take the option at argv[*i]: *i is then at its last word. *taken is false if the table has none such.
 *  Errors  MALFORMED as wb_options_parse */
WB_MUST_USE wb_status wb_option_take(const wb_option_table *table, int argc, char **argv, int *i,
                                     bool *taken, wb_error *err);

/* ---- writing about it (core/option_text.c) --------------------------------------------------- */

enum { WB_TEXT_COLUMNS = 80 };

/** Append "[--since DURATION] ID"; "[options] ID" where `brief` and there are more than four. */
WB_MUST_USE wb_status wb_options_synopsis(const wb_option *options, bool brief, wb_buffer *out);

/** Append "--since DURATION" of a row, or "ID". */
WB_MUST_USE wb_status wb_option_heading(const wb_option *row, wb_buffer *out);

/** Append what the row means: its help with choices and fallback. */
WB_MUST_USE wb_status wb_option_describe(const wb_option *row, wb_buffer *out);

/** Append the rows as --help shows them: two columns, lines of at most WB_TEXT_COLUMNS. */
WB_MUST_USE wb_status wb_options_print(const wb_option *options, wb_buffer *out);

/** A word and what it means; a row without term ends a table. */
typedef struct wb_term {
    const char *term, *meaning;
} wb_term;

/** Append such a table likewise. */
WB_MUST_USE wb_status wb_terms_print(const wb_term *terms, wb_buffer *out);

/** Append prose: lines that follow each other are one paragraph and are filled anew, an empty line
 *  ends it, a line that begins with a space stays as it is. */
WB_MUST_USE wb_status wb_prose_print(const char *text, wb_buffer *out);

/** Append the words of `text`, a paragraph: the line was begun and is at `column`, further ones are
 *  indented. What stands in brackets stays together. */
WB_MUST_USE wb_status wb_text_fill(wb_slice text, size_t column, size_t indent, wb_buffer *out);

/** One piece of prose: a paragraph in one line, a line to be kept (`literal`), or an empty line. */
typedef struct wb_prose {
    wb_slice text; /* a paragraph may still have line feeds: they are spaces */
    bool literal;
} wb_prose;

/** The next piece of *text, which moves behind it; false at the end. */
bool wb_prose_next(const char **text, wb_prose *piece);

#endif
