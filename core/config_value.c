/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are whole and without sign; a unit multiplies and the product is checked. Text is printable
 * UTF-8 on one line, because every text of the configuration ends in a log line, a path or an id: the
 * control characters of C0 and C1, the line breaks that YAML knows beyond them (U+2028, U+2029) and
 * the byte order mark are refused, which also makes printing exact with two escapes only. */
#include "core/config_value.h"

#include "core/store_url.h"
#include "core/utf8.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

#define KIB UINT64_C(1024)
static const unit byte_units[] = {{"TiB", KIB *KIB *KIB *KIB},
                                  {"GiB", KIB *KIB *KIB},
                                  {"MiB", KIB *KIB},
                                  {"KiB", KIB},
                                  {"B", 1},
                                  {NULL, 0}};
static const unit ms_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const unit second_units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {NULL, 0}};
static const unit no_units[] = {{NULL, 0}};

bool wb_config_is_scalar(wb_config_type type)
{
    return type != WB_SLICES && type != WB_LIST && type != WB_MAP;
}

static wb_slice choice_word(const wb_config_key *key, uint32_t place)
{
    const char *word = key->choices;
    while (place > 0 && *word) {
        word += strcspn(word, "|");
        if (*word == '|') word++;
        place--;
    }
    return wb_slice_of(word, strcspn(word, "|"));
}

bool wb_config_applies(const wb_config_table *table, const wb_config_key *key, const void *base)
{
    if (!key->only) return true;
    for (size_t i = 0; i < table->n; i++) {
        const wb_config_key *type = &table->keys[i];
        if (strcmp(type->name, "type") != 0) continue;
        const void *place = (const uint8_t *)base + type->offset;
        return wb_slice_eq(choice_word(type, *(const uint32_t *)place), wb_slice_str(key->only));
    }
    WB_ASSERT(!"a table with a row `type`");
    return false;
}

static const unit *units_of(wb_config_type type)
{
    switch (type) {
    case WB_BYTES: return byte_units;
    case WB_MS: return ms_units;
    case WB_SECONDS: return second_units;
    default: return no_units;
    }
}

static wb_status parse_number(wb_config_type type, wb_slice text, uint64_t *out, wb_error *err)
{
    uint64_t value = 0;
    size_t at = 0;
    for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text.ptr[at] - '0', &value))
            return wb_fail(err, WB_ERR_CONFIG, "the number is too large");
    }
    if (at == 0) return wb_fail(err, WB_ERR_CONFIG, "a whole number is needed");
    while (at < text.len && text.ptr[at] == ' ') at++;
    wb_slice rest = {text.ptr + at, text.len - at};
    *out = value;
    if (rest.len == 0) return WB_OK;
    for (const unit *u = units_of(type); u->name; u++) {
        if (!wb_slice_eq(rest, wb_slice_str(u->name))) continue;
        if (__builtin_mul_overflow(value, u->factor, out))
            return wb_fail(err, WB_ERR_CONFIG, "the number is too large");
        return WB_OK;
    }
    return wb_fail(err, WB_ERR_CONFIG, "a number of %s is needed",
                   type == WB_BYTES     ? "bytes (B, KiB, MiB, GiB, TiB)"
                   : type == WB_MS      ? "milliseconds (or with ms, s, m, h, d)"
                   : type == WB_SECONDS ? "seconds (or with s, m, h, d)"
                                        : "digits only");
}

static wb_status number_in_range(const wb_config_key *key, uint64_t value, wb_error *err)
{
    bool limited = key->min || key->max;
    if (!limited || (value >= key->min && value <= key->max)) return WB_OK;
    if (key->max == UINT64_MAX)
        return wb_fail(err, WB_ERR_CONFIG, "%" PRIu64 " is below %" PRIu64, value, key->min);
    return wb_fail(err, WB_ERR_CONFIG, "%" PRIu64 " is not within %" PRIu64 " to %" PRIu64, value,
                   key->min, key->max);
}

wb_status wb_config_count_check(const wb_config_key *key, size_t n, const char *unit_name,
                                wb_error *err)
{
    bool limited = key->min || key->max;
    if (!limited || (n >= key->min && n <= key->max)) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG, "%zu %s, not within %" PRIu64 " to %" PRIu64, n, unit_name,
                   key->min, key->max);
}

/* A character that would break a line or hide in one. */
static bool is_unprintable(const uint8_t *c, size_t len)
{
    if (len == 1) return c[0] < 0x20 || c[0] == 0x7F;
    if (len == 2) return c[0] == 0xC2 && c[1] < 0xA0; /* U+0080 to U+009F */
    if (len != 3) return false;
    return (c[0] == 0xE2 && c[1] == 0x80 && (c[2] == 0xA8 || c[2] == 0xA9)) || /* U+2028, U+2029 */
           (c[0] == 0xEF && c[1] == 0xBB && c[2] == 0xBF) ||                   /* U+FEFF */
           (c[0] == 0xEF && c[1] == 0xBF && c[2] >= 0xBE);                     /* U+FFFE, U+FFFF */
}

wb_status wb_config_text_check(wb_slice text, wb_error *err)
{
    if (text.len > WB_CONFIG_MAX_TEXT)
        return wb_fail(err, WB_ERR_CONFIG, "longer than %d bytes", WB_CONFIG_MAX_TEXT);
    for (size_t at = 0; at < text.len;) {
        size_t len = wb_utf8_char((wb_slice){text.ptr + at, text.len - at});
        if (len == 0) return wb_fail(err, WB_ERR_CONFIG, "not UTF-8");
        if (is_unprintable(text.ptr + at, len))
            return wb_fail(err, WB_ERR_CONFIG, "a control character or line break in the text");
        at += len;
    }
    return WB_OK;
}

