/* SPDX-License-Identifier: Apache-2.0 */
/* The closed list of codes (TOKENS sections 8 and 9) in words, one row each: what the check found, and
 * what whoever runs the refusing side can do. Two kinds of remedy come again and again: the sender's
 * software or clock is at fault, or what this side was told about the sender is. */
#include "propagation/refusal.h"

#define SENDER_SOFTWARE                                                                            \
    "The sender's software makes such tokens: report it there, with the ref. If one message "      \
    "alone "                                                                                       \
    "is refused, something on the way changed it."
#define SENDER_MINT                                                                                \
    "No correct minter signs such a chain: the agent that signed the last link is at fault, or "   \
    "forges. Report it there; revoke its key if it goes on."

static const wb_token_help help[WB_TOKEN_CODES] = {
    [WB_E_MISSING] = {"1", "The message came without a token, and the policy requires one.",
                      "Have the sender run Waybill and list this agent among its `peers`; or set "
                      "the policy of that peer to `mode: link` until it does."},
    [WB_E_CARRIER] = {"1", "The metadata of the extension has not the shape of a carrier.",
                      SENDER_SOFTWARE},
    [WB_E_CHAIN_LEN] = {"2, 13",
                        "The chain has no link or more than eight, or is a lone link of a longer "
                        "chain from an issuer that must send whole ones.",
                        "If that issuer hides its ancestors on purpose, set `chain: leaf` in its "
                        "policy. Else chains grow too long: lower token.max_depth at the root."},
    [WB_E_SIZE] = {"2, 3, 4", "A link, or something in it, is larger than the format allows.",
                   SENDER_SOFTWARE},
    [WB_E_SYNTAX] = {"3", "A link is not three parts between two dots.", SENDER_SOFTWARE},
    [WB_E_B64] = {"3",
                  "A part of a link is not strict base64url, or the signature has not 64 bytes.",
                  SENDER_SOFTWARE},
    [WB_E_UTF8] = {"4", "Header or payload is not valid UTF-8.", SENDER_SOFTWARE},
    [WB_E_JSON] = {"4", "Header or payload is not one JSON object.", SENDER_SOFTWARE},
    [WB_E_JSON_DUP] = {"4", "A name stands twice in one JSON object.", SENDER_SOFTWARE},
    [WB_E_NUM] = {"4", "A number is not a whole one from 0 to 2^53-1, plainly written.",
                  SENDER_SOFTWARE},
    [WB_E_DEPTH_JSON] = {"4", "The JSON is nested deeper than three levels.", SENDER_SOFTWARE},
    [WB_E_CRIT] = {"5", "The header has `crit`: extensions of the format that this one excludes.",
                   SENDER_SOFTWARE},
    [WB_E_HDR] = {"5", "The header holds more than `alg`, `typ` and `kid`.", SENDER_SOFTWARE},
    [WB_E_ALG] = {"5", "The header's `alg` is not Ed25519.", SENDER_SOFTWARE},
    [WB_E_TYP] =
        {"5", "The header's `typ` is not that of a trace token.",
         "Something else was signed with that key, a receipt for one, and put where a token "
         "belongs. Report it to the sender; a key must have one use."},
    [WB_E_KID] = {"5", "The header's `kid` is missing or no key id.", SENDER_SOFTWARE},
    [WB_E_VER] = {"6", "The token is of another version than 1.",
                  "Update whichever side is older; until then the sender must mint version 1."},
    [WB_E_CLAIM_MISSING] = {"6", "A required claim is missing.", SENDER_SOFTWARE},
    [WB_E_CLAIM_TYPE] = {"6", "A claim is of the wrong type.", SENDER_SOFTWARE},
    [WB_E_LIM_UNKNOWN] = {"6", "The limits have a member that version 1 does not know.",
                          SENDER_SOFTWARE},
    [WB_E_CLAIM_RANGE] = {"6", "A claim's value is outside what the format allows.",
                          SENDER_SOFTWARE},
    [WB_E_AUD] =
        {"7", "The token was made for another agent than this one.",
         "Compare the sender's `peers` entry for this agent with `self_ids` here: they must "
         "agree byte by byte. If they do, the message was delivered to the wrong agent."},
    [WB_E_IAT_FUTURE] =
        {"8", "The token says that it was signed later than now.",
         "Compare the clocks of both machines (`waybill doctor` checks this one's); "
         "trust.skew_s says how far they may be apart."},
    [WB_E_EXPIRED] =
        {"8",
         "The token can no longer be accepted: it expired, or time here was once "
         "past it, or it is older than a gap in this sidecar's memory.",
         "If the message waited in a queue, raise token.expiry_s at the sender. Else "
         "compare the clocks. Right after a lost journal this is expected: send again."},
    [WB_E_TTL] = {"8",
                  "A token claims to live longer than the format allows, or ends before it begins.",
                  SENDER_SOFTWARE},
    [WB_E_BIND_METHOD] =
        {"9", "The token was signed for another A2A method.",
         "Something between the agents turned a plain call into a streaming one, or "
         "back: let it forward calls as they are."},
    [WB_E_BIND_MSG] = {"9", "The token belongs to another message.",
                       "If the message id changes on the way, let the proxy keep it. Else somebody "
                       "copied a token onto another message."},
    [WB_E_BIND_TASK] =
        {"9", "The token belongs to another task, or the task is another agent's.",
         "If the sender is right to continue this task, it must be the one that began "
         "it. Else somebody tries to get into another's task."},
    [WB_E_BIND_CTX] = {"9", "The token belongs to another context.",
                       "Let every hop keep the message's context id as it is."},
    [WB_E_BIND_BODY] =
        {"9", "The message's parts are not those that were signed.",
         "Something between the agents rewrites messages: let it keep parts, their order, "
         "file names and media types. Else the message was forged."},
    [WB_E_KEY_REVOKED] =
        {"10", "The issuer, its key, or this very token is revoked here.",
         "`waybill trust list` shows what is revoked. If the issuer has a new key, lay "
         "it down with `waybill trust add`."},
    [WB_E_ISS_UNKNOWN] =
        {"10", "Nobody was told to trust this issuer, and the policy requires that.",
         "If it is a partner: get its key on a safe way, then `waybill trust add --id "
         "AGENT_ID KEY`. Or set its policy to `mode: link`."},
    [WB_E_KEY_UNKNOWN] =
        {"10", "The issuer is trusted, but not with this key, and the policy requires it.",
         "It rotated its key without telling: get the new one on a safe way, then "
         "`waybill trust add`. Else somebody poses as it."},
    [WB_E_KEY_TIME] = {"10", "The token was signed outside the key's time of use.",
                       "See `waybill trust list`. Ask the issuer for its next key, or correct "
                       "--not-before and --not-after."},
    [WB_E_RATE] =
        {"11", "This peer sends more tokens than trust.rate_per_s allows.",
         "If it is honest and busy, raise trust.rate_per_s and trust.rate_burst. If the peer is "
         "a proxy for many, have the agent tell the true address."},
    [WB_E_SIG_POINT] = {"12", "The signature's first half is no point that an honest signer makes.",
                        "Somebody probes this verifier: see the peer."},
    [WB_E_SIG] = {"12", "The signature does not match the token.",
                  "Something on the way changed the token, or it is forged: see the peer."},
    [WB_E_CHAIN_ROOT] =
        {"13",
         "The chain does not begin with a root, or its parts disagree about what it "
         "was linked from.",
         SENDER_MINT},
    [WB_E_CHAIN_SUB] = {"13", "The chain's links name different root issuers.", SENDER_MINT},
    [WB_E_CHAIN_HASH] = {"13", "A link was not made under the one before it.", SENDER_MINT},
    [WB_E_CHAIN_ALIGN] = {"13",
                          "A link was signed by another agent than the one before was made for.",
                          SENDER_MINT},
    [WB_E_CHAIN_CNF] = {"13", "A link was signed with another key than the one before allows.",
                        SENDER_MINT},
    [WB_E_CHAIN_DEPTH] = {"13", "The links' depths do not count up by one.", SENDER_MINT},
    [WB_E_CHAIN_TRACE] = {"13", "The links belong to different traces.", SENDER_MINT},
    [WB_E_ATT_MXD] = {"13", "A link allows a deeper chain than the one before.", SENDER_MINT},
    [WB_E_ATT_TIME] =
        {"13", "A link was signed before its parent, or after its parent's deadline.",
         "Compare the clocks of the agents in the chain; trust.skew_s says how far they may "
         "be apart."},
    [WB_E_ATT_DLN] = {"13", "A link's deadline is later than that of the one before.", SENDER_MINT},
    [WB_E_ATT_CUR] = {"13", "A link's budget is in another currency than that of the one before.",
                      SENDER_MINT},
    [WB_E_ATT_LIM] = {"13", "A link grants more than the one before.", SENDER_MINT},
    [WB_E_ATT_SCP] = {"13", "A link allows skills that the one before does not.", SENDER_MINT},
    [WB_E_LOOP] =
        {"13", "The chain comes back to an agent that is in it already.",
         "Agents delegate in a circle. If that is meant, set trust.callbacks on each of them."},
    [WB_E_HOP] = {"13", "The work was handed on through more than 16 links between traces.",
                  "Agents that only link delegate in a circle, or the path is too long: make them "
                  "trust each other, so that traces continue."},
    [WB_E_CHAIN_SIG] =
        {"14", "A link before the last is revoked, out of its key's time, or badly signed.",
         "`waybill token verify` with the chain says which one. If an ancestor's key was "
         "revoked, its delegations must be made again with a new one."},
    [WB_E_REPLAY] =
        {"15", "Another token with this id was accepted before.",
         "Somebody reuses token ids: a broken minter, or an attempt to get a second message "
         "in. See the issuer."},
    [WB_E_REPLAY_FULL] =
        {"15", "So many tokens were accepted lately that no more can be remembered.",
         "It passes by itself as tokens expire. If it lasts, this agent takes more load "
         "than one sidecar remembers: run several, or lower token.expiry_s at the "
         "senders."},
    [WB_E_POLICY] = {"17", "The token is good, but this issuer's policy is `verdict: reject`.",
                     "Change trust.policies for that agent id if it should be let in."},
};

const wb_token_help *wb_token_help_of(wb_token_code code)
{
    return (size_t)code < WB_TOKEN_CODES && help[code].step ? &help[code] : NULL;
}

wb_token_code wb_token_code_parse(wb_slice name)
{
    for (unsigned i = WB_E_NONE + 1; i < WB_TOKEN_CODES; i++)
        if (wb_slice_eq(name, wb_slice_str(wb_token_code_name((wb_token_code)i))))
            return (wb_token_code)i;
    return WB_E_NONE;
}
