/* SPDX-License-Identifier: Apache-2.0 */
/* YAML is read as libyaml's stream of events, top down, against the table: what the table does not
 * know is refused where it stands, so nothing is ever built that no key asked for, and the depth of
 * the recursion is the table's. Of YAML we take mappings, sequences and scalars; anchors, aliases
 * (which let 1 KiB expand without end), tags and second documents are refused.
 *
 * Order of precedence: variable, file, fallback. A list or map in a variable is YAML again (flow style
 * fits on one line: WAYBILL_PEERS='[{id: ..., origins: [...]}]'), a list of texts is split at commas.
 *
 * The struct is filled in the arena and copied out at the very end: a refused file leaves the
 * caller's struct as it was, which is what a reload needs. */
#include "core/config.h"

#include "core/config_value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; type 0 before the first */
    const char *file;
    const char *key; /* being read, for errors; NULL outside of one */
    wb_arena *arena;
    int depth;
    wb_error *err;
} reader;

static void reader_done(reader *r)
{
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
}

static wb_status fail_at(reader *r, size_t line, const char *what)
{
    return wb_fail(r->err, WB_ERR_CONFIG, "%s:%zu: %s%s%s", r->file, line + 1, r->key ? r->key : "",
                   r->key ? ": " : "", what);
}

static wb_status fail_here(reader *r, const char *what)
{
    return fail_at(r, r->event.start_mark.line, what);
}

/* Put file and line before the reason that a value's parser gave. */
static wb_status placed(reader *r, wb_status status, const wb_error *why)
{
    if (status != WB_ERR_CONFIG)
        return status == WB_OK ? WB_OK : wb_fail(r->err, status, "%s", why->detail);
    return fail_here(r, why->detail);
}

static bool is_plain_event(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT: return !e->data.scalar.anchor && !e->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return !e->data.sequence_start.anchor && !e->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return !e->data.mapping_start.anchor && !e->data.mapping_start.tag;
    case YAML_ALIAS_EVENT: return false;
    default: return true;
    }
}

static wb_status next(reader *r)
{
    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        memset(&r->event, 0, sizeof r->event);
        if (r->parser.error == YAML_MEMORY_ERROR)
            return wb_fail(r->err, WB_ERR_NO_MEMORY, "too much configuration");
        r->key = NULL;
        return fail_at(r, r->parser.problem_mark.line,
                       r->parser.problem ? r->parser.problem : "not YAML");
    }
    if (!is_plain_event(&r->event)) return fail_here(r, "anchors, aliases and tags are not taken");
    return WB_OK;
}

static wb_status expect(reader *r, yaml_event_type_t type, const char *what)
{
    return r->event.type == type ? WB_OK : fail_here(r, what);
}

static wb_slice scalar(const reader *r)
{
    return wb_slice_of(r->event.data.scalar.value, r->event.data.scalar.length);
}

/* "key:" with nothing behind it, or one of YAML's words for nothing. */
static bool is_null(const reader *r)
{
    if (r->event.type != YAML_SCALAR_EVENT) return false;
    if (r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return false;
    wb_slice s = scalar(r);
    return s.len == 0 || wb_slice_eq(s, WB_S("~")) || wb_slice_eq(s, WB_S("null"));
}

static wb_status out_of_memory(reader *r)
{
    return wb_fail(r->err, WB_ERR_NO_MEMORY, "too much configuration");
}

/* ---- items of a list, in the arena ------------------------------------------------------------ */

typedef struct items {
    uint8_t *at;
    size_t n, cap, size;
} items;

static wb_status items_add(reader *r, items *list, void **out)
{
    if (list->n == WB_CONFIG_MAX_ITEMS) return fail_here(r, "too many items");
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 8;
        uint8_t *grown = wb_arena_array(r->arena, cap, list->size);
        if (!grown) return out_of_memory(r);
        if (list->n) memcpy(grown, list->at, list->n * list->size);
        list->at = grown;
        list->cap = cap;
    }
    *out = list->at + list->n++ * list->size;
    return WB_OK;
}

