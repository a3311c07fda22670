/* SPDX-License-Identifier: Apache-2.0 */
/* Safe text: see the header. What counts as dangerous: C0 and C1 controls, DEL, the line and paragraph
 * separators, and the bidirectional formatting characters (Unicode TR 36 section 3.3; "Trojan Source",
 * CVE-2021-42574). All of them are also escaped in JSON, where \u.... means the same text. */
#include "cli/output.h"

#include "core/utf8.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

enum { CELLS_MAX_BYTES = 64 * 1024 * 1024, JSON_MAX_BYTES = 512 * 1024 * 1024 };

/* ---- text ----------------------------------------------------------------------------------- */

static uint32_t code_point(const uint8_t *c, size_t len)
{
    switch (len) {
    case 1: return c[0];
    case 2: return (uint32_t)(c[0] & 0x1F) << 6 | (c[1] & 0x3F);
    case 3: return (uint32_t)(c[0] & 0x0F) << 12 | (uint32_t)(c[1] & 0x3F) << 6 | (c[2] & 0x3F);
    default:
        return (uint32_t)(c[0] & 0x07) << 18 | (uint32_t)(c[1] & 0x3F) << 12 |
               (uint32_t)(c[2] & 0x3F) << 6 | (c[3] & 0x3F);
    }
}

