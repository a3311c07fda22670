/* SPDX-License-Identifier: Apache-2.0 */
/* A stage's edits are kept where the attribute is, not in a list of their own: a masked attribute
 * is marked, an appended one joins its owner's list behind the arrived ones. So later stages see
 * what earlier ones did by the same walk over the list, and a renderer meets masked fields in the
 * order of their bytes without sorting. Attributes come from the arena in chunks and never move,
 * because stages hold pointers to them while they append. */
#include "core/batch.h"

enum { ATTR_CHUNK = 64 };

wb_attr *wb_attrs_find(const wb_attrs *attrs, wb_slice key)
{
    for (wb_attr *a = attrs->first; a; a = a->next)
        if (a->state != WB_ATTR_MASKED && wb_slice_eq_short(a->key, key)) return a;
    return NULL;
}

wb_attr *wb_batch_new_attr(wb_batch *batch)
{
    if (batch->free_attr_count == 0) {
        wb_attr *chunk = wb_arena_array(batch->arena, ATTR_CHUNK, sizeof *chunk);
        if (!chunk) return NULL;
        batch->free_attrs = chunk;
        batch->free_attr_count = ATTR_CHUNK;
    }
    batch->free_attr_count--;
    return batch->free_attrs++;
}

void wb_batch_mask(wb_batch *batch, wb_attrs *owner, wb_attr *attr)
{
    if (attr->state == WB_ATTR_APPENDED) attr->field = (wb_slice){NULL, 0};
    attr->state = WB_ATTR_MASKED;
    owner->edited = true;
    batch->edited = true;
}

wb_status wb_batch_mask_field(wb_batch *batch, wb_attrs *owner, wb_slice field)
{
    wb_attr **link = &owner->first;
    while (*link && (*link)->state != WB_ATTR_APPENDED && (*link)->field.ptr < field.ptr)
        link = &(*link)->next;
    if (!*link || (*link)->field.ptr != field.ptr) { /* not indexed, nor masked before */
        wb_attr *attr = wb_batch_new_attr(batch);
        if (!attr) return WB_ERR_NO_MEMORY;
        *attr = (wb_attr){.next = *link, .field = field};
        *link = attr;
    }
    wb_batch_mask(batch, owner, *link);
    return WB_OK;
}

wb_status wb_batch_append(wb_batch *batch, wb_attrs *owner, wb_slice key, wb_slice value,
                          wb_slice field)
{
    wb_attr *attr = wb_batch_new_attr(batch);
    if (!attr) return WB_ERR_NO_MEMORY;
    *attr = (wb_attr){.key = key, .value = value, .field = field, .state = WB_ATTR_APPENDED};
    wb_attr **link = owner->last ? &owner->last->next : &owner->first;
    while (*link) link = &(*link)->next;
    *link = owner->last = attr;
    owner->edited = true;
    batch->edited = true;
    return WB_OK;
}
