/* SPDX-License-Identifier: Apache-2.0 */
/* What an issuer's tokens may do here. Agents of our own SPIFFE trust domain are colleagues: their
 * tokens continue our trace and they see whole chains. All others get their own trace with a link,
 * and see only the token made for them. Configuration may say otherwise for each id, field by field. */
#include "propagation/trust.h"

/* "spiffe://domain" of a SPIFFE id, without what follows; empty for others. */
static wb_slice trust_domain(wb_slice id)
{
    wb_slice scheme = WB_S("spiffe://");
    if (!wb_slice_starts(id, scheme)) return (wb_slice){0};
    size_t len = scheme.len;
    while (len < id.len && id.ptr[len] != '/') len++;
    return (wb_slice){id.ptr, len};
}

static const wb_trust_policy *find_entry(const wb_policies *policies, wb_slice id)
{
    for (size_t i = 0; i < policies->n; i++)
        if (wb_slice_eq(policies->entries[i].id, id)) return &policies->entries[i];
    return NULL;
}

wb_trust_policy wb_policy_for(const wb_policies *policies, wb_slice id)
{
    const wb_trust_policy *entry = id.len > 0 ? find_entry(policies, id) : NULL;
    wb_trust_policy p = {.id = id, .verdict = WB_POLICY_LINK, .chain = WB_CHAIN_LEAF};
    wb_slice domain = trust_domain(id);
    if (domain.len > 0 && wb_slice_eq(domain, trust_domain(policies->self_id))) {
        p.verdict = WB_POLICY_CONTINUE;
        p.chain = WB_CHAIN_FULL;
    }
    p.mode = policies->mode == WB_MODE_DEFAULT ? WB_MODE_LINK : policies->mode;
    if (entry) {
        if (entry->verdict != WB_POLICY_DEFAULT) p.verdict = entry->verdict;
        if (entry->chain != WB_CHAIN_DEFAULT) p.chain = entry->chain;
        if (entry->mode != WB_MODE_DEFAULT) p.mode = entry->mode;
        p.require = entry->require;
        p.carry = entry->carry;
    }
    if (p.mode == WB_MODE_ENFORCE) p.require = true;
    return p;
}

const char *wb_trust_mode_name(wb_trust_mode mode)
{
    static const char *const names[] = {"default", "link", "enforce", "observe"};
    return (size_t)mode < WB_COUNT(names) ? names[mode] : "";
}
