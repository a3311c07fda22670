/* SPDX-License-Identifier: Apache-2.0 */
/* core/config.h: one row per key is parser, default, range, printout and reference page at once.
 *
 * A table describes a struct. YAML and WAYBILL_* variables fill it; what neither names gets the row's
 * fallback. Rules of the YAML: docs/configuration.md. Not thread-safe while loading; what was loaded
 * never changes. */
#ifndef WAYBILL_CORE_CONFIG_H
#define WAYBILL_CORE_CONFIG_H

#include "core/arena.h"
#include "core/buffer.h"
#include "core/slice.h"
#include "core/status.h"

enum {
    WB_CONFIG_MAX_BYTES = 1024 * 1024, /* of a file */
    WB_CONFIG_MAX_DEPTH = 12,          /* of mappings and sequences */
    WB_CONFIG_MAX_TEXT = 4096,         /* of one value, in bytes */
    WB_CONFIG_MAX_ITEMS = 4096,        /* of one list or map */
    WB_CONFIG_MAX_KEYS = 96,           /* of the structs in one */
};

/* What a row's offset points at: */
typedef enum wb_config_type {
    WB_BOOL,    /* bool: true, false */
    WB_U32,     /* uint32_t */
    WB_NUMBER,  /* uint64_t: digits only */
    WB_BYTES,   /* uint64_t: plain, or with B KiB MiB GiB TiB */
    WB_MS,      /* uint64_t: plain milliseconds, or with ms s m h d */
    WB_SECONDS, /* uint64_t: plain seconds, or with s m h d */
    WB_CHOICE,  /* an enum of the size of uint32_t: the place of the word in `choices` */
    WB_TEXT,    /* const char *; NULL without value and fallback */
    WB_SLICE,   /* wb_slice; empty without value and fallback */
    WB_SLICES,  /* a pointer to const wb_slice and right behind it a size_t: how many */
    WB_LIST,    /* the same with the structs that `of` describes */
    WB_MAP,     /* the same; the map's key is the value of the struct's first row */
} wb_config_type;

/** A table is wrong unless WB_CONFIG_PAIR(struct, items, n) holds for such a row; assert it. */
#define WB_CONFIG_PAIR(type, items, n)                                                             \
    (offsetof(type, n) == offsetof(type, items) + sizeof(void *) &&                                \
     sizeof(((type *)NULL)->n) == sizeof(size_t))

typedef struct wb_config_table wb_config_table;

typedef struct wb_config_key {
    const char *name; /* "journal.limit_bytes": dots are levels of the YAML */
    wb_config_type type;
    const char *fallback; /* as one would write it in a variable; NULL: 0, NULL or empty */
    uint64_t min, max;    /* of a number; bytes of a text; items of a list. 0, 0: no limits beyond
                             the enum above */
    size_t offset;
    const char *help;
    const char *choices;       /* WB_CHOICE: "a|b|c"; an empty word is a place that has no name */
    const wb_config_table *of; /* WB_LIST, WB_MAP: the structs inside */
    const char
        *only; /* within a LIST or MAP: there is no such key unless the row `type` of the same
                         struct, a WB_CHOICE, is this word. NULL: always */
    /* SLICES: may the last of `n` texts be there, behind the others? CONFIG says why not; file and line are put before
     * it. NULL: any text */
    wb_status (*check)(const wb_slice *items, size_t n, wb_error *err);
    bool
        live; /* a reload takes it; all others keep the value of the start. Within a LIST or MAP that is not
                     live: the caller takes it from what was read anew, and it makes nothing stale */
    bool
        hides_secrets; /* what is printed has ***: of a TEXT, as core/store_url.h says; of SLICES, each
                          text's part behind = or : */
} wb_config_key;

struct wb_config_table {
    const wb_config_key *keys;
    size_t n;
    size_t size; /* of the struct */
};

/** Where values come from. Both may be absent. */
typedef struct wb_config_source {
    const char *name; /* of the file, for errors; NULL: no file */
    wb_slice yaml;
    char *const *env; /* as environ; NULL: no variables */
} wb_config_source;

/** Fill the struct at `out` (table->size bytes, written on WB_OK only). Slices, texts and lists live in
 *  `arena`, texts with a NUL behind them.
 *  Errors  CONFIG with the key, or with file and line: not YAML, unknown or repeated key, wrong type,
 *          out of range, alias, tag, too deep, too large | NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_config_load(const wb_config_table *table, const wb_config_source *source,
                                     wb_arena *arena, void *out, wb_error *err);

/** Read a file of at most WB_CONFIG_MAX_BYTES into `arena`.
 *  Errors  NOT_FOUND | CONFIG cannot be read, not a regular file, too large | NO_MEMORY */
WB_MUST_USE wb_status wb_config_read_file(const char *path, wb_arena *arena, wb_slice *out,
                                          wb_error *err);

/** What holds after a reload: `running`, but for the live keys, which are as in `fresh`. Texts and lists
 *  stay where they are, so `out` is good for as long as both.
 *  out      may be touched on failure; fields that are no key's are `running`'s
 *  on_stale called with the name (static) of each other key in which the two differ; may be NULL
 *  Errors   NO_MEMORY */
WB_MUST_USE wb_status wb_config_renew(const wb_config_table *table, const void *running,
                                      const void *fresh, void *out,
                                      void (*on_stale)(void *self, const char *key), void *self,
                                      wb_error *err);

/** Append what is in force as YAML, every key; loading it again gives the same. NO_MEMORY at the
 *  buffer's limit. */
WB_MUST_USE wb_status wb_config_print(const wb_config_table *table, const void *values,
                                      wb_buffer *out);

/** A row of the reference, as text. */
typedef struct wb_config_row {
    const char *name; /* of rows within others: "peers[].id", "exporters.NAME.type" */
    const char *type;
    const char *fallback; /* NULL: none */
    const char *range;    /* "1 to 64 items", "a, b, c"; "" without limits */
    const char *env;      /* "" where no variable sets it */
    const char *help;     /* with "(reload)" where a reload takes it */
} wb_config_row;

/** Call `each` for every key, and for those within it; its first failure ends it. */
WB_MUST_USE wb_status wb_config_each(const wb_config_table *table,
                                     wb_status (*each)(void *self, const wb_config_row *row),
                                     void *self);

/** Append the reference: a Markdown table, one line per key. NO_MEMORY at the buffer's limit. */
WB_MUST_USE wb_status wb_config_reference(const wb_config_table *table, wb_buffer *out);

/** The variable that overrides a key: "journal.limit_bytes" is WAYBILL_JOURNAL_LIMIT_BYTES. */
enum { WB_CONFIG_ENV_MAX = 96 };
void wb_config_env_name(const char *key, char out[WB_CONFIG_ENV_MAX]);

/** A part's own section as its `open` gets it: `values` is the struct that its table describes. */
typedef struct wb_config_section {
    const char *name;
    const void *values;
} wb_config_section;

#endif
