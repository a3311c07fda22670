/* SPDX-License-Identifier: Apache-2.0 */
/* The binary form (Postgres' manual, COPY, "Binary Format"), all numbers in network order:
 *
 *   header  "PGCOPY\n\377\r\n\0", 4 bytes of flags (0), 4 bytes of the extension's length (0)
 *   row     2 bytes: how many values; then for each 4 bytes of length, -1 for NULL, and the bytes
 *   end     2 bytes: -1
 *
 * bigint is 8 bytes, boolean one, timestamptz microseconds since 2000-01-01 in 8, bytea and text are their
 * bytes. */
#include "exporters/postgres/copy.h"

#include "core/utf8.h"

#include <endian.h>

enum {
    PIECE_BYTES = 64 * 1024,           /* sent when so much is there */
    ROW_BYTES_MAX = 256 * 1024 * 1024, /* beyond all that a journal's frame can bring */
};

static const int64_t EPOCH_2000_US = INT64_C(946684800000000);

void wb_copy_init(wb_copy *copy)
{
    *copy = (wb_copy){0};
    wb_buffer_init(&copy->bytes, ROW_BYTES_MAX);
    wb_buffer_init(&copy->text, ROW_BYTES_MAX);
}

void wb_copy_done(wb_copy *copy)
{
    wb_buffer_done(&copy->bytes);
    wb_buffer_done(&copy->text);
}

static void put(wb_copy *copy, const void *bytes, size_t len)
{
    if (copy->status == WB_OK) copy->status = wb_buffer_add(&copy->bytes, bytes, len);
}

static void put_u16(wb_copy *copy, uint16_t number)
{
    uint16_t wire = htobe16(number);
    put(copy, &wire, sizeof wire);
}

static void put_u32(wb_copy *copy, uint32_t number)
{
    uint32_t wire = htobe32(number);
    put(copy, &wire, sizeof wire);
}

wb_status wb_copy_begin(wb_copy *copy, wb_pg *pg, const char *sql, wb_error *err)
{
    static const char header[19] = "PGCOPY\n\377\r\n";
    copy->pg = pg;
    copy->status = WB_OK;
    wb_buffer_clear(&copy->bytes);
    put(copy, header, sizeof header);
    return wb_pg_copy_begin(pg, sql, err);
}

void wb_copy_row(wb_copy *copy, size_t columns) { put_u16(copy, (uint16_t)columns); }

void wb_copy_null(wb_copy *copy) { put_u32(copy, UINT32_MAX); }

void wb_copy_number(wb_copy *copy, int64_t number)
{
    uint64_t wire = htobe64((uint64_t)number);
    put_u32(copy, sizeof wire);
    put(copy, &wire, sizeof wire);
}

void wb_copy_bool(wb_copy *copy, bool is)
{
    put_u32(copy, 1);
    put(copy, is ? "\1" : "\0", 1);
}

void wb_copy_bytes(wb_copy *copy, wb_slice bytes)
{
    put_u32(copy, (uint32_t)bytes.len);
    put(copy, bytes.ptr, bytes.len);
}

void wb_copy_time(wb_copy *copy, int64_t ns) { wb_copy_number(copy, ns / 1000 - EPOCH_2000_US); }

static wb_slice make_valid(wb_copy *copy, wb_slice text)
{
    wb_buffer_clear(&copy->text);
    while (text.len > 0 && copy->status == WB_OK) {
        size_t len = text.ptr[0] == '\0' ? 0 : wb_utf8_char(text);
        copy->status = len > 0 ? wb_buffer_add(&copy->text, text.ptr, len)
                               : wb_buffer_add(&copy->text, "\xEF\xBF\xBD", 3);
        if (len == 0) len = 1;
        text = wb_slice_of(text.ptr + len, text.len - len);
    }
    return wb_buffer_slice(&copy->text);
}

void wb_copy_text(wb_copy *copy, wb_slice text)
{
    bool is_good = wb_utf8_valid(text) && !memchr(text.ptr, '\0', text.len);
    wb_copy_bytes(copy, is_good ? text : make_valid(copy, text));
}

void wb_copy_cells(wb_copy *copy, const wb_cells *cells)
{
    for (size_t i = 0; i < cells->n; i++) {
        const wb_cell *cell = &cells->of[i];
        switch (cell->type) {
        case WB_CELL_NULL: wb_copy_null(copy); break;
        case WB_CELL_NUMBER: wb_copy_number(copy, cell->number); break;
        case WB_CELL_BOOL: wb_copy_bool(copy, cell->number != 0); break;
        case WB_CELL_TEXT: wb_copy_text(copy, cell->bytes); break;
        case WB_CELL_BYTES: wb_copy_bytes(copy, cell->bytes); break;
        }
    }
}

static wb_status send_piece(wb_copy *copy, wb_error *err)
{
    if (copy->status != WB_OK) return wb_fail(err, copy->status, "postgres: no memory for a row");
    WB_TRY(wb_pg_copy_put(copy->pg, wb_buffer_slice(&copy->bytes), err));
    if (copy->bytes.cap > (size_t)4 * PIECE_BYTES) wb_buffer_done(&copy->bytes);
    wb_buffer_clear(&copy->bytes);
    return WB_OK;
}

wb_status wb_copy_row_end(wb_copy *copy, wb_error *err)
{
    if (copy->status == WB_OK && copy->bytes.len < PIECE_BYTES) return WB_OK;
    return send_piece(copy, err);
}

wb_status wb_copy_end(wb_copy *copy, wb_error *err)
{
    put_u16(copy, UINT16_MAX);
    WB_TRY(send_piece(copy, err));
    return wb_pg_copy_end(copy->pg, err);
}