static wb_status key_twice(reader *r, wb_slice name)
{
    wb_error why;
    char what[96] = "a key is there twice";
    if (wb_config_text_check(name, &why) == WB_OK && name.len <= 64)
        (void)snprintf(what, sizeof what, "the key %.*s is there twice", WB_SLICE_ARG(name));
    return fail_here(r, what);
}

/* Names seen in one mapping, to refuse the second of a kind. */
static wb_status note_name(reader *r, items *seen, wb_slice name)
{
    const wb_slice *names = (const wb_slice *)(const void *)seen->at;
    for (size_t i = 0; i < seen->n; i++)
        if (wb_slice_eq(names[i], name)) return key_twice(r, name);
    void *place = NULL;
    WB_TRY(items_add(r, seen, &place));
    wb_slice copy = {0};
    if (wb_arena_dup(r->arena, name, &copy) != WB_OK) return out_of_memory(r);
    memcpy(place, &copy, sizeof copy);
    return WB_OK;
}

static wb_status end_items(reader *r, const wb_config_key *key, const items *list, void *base)
{
    wb_error why = {.detail = ""};
    WB_TRY(placed(r, wb_config_count_check(key, list->n, "items", &why), &why));
    wb_config_items value = {list->at, list->n};
    memcpy((uint8_t *)base + key->offset, &value, sizeof value);
    return WB_OK;
}

/* Add one text of a list of texts. */
static wb_status add_text(reader *r, const wb_config_key *key, wb_slice text, items *list)
{
    wb_error why = {.detail = ""};
    void *place = NULL;
    wb_slice copy = {0};
    WB_TRY(placed(r, wb_config_text_check(text, &why), &why));
    WB_TRY(items_add(r, list, &place));
    if (wb_arena_dup(r->arena, text, &copy) != WB_OK) return out_of_memory(r);
    memcpy(place, &copy, sizeof copy);
    if (!key->check) return WB_OK;
    return placed(r, key->check((const wb_slice *)(const void *)list->at, list->n, &why), &why);
}

/* ---- defaults -------------------------------------------------------------------------------- */

static wb_status split_at_commas(const wb_config_key *key, wb_slice text, reader *r, void *base)
{
    items list = {.size = sizeof(wb_slice)};
    for (size_t at = 0; at <= text.len;) {
        const uint8_t *comma = at < text.len ? memchr(text.ptr + at, ',', text.len - at) : NULL;
        size_t end = comma ? (size_t)(comma - text.ptr) : text.len;
        wb_slice word = {text.ptr + at, end - at};
        while (word.len && word.ptr[0] == ' ') word = (wb_slice){word.ptr + 1, word.len - 1};
        while (word.len && word.ptr[word.len - 1] == ' ') word.len--;
        WB_TRY(add_text(r, key, word, &list));
        at = end + 1;
    }
    return end_items(r, key, &list, base);
}

static wb_status set_defaults(reader *r, const wb_config_table *table, void *base)
{
    for (size_t i = 0; i < table->n; i++) {
        const wb_config_key *key = &table->keys[i];
        if (!key->fallback) continue;
        wb_error why;
        wb_status status =
            key->type == WB_SLICES
                ? split_at_commas(key, wb_slice_str(key->fallback), r, base)
                : wb_config_value_parse(key, wb_slice_str(key->fallback), r->arena, base, &why);
        WB_ASSERT(status != WB_ERR_CONFIG); /* a fallback is ours */
        if (status != WB_OK) return out_of_memory(r);
    }
    return WB_OK;
}

/* ---- values ---------------------------------------------------------------------------------- */

static wb_status read_mapping(reader *r, const wb_config_table *table, wb_slice prefix, void *base);

static wb_status read_scalar(reader *r, const wb_config_key *key, void *base)
{
    wb_error why = {.detail = ""};
    WB_TRY(expect(r, YAML_SCALAR_EVENT, "one value is needed, not a list or section"));
    if (is_null(r)) return fail_here(r, "there is no value");
    return placed(r, wb_config_value_parse(key, scalar(r), r->arena, base, &why), &why);
}