const char *wb_config_choices_say(const char *choices, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (const char *word = choices; *word && used < size;) {
        size_t len = strcspn(word, "|");
        if (len > 0)
            used += (size_t)snprintf(out + used, size - used, "%s%.*s", used ? ", " : "", (int)len,
                                     word);
        word += len + (word[len] == '|');
    }
    return out;
}

static wb_status parse_choice(const wb_config_key *key, wb_slice text, uint32_t *out, wb_error *err)
{
    uint32_t place = 0;
    for (const char *word = key->choices;; place++) {
        size_t len = strcspn(word, "|");
        if (len > 0 && wb_slice_eq(text, wb_slice_of(word, len))) {
            *out = place;
            return WB_OK;
        }
        if (word[len] == '\0') break;
        word += len + 1;
    }
    char said[WB_CONFIG_CHOICES_MAX];
    return wb_fail(err, WB_ERR_CONFIG, "one of %s is needed",
                   wb_config_choices_say(key->choices, said, sizeof said));
}

static wb_status parse_bool(wb_slice text, bool *out, wb_error *err)
{
    bool yes = wb_slice_eq(text, WB_S("true"));
    if (!yes && !wb_slice_eq(text, WB_S("false")))
        return wb_fail(err, WB_ERR_CONFIG, "true or false is needed");
    *out = yes;
    return WB_OK;
}

static wb_status parse_into_number(const wb_config_key *key, wb_slice text, void *place,
                                   wb_error *err)
{
    uint64_t number = 0;
    WB_TRY(parse_number(key->type, text, &number, err));
    WB_TRY(number_in_range(key, number, err));
    if (key->type != WB_U32) {
        *(uint64_t *)place = number;
        return WB_OK;
    }
    if (number > UINT32_MAX) return wb_fail(err, WB_ERR_CONFIG, "the number is too large");
    *(uint32_t *)place = (uint32_t)number;
    return WB_OK;
}

wb_status wb_config_value_parse(const wb_config_key *key, wb_slice text, wb_arena *arena,
                                void *base, wb_error *err)
{
    void *place = (uint8_t *)base + key->offset;
    if (key->type == WB_BOOL) return parse_bool(text, place, err);
    if (key->type == WB_CHOICE) return parse_choice(key, text, place, err);
    if (key->type != WB_TEXT && key->type != WB_SLICE)
        return parse_into_number(key, text, place, err);

    wb_slice copy;
    WB_TRY(wb_config_text_check(text, err));
    WB_TRY(wb_config_count_check(key, text.len, "bytes", err));
    if (wb_arena_dup(arena, text, &copy) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration");
    if (key->type == WB_SLICE)
        *(wb_slice *)place = copy;
    else
        *(const char **)place = (const char *)copy.ptr;
    return WB_OK;
}

wb_status wb_config_quote(wb_slice text, wb_buffer *out)
{
    WB_TRY(wb_buffer_add(out, "\"", 1));
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') WB_TRY(wb_buffer_add(out, "\\", 1));
        WB_TRY(wb_buffer_add(out, &text.ptr[i], 1));
    }
    return wb_buffer_add(out, "\"", 1);
}

static wb_status print_text(const wb_config_key *key, const char *text, wb_buffer *out)
{
    char hidden[WB_CONFIG_MAX_TEXT + 1];
    if (!text) return WB_OK;
    if (!key->hides_secrets) return wb_config_quote(wb_slice_str(text), out);
    wb_store_url_hide(text, hidden, sizeof hidden);
    return wb_config_quote(wb_slice_str(hidden), out);
}

static wb_status print_choice(const wb_config_key *key, uint32_t place, wb_buffer *out)
{
    wb_slice word = choice_word(key, place);
    return wb_buffer_add(out, word.ptr, word.len);
}

static wb_status print_bytes(uint64_t bytes, wb_buffer *out)
{
    const unit *u = byte_units;
    while (bytes == 0 || bytes % u->factor != 0) {
        if (u->factor == 1) break;
        u++;
    }
    if (u->factor == 1) return wb_buffer_printf(out, "%" PRIu64, bytes);
    return wb_buffer_printf(out, "%" PRIu64 "%s", bytes / u->factor, u->name);
}

wb_status wb_config_value_print(const wb_config_key *key, const void *base, wb_buffer *out)
{
    const void *place = (const uint8_t *)base + key->offset;
    switch (key->type) {
    case WB_BOOL: return wb_buffer_printf(out, "%s", *(const bool *)place ? "true" : "false");
    case WB_U32: return wb_buffer_printf(out, "%" PRIu32, *(const uint32_t *)place);
    case WB_NUMBER: return wb_buffer_printf(out, "%" PRIu64, *(const uint64_t *)place);
    case WB_BYTES: return print_bytes(*(const uint64_t *)place, out);
    case WB_MS:
    case WB_SECONDS: return wb_buffer_printf(out, "%" PRIu64, *(const uint64_t *)place);
    case WB_CHOICE: return print_choice(key, *(const uint32_t *)place, out);
    case WB_TEXT: return print_text(key, *(const char *const *)place, out);
    case WB_SLICE:
        if (!((const wb_slice *)place)->ptr) return WB_OK;
        return wb_config_quote(*(const wb_slice *)place, out);
    case WB_SLICES:
    case WB_LIST:
    case WB_MAP: break;
    }
    WB_ASSERT(wb_config_is_scalar(key->type));
    return WB_OK;
}
