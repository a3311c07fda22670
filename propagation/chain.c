/* SPDX-License-Identifier: Apache-2.0 */
/* The relations between links, each function a row of the tables in TOKENS, checks in their order.
 * Sums cannot wrap: every number of a token is below 2^53. */
#include "propagation/chain.h"

bool wb_chain_times_ok(const wb_claims *c)
{
    return c->iat < c->exp && c->exp <= c->iat + WB_EXP_MAX_S && c->exp <= c->dln &&
           c->dln <= c->iat + WB_DLN_MAX_S;
}

static bool same_lnk(const wb_claims *p, const wb_claims *c)
{
    if (!p->has_lnk || !c->has_lnk) return p->has_lnk == c->has_lnk;
    return p->lnk_hop == c->lnk_hop && wb_bytes_equal(p->lnk_tth, c->lnk_tth, sizeof p->lnk_tth);
}

static bool same_key(const char *a, const char *b)
{
    return wb_bytes_equal((const uint8_t *)a, (const uint8_t *)b, WB_HASH_B64);
}

static bool scp_narrows(const wb_claims *p, const wb_claims *c)
{
    if (!p->has_scp) return true;
    if (!c->has_scp) return false;
    for (size_t i = 0; i < c->n_scp; i++) {
        bool found = false;
        for (size_t k = 0; k < p->n_scp; k++) found = found || wb_slice_eq(c->scp[i], p->scp[k]);
        if (!found) return false;
    }
    return true;
}

static wb_token_code check_lineage(const wb_claims *p, const uint8_t parent_hash[WB_HASH_BYTES],
                                   const wb_claims *c)
{
    if (!wb_bytes_equal(c->pth, parent_hash, WB_HASH_BYTES)) return WB_E_CHAIN_HASH;
    if (!wb_slice_eq(c->iss, p->aud)) return WB_E_CHAIN_ALIGN;
    if (p->has_cnf && !same_key(p->cnf_jkt, c->kid)) return WB_E_CHAIN_CNF;
    if (c->dep != p->dep + 1) return WB_E_CHAIN_DEPTH;
    if (!WB_ID_EQ(c->tid, p->tid)) return WB_E_CHAIN_TRACE;
    if (!wb_slice_eq(c->sub, p->sub)) return WB_E_CHAIN_SUB;
    if (!same_lnk(p, c)) return WB_E_CHAIN_ROOT;
    if (c->mxd > p->mxd) return WB_E_ATT_MXD;
    return WB_E_NONE;
}

static wb_token_code check_attenuation(const wb_claims *p, const wb_claims *c, uint64_t skew_s)
{
    if (p->iat > c->iat + skew_s || c->iat > p->dln) return WB_E_ATT_TIME;
    if (c->dln > p->dln) return WB_E_ATT_DLN;
    if (strcmp(c->lim.cur, p->lim.cur) != 0) return WB_E_ATT_CUR;
    if (c->lim.cost > p->lim.cost || c->lim.tok > p->lim.tok || c->lim.ms > p->lim.ms)
        return WB_E_ATT_LIM;
    if (!scp_narrows(p, c)) return WB_E_ATT_SCP;
    return WB_E_NONE;
}

wb_token_code wb_chain_check_pair(const wb_claims *p, const uint8_t parent_hash[WB_HASH_BYTES],
                                  const wb_claims *c, uint64_t skew_s)
{
    wb_token_code code = check_lineage(p, parent_hash, c);
    return code != WB_E_NONE ? code : check_attenuation(p, c, skew_s);
}

wb_token_code wb_chain_check_all(const wb_claims *const *links, size_t n, bool callbacks)
{
    for (size_t i = 0; i < n && !callbacks; i++)
        for (size_t k = 0; k <= i; k++)
            if (wb_slice_eq(links[i]->aud, links[k]->iss)) return WB_E_LOOP;
    const wb_claims *leaf = links[n - 1];
    return leaf->has_lnk && leaf->lnk_hop > WB_HOP_MAX ? WB_E_HOP : WB_E_NONE;
}
