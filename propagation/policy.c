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

static wb_trust_policy apply_entry(wb_trust_policy p, const wb_trust_policy *entry,
                                   wb_policy_sources *from)
{
    if (entry->verdict != WB_POLICY_DEFAULT) {
        p.verdict = entry->verdict;
        from->verdict = WB_FROM_ENTRY;
    }
    if (entry->chain != WB_CHAIN_DEFAULT) {
        p.chain = entry->chain;
        from->chain = WB_FROM_ENTRY;
    }
    if (entry->mode != WB_MODE_DEFAULT) {
        p.mode = entry->mode;
        from->mode = WB_FROM_ENTRY;
    }
    p.require = entry->require;
    p.carry = entry->carry;
    if (p.require) from->require = WB_FROM_ENTRY;
    if (p.carry) from->carry = WB_FROM_ENTRY;
    return p;
}

wb_trust_policy wb_policy_explain(const wb_policies *policies, wb_slice id, wb_policy_sources *out)
{
    const wb_trust_policy *entry = id.len > 0 ? find_entry(policies, id) : NULL;
    wb_trust_policy p = {.id = id, .verdict = WB_POLICY_LINK, .chain = WB_CHAIN_LEAF};
    wb_policy_sources from = {.mode = WB_FROM_DEFAULT};
    wb_slice domain = trust_domain(id);
    if (domain.len > 0 && wb_slice_eq(domain, trust_domain(policies->self_id))) {
        p.verdict = WB_POLICY_CONTINUE;
        p.chain = WB_CHAIN_FULL;
        from.verdict = from.chain = WB_FROM_DOMAIN;
    }
    p.mode = policies->mode == WB_MODE_DEFAULT ? WB_MODE_LINK : policies->mode;
    if (policies->mode != WB_MODE_DEFAULT) from.mode = WB_FROM_MODE;
    if (entry) p = apply_entry(p, entry, &from);
    if (p.mode == WB_MODE_ENFORCE && !p.require) {
        p.require = true;
        from.require = WB_FROM_MODE;
    }
    *out = from;
    return p;
}

wb_trust_policy wb_policy_for(const wb_policies *policies, wb_slice id)
{
    wb_policy_sources ignored;
    return wb_policy_explain(policies, id, &ignored);
}

const char *wb_policy_source_name(wb_policy_source source)
{
    static const char *const names[] = {"default", "own trust domain", "trust.mode", "entry"};
    return (size_t)source < WB_COUNT(names) ? names[source] : "";
}

const char *wb_policy_verdict_name(wb_policy_verdict verdict)
{
    static const char *const names[] = {"default", "continue", "link", "reject"};
    return (size_t)verdict < WB_COUNT(names) ? names[verdict] : "";
}

const char *wb_policy_chain_name(wb_policy_chain chain)
{
    static const char *const names[] = {"default", "full", "leaf"};
    return (size_t)chain < WB_COUNT(names) ? names[chain] : "";
}

const char *wb_trust_mode_name(wb_trust_mode mode)
{
    static const char *const names[] = {"default", "link", "enforce", "observe"};
    return (size_t)mode < WB_COUNT(names) ? names[mode] : "";
}