static bool is_dangerous(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

wb_status wb_safe_text(wb_buffer *out, wb_slice text)
{
    while (text.len > 0) {
        size_t len = wb_utf8_char(text);
        uint32_t c = len ? code_point(text.ptr, len) : 0;
        if (len == 0)
            WB_TRY(wb_buffer_printf(out, "\\x%02x", text.ptr[0]));
        else if (is_dangerous(c))
            WB_TRY(wb_buffer_printf(out, "\\u{%x}", c));
        else
            WB_TRY(wb_buffer_add(out, text.ptr, len));
        size_t step = len ? len : 1;
        text = (wb_slice){text.ptr + step, text.len - step};
    }
    return WB_OK;
}

void wb_print_safe(FILE *file, wb_slice text)
{
    WB_AUTO_BUFFER safe;
    wb_buffer_init(&safe, CELLS_MAX_BYTES);
    if (wb_safe_text(&safe, text) == WB_OK && safe.len > 0)
        (void)fwrite(safe.ptr, 1, safe.len, file);
}

size_t wb_text_width(wb_slice safe)
{
    size_t width = 0;
    for (size_t i = 0; i < safe.len; i++)
        if ((safe.ptr[i] & 0xC0) != 0x80) width++;
    return width;
}

const char *wb_color_code(const wb_cli *cli, wb_color color)
{
    static const char *const codes[] = {
        [WB_COLOR_NONE] = "\033[0m",  [WB_COLOR_DIM] = "\033[2m",   [WB_COLOR_BOLD] = "\033[1m",
        [WB_COLOR_GOOD] = "\033[32m", [WB_COLOR_WARN] = "\033[33m", [WB_COLOR_BAD] = "\033[31m",
        [WB_COLOR_BAR] = "\033[36m"};
    return cli->color ? codes[color] : "";
}

wb_color wb_color_of_state(wb_slice state)
{
    static const struct {
        const char *state;
        wb_color color;
    } colors[] = {
        {"success", WB_COLOR_GOOD},       {"completed", WB_COLOR_GOOD},
        {"answered", WB_COLOR_GOOD},      {"ok", WB_COLOR_GOOD},
        {"error", WB_COLOR_BAD},          {"failed", WB_COLOR_BAD},
        {"rejected", WB_COLOR_BAD},       {"lost", WB_COLOR_BAD},
        {"running", WB_COLOR_WARN},       {"sent", WB_COLOR_WARN},
        {"in_flight", WB_COLOR_WARN},     {"detached", WB_COLOR_WARN},
        {"waiting_input", WB_COLOR_WARN}, {"waiting_auth", WB_COLOR_WARN},
    };
    for (size_t i = 0; i < WB_COUNT(colors); i++)
        if (wb_slice_eq(state, wb_slice_str(colors[i].state))) return colors[i].color;
    return WB_COLOR_DIM;
}

const char *wb_duration_text(uint64_t ns, char out[WB_TIME_TEXT])
{
    uint64_t s = ns / WB_NS_PER_S;
    if (ns == UINT64_MAX)
        (void)snprintf(out, WB_TIME_TEXT, "-");
    else if (ns < WB_NS_PER_MS)
        (void)snprintf(out, WB_TIME_TEXT, "%lluus", (unsigned long long)(ns / 1000));
    else if (ns < WB_NS_PER_S)
        (void)snprintf(out, WB_TIME_TEXT, "%.1fms", (double)ns / 1e6);
    else if (s < 60)
        (void)snprintf(out, WB_TIME_TEXT, "%.2fs", (double)ns / 1e9);
    else if (s < 3600)
        (void)snprintf(out, WB_TIME_TEXT, "%llum%02llus", (unsigned long long)(s / 60),
                       (unsigned long long)(s % 60));
    else if (s < 86400)
        (void)snprintf(out, WB_TIME_TEXT, "%lluh%02llum", (unsigned long long)(s / 3600),
                       (unsigned long long)(s / 60 % 60));
    else
        (void)snprintf(out, WB_TIME_TEXT, "%llud%02lluh", (unsigned long long)(s / 86400),
                       (unsigned long long)(s / 3600 % 24));
    return out;
}

const char *wb_seconds_text(uint64_t seconds, char out[WB_TIME_TEXT])
{
    time_t at = (time_t)seconds;
    struct tm utc;
    if (seconds == 0 || seconds > INT64_MAX || !gmtime_r(&at, &utc) ||
        strftime(out, WB_TIME_TEXT, "%Y-%m-%d %H:%M:%SZ", &utc) == 0)
        (void)snprintf(out, WB_TIME_TEXT, "-");
    return out;
}

const char *wb_time_text(wb_time_ns ns, char out[WB_TIME_TEXT])
{
    return wb_seconds_text(ns / WB_NS_PER_S, out);
}

const char *wb_size_text(uint64_t bytes, char out[WB_SIZE_TEXT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < WB_COUNT(units); unit++) value /= 1024;
    (void)snprintf(out, WB_SIZE_TEXT, "%.*f %s", unit ? 1 : 0, value, units[unit]);
    return out;
}

/* ---- tables --------------------------------------------------------------------------------- */

typedef struct cell_mark {
    size_t end, width;
    wb_color color;
} cell_mark;

void wb_table_init(wb_table *table, size_t columns)
{
    WB_ASSERT(columns > 0 && columns <= WB_TABLE_COLUMNS);
    *table = (wb_table){.columns = columns};
    wb_buffer_init(&table->text, CELLS_MAX_BYTES);
    wb_buffer_init(&table->marks, CELLS_MAX_BYTES);
}

void wb_table_done(wb_table *table)
{
    wb_buffer_done(&table->text);
    wb_buffer_done(&table->marks);
}

void wb_table_add(wb_table *table, wb_color color, wb_slice text)
{
    size_t start = table->text.len;
    if (wb_safe_text(&table->text, text) != WB_OK) table->text.len = start;
    wb_slice cell = {NULL, table->text.len - start};
    if (cell.len > 0) cell.ptr = table->text.ptr + start;
    cell_mark mark = {table->text.len, wb_text_width(cell), color};
    if (wb_buffer_add(&table->marks, &mark, sizeof mark) == WB_OK) table->cells++;
}

void wb_table_addf(wb_table *table, wb_color color, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len < 0) len = 0;
    if ((size_t)len >= sizeof text) len = sizeof text - 1;
    wb_table_add(table, color, wb_slice_of(text, (size_t)len));
}

static cell_mark mark_at(const wb_table *table, size_t cell)
{
    cell_mark mark;
    memcpy(&mark, table->marks.ptr + cell * sizeof mark, sizeof mark);
    return mark;
}