static wb_status read_slices(reader *r, const wb_config_key *key, void *base)
{
    items list = {.size = sizeof(wb_slice)};
    WB_TRY(expect(r, YAML_SEQUENCE_START_EVENT, "a list is needed"));
    WB_TRY(next(r));
    for (; r->event.type != YAML_SEQUENCE_END_EVENT;) {
        WB_TRY(expect(r, YAML_SCALAR_EVENT, "a list of texts is needed"));
        if (is_null(r)) return fail_here(r, "there is no value");
        WB_TRY(add_text(r, key, scalar(r), &list));
        WB_TRY(next(r));
    }
    return end_items(r, key, &list, base);
}

/* Inside a list or map, a row that asks for at least one byte or item and has no fallback must be
 * written. The outermost table has no such rule: a program runs without configuration. */
static wb_status check_required(reader *r, const wb_config_table *table, const void *base)
{
    for (size_t i = 0; i < table->n; i++) {
        const wb_config_key *key = &table->keys[i];
        const void *place = (const uint8_t *)base + key->offset;
        if (key->fallback || key->min == 0 || !wb_config_applies(table, key, base)) continue;
        bool there = true;
        if (key->type == WB_TEXT) there = *(const char *const *)place != NULL;
        if (key->type == WB_SLICE) there = ((const wb_slice *)place)->ptr != NULL;
        if (key->type == WB_SLICES) there = ((const wb_config_items *)place)->n > 0;
        if (there) continue;
        r->key = key->name;
        return fail_here(r, "this key is needed");
    }
    return WB_OK;
}

static wb_status read_list(reader *r, const wb_config_key *key, void *base)
{
    items list = {.size = key->of->size};
    WB_TRY(expect(r, YAML_SEQUENCE_START_EVENT, "a list is needed"));
    WB_TRY(next(r));
    for (; r->event.type != YAML_SEQUENCE_END_EVENT;) {
        void *item = NULL;
        WB_TRY(items_add(r, &list, &item));
        WB_TRY(set_defaults(r, key->of, item));
        WB_TRY(read_mapping(r, key->of, WB_S(""), item));
        WB_TRY(check_required(r, key->of, item));
        r->key = key->name;
        WB_TRY(next(r));
    }
    return end_items(r, key, &list, base);
}

static wb_status read_map(reader *r, const wb_config_key *key, void *base)
{
    items list = {.size = key->of->size}, seen = {.size = sizeof(wb_slice)};
    const wb_config_table inside = {key->of->keys + 1, key->of->n - 1, key->of->size};
    wb_error why = {.detail = ""};
    WB_TRY(expect(r, YAML_MAPPING_START_EVENT, "a section is needed"));
    WB_TRY(next(r));
    for (; r->event.type != YAML_MAPPING_END_EVENT;) {
        void *item = NULL;
        WB_TRY(expect(r, YAML_SCALAR_EVENT, "a name is needed"));
        WB_TRY(note_name(r, &seen, scalar(r)));
        WB_TRY(items_add(r, &list, &item));
        WB_TRY(set_defaults(r, key->of, item));
        WB_TRY(
            placed(r, wb_config_value_parse(key->of->keys, scalar(r), r->arena, item, &why), &why));
        WB_TRY(next(r));
        WB_TRY(read_mapping(r, &inside, WB_S(""), item));
        WB_TRY(check_required(r, key->of, item));
        r->key = key->name;
        WB_TRY(next(r));
    }
    return end_items(r, key, &list, base);
}

static wb_status read_value(reader *r, const wb_config_key *key, void *base)
{
    r->key = key->name;
    if (wb_config_is_scalar(key->type)) return read_scalar(r, key, base);
    if (key->type == WB_SLICES) return read_slices(r, key, base);
    if (key->type == WB_LIST) return read_list(r, key, base);
    return read_map(r, key, base);
}

/* ---- sections -------------------------------------------------------------------------------- */

