/* SPDX-License-Identifier: Apache-2.0 */
/* Most owners have none of the attributes, so the list is kept as one run of bytes, and its items apart for
 * those that have some. Who has what is read from the bytes that arrived, since the walk indexes only what
 * stages must see of every span, and from what earlier stages appended. Waybill's own names count only where
 * the guard left them: it sees all of them, so those are in the index. */
#include "sidecar/pipeline/attr_list.h"

#include "proto/otlp_edit.h"

static wb_status make_item(const wb_attr_wish *wish, wb_otlp_owner kind, wb_arena *arena,
                           wb_attr_item *out)
{
    wb_attr made;
    WB_TRY(wb_otlp_encode_attr(arena, kind, &wish->attr, &made));
    *out = (wb_attr_item){.key = made.key, .value = made.value, .field = made.field};
    return wb_arena_dup(arena, wish->unless, &out->unless);
}

static wb_slice moved(wb_slice part, const uint8_t *from, const uint8_t *to)
{
    return (wb_slice){to + (part.ptr - from), part.len};
}

/* One behind the other, and let the items point there. */
static wb_status join(wb_attr_item *items, size_t n, wb_arena *arena, wb_slice *whole)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < n; i++) size += items[i].field.len;
    uint8_t *bytes = wb_arena_alloc(arena, size + 1);
    if (!bytes) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        wb_attr_item *item = &items[i];
        const uint8_t *from = item->field.ptr;
        memcpy(bytes + at, from, item->field.len);
        item->key = moved(item->key, from, bytes + at);
        item->value = moved(item->value, from, bytes + at);
        item->field = moved(item->field, from, bytes + at);
        at += item->field.len;
    }
    *whole = (wb_slice){bytes, size};
    return WB_OK;
}

wb_status wb_attr_list_make(const wb_attr_wish *wishes, size_t n, wb_otlp_owner kind,
                            wb_arena *arena, const wb_attr_list **out)
{
    WB_ASSERT(n <= WB_ATTR_LIST_MAX);
    wb_attr_list *list = wb_arena_alloc(arena, sizeof *list);
    wb_attr_item *items = wb_arena_array(arena, n + 1, sizeof *items);
    if (!list || !items) return WB_ERR_NO_MEMORY;
    *list = (wb_attr_list){.n = n, .items = items, .kind = kind};
    for (size_t i = 0; i < n; i++) {
        WB_ASSERT(wishes[i].attr.key.len > 0);
        WB_TRY(make_item(&wishes[i], kind, arena, &items[i]));
        list->starts[items[i].key.ptr[0]] = 1;
        if (items[i].unless.len > 0) list->starts[items[i].unless.ptr[0]] = 1;
    }
    WB_TRY(join(items, n, arena, &list->whole));
    *out = list;
    return WB_OK;
}

static bool is_own(wb_slice key)
{
    return key.ptr[0] == 'w' && wb_slice_starts(key, WB_S("waybill."));
}

/* Those of the list that an attribute of this key stands for. */
static uint64_t bits_of(const wb_attr_list *list, wb_slice key, bool arrived)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < list->n; i++)
        if (wb_slice_eq(list->items[i].key, key) ||
            (arrived && list->items[i].unless.len > 0 && wb_slice_eq(list->items[i].unless, key)))
            bits |= UINT64_C(1) << i;
    return bits;
}

static uint64_t there(const wb_attr_list *list, const wb_attr_target *to)
{
    wb_slice key, value;
    uint64_t found = 0;
    wb_otlp_iter arrived = {to->message};
    while (wb_otlp_next_starting(&arrived, list->kind, list->starts, &key, &value)) {
        uint64_t bits = bits_of(list, key, true);
        if (bits && is_own(key) && !wb_attrs_find(to->attrs, key)) continue;
        found |= bits;
    }
    for (const wb_attr *a = to->attrs->first; a; a = a->next) {
        if (a->state != WB_ATTR_APPENDED) continue;
        wb_otlp_iter appended = {a->field}; /* one attribute, or several of an earlier stage */
        while (wb_otlp_next_starting(&appended, list->kind, list->starts, &key, &value))
            found |= bits_of(list, key, false);
    }
    return found;
}

/* What would not fit is left out: no sender can make a batch too large with what we add to it. */
static bool take_room(const wb_attr_target *to, size_t bytes)
{
    if (bytes > to->room->bytes) return false;
    to->room->bytes -= bytes;
    return true;
}

wb_status wb_attr_list_append(const wb_attr_list *list, const wb_attr_target *to)
{
    const wb_slice none = {NULL, 0};
    if (!list || list->n == 0) return WB_OK;
    uint64_t found = there(list, to);
    if (found == 0 && take_room(to, list->whole.len))
        return wb_batch_append(to->batch, to->attrs, none, none, list->whole);
    for (size_t i = 0; i < list->n; i++) {
        const wb_attr_item *item = &list->items[i];
        if ((found >> i) & 1 || !take_room(to, item->field.len)) continue;
        WB_TRY(wb_batch_append(to->batch, to->attrs, item->key, item->value, item->field));
    }
    return WB_OK;
}