static void print_cell(const wb_table *table, const wb_cli *cli, FILE *file, size_t cell,
                       size_t width)
{
    cell_mark mark = mark_at(table, cell);
    size_t start = cell ? mark_at(table, cell - 1).end : 0;
    bool is_last = cell % table->columns == table->columns - 1;
    if (mark.color != WB_COLOR_NONE) (void)fputs(wb_color_code(cli, mark.color), file);
    if (mark.end > start) (void)fwrite(table->text.ptr + start, 1, mark.end - start, file);
    if (mark.color != WB_COLOR_NONE) (void)fputs(wb_color_code(cli, WB_COLOR_NONE), file);
    if (is_last)
        (void)fputc('\n', file);
    else
        (void)fprintf(file, "%*s", (int)(width - mark.width + 2), "");
}

void wb_table_print(const wb_table *table, const wb_cli *cli, FILE *file)
{
    size_t widths[WB_TABLE_COLUMNS] = {0};
    for (size_t i = 0; i < table->cells; i++) {
        size_t width = mark_at(table, i).width;
        if (width > widths[i % table->columns]) widths[i % table->columns] = width;
    }
    for (size_t i = 0; i < table->cells; i++)
        print_cell(table, cli, file, i, widths[i % table->columns]);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

void wb_json_out_init(wb_json_out *out)
{
    *out = (wb_json_out){0};
    wb_buffer_init(&out->text, JSON_MAX_BYTES);
}

void wb_json_out_done(wb_json_out *out) { wb_buffer_done(&out->text); }

static void put(wb_json_out *out, const char *bytes, size_t len)
{
    if (out->status == WB_OK) out->status = wb_buffer_add(&out->text, bytes, len);
}

static void put_str(wb_json_out *out, const char *text) { put(out, text, strlen(text)); }

static void put_escaped(wb_json_out *out, uint32_t c)
{
    char text[16];
    (void)snprintf(text, sizeof text, "\\u%04x", c); /* nothing dangerous is above U+FFFF */
    put_str(out, text);
}

static void put_quoted(wb_json_out *out, wb_slice text)
{
    put(out, "\"", 1);
    while (text.len > 0) {
        size_t len = wb_utf8_char(text);
        uint32_t c = len ? code_point(text.ptr, len) : 0xFFFD;
        if (c == '"' || c == '\\')
            put(out, c == '"' ? "\\\"" : "\\\\", 2);
        else if (len == 0 || is_dangerous(c))
            put_escaped(out, c);
        else
            put(out, (const char *)text.ptr, len);
        size_t step = len ? len : 1;
        text = (wb_slice){text.ptr + step, text.len - step};
    }
    put(out, "\"", 1);
}

void wb_json_key(wb_json_out *out, const char *key)
{
    if (out->needs_comma) put(out, ",", 1);
    out->needs_comma = true;
    if (!key) return;
    put_quoted(out, wb_slice_str(key));
    put(out, ":", 1);
}

void wb_json_open(wb_json_out *out, const char *key, char bracket)
{
    wb_json_key(out, key);
    put(out, &bracket, 1);
    out->needs_comma = false;
}

void wb_json_close(wb_json_out *out, char bracket)
{
    put(out, &bracket, 1);
    out->needs_comma = true;
}

void wb_json_text(wb_json_out *out, const char *key, wb_slice text)
{
    wb_json_key(out, key);
    put_quoted(out, text);
}

void wb_json_null(wb_json_out *out, const char *key)
{
    wb_json_key(out, key);
    put_str(out, "null");
}

void wb_json_text_or_null(wb_json_out *out, const char *key, wb_slice text)
{
    if (text.len > 0)
        wb_json_text(out, key, text);
    else
        wb_json_null(out, key);
}

void wb_json_number(wb_json_out *out, const char *key, uint64_t number)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    wb_json_key(out, key);
    put_str(out, digits);
}

void wb_json_number_or_null(wb_json_out *out, const char *key, uint64_t number)
{
    if (number > 0)
        wb_json_number(out, key, number);
    else
        wb_json_null(out, key);
}