/* The row `prefix` + `name`, or the row whose name shows that this is a section. */
static const wb_config_key *find(const wb_config_table *table, wb_slice prefix, wb_slice name,
                                 bool *section)
{
    if (name.len == 0 || memchr(name.ptr, '.', name.len)) return NULL;
    for (size_t i = 0; i < table->n; i++) {
        wb_slice row = wb_slice_str(table->keys[i].name);
        if (!wb_slice_starts(row, prefix)) continue;
        wb_slice rest = {row.ptr + prefix.len, row.len - prefix.len};
        if (!wb_slice_starts(rest, name)) continue;
        *section = rest.len > name.len && rest.ptr[name.len] == '.';
        if (*section || rest.len == name.len) return &table->keys[i];
    }
    return NULL;
}

static wb_status unknown_key(reader *r)
{
    wb_error why;
    wb_slice name = scalar(r);
    bool shown = wb_config_text_check(name, &why) == WB_OK && name.len <= 64;
    char what[96];
    (void)snprintf(what, sizeof what, "unknown key%s%.*s", shown ? " " : "",
                   shown ? (int)name.len : 0, (const char *)name.ptr);
    return fail_here(r, what);
}

static wb_status read_member(reader *r, const wb_config_table *table, wb_slice prefix, void *base)
{
    bool section = false;
    wb_slice name = scalar(r);
    const wb_config_key *key = find(table, prefix, name, &section);
    if (!key) return unknown_key(r);
    size_t name_len = name.len; /* the name itself dies with its event */
    WB_TRY(next(r));
    if (!section) return read_value(r, key, base);
    return read_mapping(r, table, wb_slice_of(key->name, prefix.len + name_len + 1), base);
}

/* Was a key written that another `type` has? Known only at the end, since `type` may stand last. */
static wb_status check_type(reader *r, const wb_config_table *table, const items *seen,
                            const void *base)
{
    const wb_slice *names = (const wb_slice *)(const void *)seen->at;
    for (size_t i = 0; i < seen->n; i++) {
        const char *only = NULL;
        bool applies = false;
        for (size_t k = 0; k < table->n && !applies; k++) {
            const char *row = table->keys[k].name;
            if (!wb_slice_eq(names[i], wb_slice_of(row, strcspn(row, ".")))) continue;
            applies = wb_config_applies(table, &table->keys[k], base);
            only = table->keys[k].only;
        }
        if (applies) continue;
        char what[96];
        (void)snprintf(what, sizeof what, "the key %.*s is there with type: %s only",
                       WB_SLICE_ARG(names[i]), only);
        return fail_here(r, what);
    }
    return WB_OK;
}

static wb_status read_mapping(reader *r, const wb_config_table *table, wb_slice prefix, void *base)
{
    items seen = {.size = sizeof(wb_slice)};
    if (is_null(r)) return WB_OK; /* "journal:" with every line below it commented out */
    WB_TRY(expect(r, YAML_MAPPING_START_EVENT, "a section of keys is needed"));
    if (++r->depth > WB_CONFIG_MAX_DEPTH) return fail_here(r, "nested too deep");
    WB_TRY(next(r));
    for (; r->event.type != YAML_MAPPING_END_EVENT;) {
        r->key = NULL;
        WB_TRY(expect(r, YAML_SCALAR_EVENT, "a key is needed"));
        WB_TRY(note_name(r, &seen, scalar(r)));
        WB_TRY(read_member(r, table, prefix, base));
        WB_TRY(next(r));
    }
    r->key = NULL;
    r->depth--;
    return prefix.len > 0 ? WB_OK : check_type(r, table, &seen, base);
}

/* ---- whole texts ----------------------------------------------------------------------------- */