void wb_json_real(wb_json_out *out, const char *key, double number)
{
    char digits[340]; /* 1e308 and its decimals */
    (void)snprintf(digits, sizeof digits, "%.3f", number);
    wb_json_key(out, key);
    put_str(out, digits);
}

void wb_json_bool(wb_json_out *out, const char *key, bool truth)
{
    wb_json_key(out, key);
    put_str(out, truth ? "true" : "false");
}

void wb_json_hex(wb_json_out *out, const char *key, const void *id, size_t len)
{
    char hex[129];
    WB_ASSERT(len <= 64);
    if (wb_id_is_zero(id, len)) {
        wb_json_null(out, key);
        return;
    }
    wb_hex(id, len, hex);
    wb_json_text(out, key, wb_slice_of(hex, len * 2));
}

void wb_json_raw(wb_json_out *out, const char *key, wb_slice json)
{
    wb_json_key(out, key);
    if (json.len > 0)
        put(out, (const char *)json.ptr, json.len);
    else
        put_str(out, "null");
}

/* Outside of strings JSON is ASCII, so what is dangerous is within one. Its line feeds are the caller's
 * own: within strings they are escaped already. */
bool wb_print_json(FILE *file, wb_slice json)
{
    size_t done = 0;
    for (size_t i = 0; i < json.len;) {
        size_t len = json.ptr[i] < 0x7F ? 1 : wb_utf8_char(wb_slice_of(json.ptr + i, json.len - i));
        uint32_t c = len ? code_point(json.ptr + i, len) : 0xFFFD;
        size_t step = len ? len : 1;
        if (c >= 0x7F && (len == 0 || is_dangerous(c))) {
            (void)fwrite(json.ptr + done, 1, i - done, file);
            (void)fprintf(file, "\\u%04x", c);
            done = i + step;
        }
        i += step;
    }
    if (done < json.len) (void)fwrite(json.ptr + done, 1, json.len - done, file);
    return !ferror(file);
}

wb_status wb_json_out_line(wb_json_out *out, wb_buffer *lines)
{
    WB_TRY(out->status);
    WB_TRY(wb_buffer_add_slice(lines, wb_buffer_slice(&out->text)));
    WB_TRY(wb_buffer_add(lines, "\n", 1));
    wb_buffer_clear(&out->text);
    out->needs_comma = false;
    return WB_OK;
}

wb_exit wb_json_out_finish(wb_json_out *out, FILE *file)
{
    if (out->status != WB_OK)
        return wb_cli_fail(WB_EXIT_FAILURE, "json", "out of memory", "ask for less, with --limit");
    bool written = wb_print_json(file, wb_buffer_slice(&out->text)) && fputc('\n', file) != EOF;
    wb_buffer_clear(&out->text);
    out->needs_comma = false;
    if (file == stdout) return wb_cli_flush();
    return written && fflush(file) == 0 ? WB_EXIT_OK : WB_EXIT_FAILURE;
}

/* ---- lists ---------------------------------------------------------------------------------- */

void wb_listing_begin(wb_listing *list, const wb_cli *cli, const char *const *heads, size_t columns)
{
    list->cli = cli;
    wb_table_init(&list->table, columns);
    wb_json_out_init(&list->json);
    for (size_t i = 0; i < columns; i++)
        wb_table_add(&list->table, WB_COLOR_DIM, wb_slice_str(heads[i]));
    wb_json_open(&list->json, NULL, '[');
}

wb_exit wb_listing_end(wb_listing *list, wb_status status, const char *verb, const wb_error *err)
{
    wb_exit code = WB_EXIT_OK;
    wb_json_close(&list->json, ']');
    if (status != WB_OK)
        code = wb_cli_fail(wb_cli_exit_of(status), verb, err->detail, NULL);
    else if (list->cli->json)
        code = wb_json_out_finish(&list->json, stdout);
    else
        wb_table_print(&list->table, list->cli, stdout);
    wb_table_done(&list->table);
    wb_json_out_done(&list->json);
    return code;
}