/* One document that holds one value: the table's root, or that of `key`. */
static wb_status read_document(reader *r, const wb_config_table *table, const wb_config_key *key,
                               void *base)
{
    WB_TRY(next(r)); /* stream start */
    WB_TRY(next(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return WB_OK;
    WB_TRY(next(r)); /* behind the document's start */
    WB_TRY(key ? read_value(r, key, base) : read_mapping(r, table, WB_S(""), base));
    WB_TRY(next(r)); /* document end */
    WB_TRY(next(r));
    return expect(r, YAML_STREAM_END_EVENT, "one document only");
}

static wb_status read_yaml(reader *outer, const char *file, wb_slice text,
                           const wb_config_table *table, const wb_config_key *key, void *base)
{
    if (text.len > WB_CONFIG_MAX_BYTES)
        return wb_fail(outer->err, WB_ERR_CONFIG, "%s: larger than %d bytes", file,
                       WB_CONFIG_MAX_BYTES);
    __attribute__((cleanup(reader_done)))
    reader r = {.file = file, .arena = outer->arena, .err = outer->err};
    if (!yaml_parser_initialize(&r.parser)) return out_of_memory(outer);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, text.ptr, text.len);
    return read_document(&r, table, key, base);
}

static const char *env_find(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') return *env + len + 1;
    return NULL;
}

static wb_status read_variable(reader *r, const wb_config_key *key, const char *name, wb_slice text,
                               void *base)
{
    wb_error why = {.detail = ""};
    reader named = {.file = name, .arena = r->arena, .err = r->err};
    if (key->type == WB_SLICES) return split_at_commas(key, text, &named, base);
    if (!wb_config_is_scalar(key->type)) return read_yaml(r, name, text, NULL, key, base);
    wb_status status = wb_config_value_parse(key, text, r->arena, base, &why);
    return status == WB_OK ? WB_OK : wb_fail(r->err, status, "%s: %s", name, why.detail);
}

static wb_status read_environment(reader *r, const wb_config_table *table, char *const *env,
                                  void *base)
{
    for (size_t i = 0; i < table->n; i++) {
        char name[WB_CONFIG_ENV_MAX];
        wb_config_env_name(table->keys[i].name, name);
        const char *text = env_find(env, name);
        if (!text || !*text) continue; /* an empty variable is one that is not set */
        WB_TRY(read_variable(r, &table->keys[i], name, wb_slice_str(text), base));
    }
    return WB_OK;
}

wb_status wb_config_load(const wb_config_table *table, const wb_config_source *source,
                         wb_arena *arena, void *out, wb_error *err)
{
    wb_error ignored;
    reader r = {.file = "defaults", .arena = arena, .err = err ? err : &ignored};
    void *base = wb_arena_alloc(arena, table->size);
    if (!base) return out_of_memory(&r);
    WB_TRY(set_defaults(&r, table, base));
    if (source->name) {
        const char *slash = strrchr(source->name, '/');
        const char *file = slash ? slash + 1 : source->name;
        WB_TRY(read_yaml(&r, file, source->yaml, table, NULL, base));
    }
    if (source->env) WB_TRY(read_environment(&r, table, source->env, base));
    memcpy(out, base, table->size);
    return WB_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void close_at(const int *fd)
{
    if (*fd >= 0) (void)close(*fd);
}

static wb_status read_whole(int fd, const char *path, uint8_t *bytes, size_t size, wb_error *err)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = read(fd, bytes + at, size - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s", path);
        if (n == 0) return wb_fail(err, WB_ERR_CONFIG, "%s: shrank while it was read", path);
        at += (size_t)n;
    }
    return WB_OK;
}

wb_status wb_config_read_file(const char *path, wb_arena *arena, wb_slice *out, wb_error *err)
{
    struct stat facts;
    /* Non-blocking, so that a FIFO cannot hold the start. */
    __attribute__((cleanup(close_at))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return wb_fail_errno(err, errno == ENOENT ? WB_ERR_NOT_FOUND : WB_ERR_CONFIG, errno, "%s",
                             path);
    if (fstat(fd, &facts) != 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s", path);
    if (!S_ISREG(facts.st_mode)) return wb_fail(err, WB_ERR_CONFIG, "%s: not a regular file", path);
    if (facts.st_size > WB_CONFIG_MAX_BYTES)
        return wb_fail(err, WB_ERR_CONFIG, "%s: larger than %d bytes", path, WB_CONFIG_MAX_BYTES);
    size_t size = (size_t)facts.st_size;
    uint8_t *bytes = wb_arena_alloc(arena, size);
    if (!bytes) return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration");
    WB_TRY(read_whole(fd, path, bytes, size, err));
    *out = (wb_slice){bytes, size};
    return WB_OK;
}
