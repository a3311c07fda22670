/* SPDX-License-Identifier: Apache-2.0 */
/* One table is the whole configuration; the functions below it only hold what two keys, or an id's
 * grammar, ask for. Nothing here touches a file or socket but the one file that was named. */
#include "sidecar/config.h"

#include "core/self_id.h"
#include "propagation/token.h"

#include <unistd.h>

#define PORT_ADMIN 7412
#define WHEN_FULL "|backpressure|drop_oldest"
#define NO_LIMIT "9007199254740991" /* WB_NOLIM */

/* By wb_store_type; also its cursor's key in the journal. */
static const char *const store_names[] = {
    [WB_STORE_SQLITE] = "sqlite", [WB_STORE_NONE] = "", [WB_STORE_POSTGRES] = "postgres"};

static const wb_config_key policy_keys[] = {
    {.name = "id",
     .type = WB_SLICE,
     .min = 1,
     .max = WB_ID_MAX_BYTES,
     .offset = offsetof(wb_trust_policy, id),
     .help = "The issuer's agent id."},
    {.name = "verdict",
     .type = WB_CHOICE,
     .choices = "|continue|link|reject",
     .offset = offsetof(wb_trust_policy, verdict),
     .help =
         "What its good tokens lead to. Unset: `continue` for spiffe ids in the trust domain of "
         "the first own id, else `link`."},
    {.name = "chain",
     .type = WB_CHOICE,
     .choices = "|full|leaf",
     .offset = offsetof(wb_trust_policy, chain),
     .help = "What is sent to it of a chain; `leaf` also takes lone links from it. Unset: `full` "
             "where `verdict` would be `continue`, else `leaf`."},
    {.name = "mode",
     .type = WB_CHOICE,
     .choices = "|link|enforce|observe",
     .offset = offsetof(wb_trust_policy, mode),
     .help = "Unset: `trust.mode`."},
    {.name = "require",
     .type = WB_BOOL,
     .fallback = "false",
     .offset = offsetof(wb_trust_policy, require),
     .help = "Refuse it without a token, or with an unknown key, instead of linking."},
    {.name = "carry",
     .type = WB_BOOL,
     .fallback = "false",
     .offset = offsetof(wb_trust_policy, carry),
     .help = "Continue its chains though an ancestor is unknown here."},
};
static const wb_config_table policy_table = {policy_keys, WB_COUNT(policy_keys),
                                             sizeof(wb_trust_policy)};

static const wb_config_key peer_keys[] = {
    {.name = "id",
     .type = WB_SLICE,
     .min = 1,
     .max = WB_ID_MAX_BYTES,
     .offset = offsetof(wb_peer, id),
     .help = "The peer's agent id: `aud` of tokens for it."},
    {.name = "origins",
     .type = WB_SLICES,
     .min = 1,
     .max = 64,
     .offset = offsetof(wb_peer, origins),
     .help = "Where its interfaces are: `https://host:port`, without a path."},
};
static const wb_config_table peer_table = {peer_keys, WB_COUNT(peer_keys), sizeof(wb_peer)};

/* A build without a far side does not know its word, and has none of its rows. */
#if WAYBILL_OTLP_EXPORT
#define TYPE_OTLP "|otlp"
#define ROWS_OTLP                                                                                  \
    WB_OTLP_EXPORT_CONFIG_KEYS("", offsetof(wb_exporter_config, otlp), "otlp"),                    \
        WB_DELIVERY_CONFIG_KEYS("", offsetof(wb_exporter_config, delivery), "otlp"),
#else
#define TYPE_OTLP "|"
#define ROWS_OTLP
#endif
#if WAYBILL_POSTGRES
#define TYPE_POSTGRES "|postgres"
#define ROWS_POSTGRES                                                                              \
    WB_POSTGRES_CONFIG_KEYS("", offsetof(wb_exporter_config, postgres), "postgres"),
#define ROWS_STORE_POSTGRES                                                                        \
    WB_POSTGRES_CONFIG_KEYS("store.postgres.", offsetof(wb_sidecar_config, store.postgres), NULL),
#else
#define TYPE_POSTGRES "|"
#define ROWS_POSTGRES
#define ROWS_STORE_POSTGRES
#endif

static const wb_config_key exporter_keys[] = {
    {.name = "name",
     .type = WB_SLICE,
     .min = 1,
     .max = WB_EXPORTER_NAME_MAX,
     .offset = offsetof(wb_exporter_config, name),
     .help = "Its cursor's key in the journal, so a renamed one begins anew."},
    {.name = "type",
     .type = WB_CHOICE,
     .fallback = "sqlite",
     .choices = "sqlite" TYPE_OTLP TYPE_POSTGRES,
     .offset = offsetof(wb_exporter_config, type),
     .help = "What the far side is."},
    WB_SQLITE_CONFIG_KEYS("", offsetof(wb_exporter_config, sqlite), "sqlite"),
    ROWS_OTLP ROWS_POSTGRES{
        .name = "max_lag_bytes",
        .type = WB_BYTES,
        .fallback = "0",
        .max = UINT64_C(1) << 40,
        .offset = offsetof(wb_exporter_config, max_lag_bytes),
        .help = "How far it may fall behind before `when_full` holds. 0: half of "
                "`journal.limit_bytes` with `drop_oldest`, all of it with `backpressure`."},
    {.name = "when_full",
     .type = WB_CHOICE,
     .choices = WHEN_FULL,
     .offset = offsetof(wb_exporter_config, when_full),
     .help =
         "`backpressure`: new work is refused with FULL. `drop_oldest`: what it has not got is "
         "skipped, counted and said. Unset: `backpressure` for stores, `drop_oldest` for `otlp`."},
};
static const wb_config_table exporter_table = {exporter_keys, WB_COUNT(exporter_keys),
                                               sizeof(wb_exporter_config)};

_Static_assert(WB_CONFIG_PAIR(wb_peer, origins, n_origins), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, exporters, n_exporters), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, self_ids, n_self_ids), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, ipc_allow_uids, n_ipc_allow_uids),
               "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, sandbox_writable, n_sandbox_writable),
               "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, peers, n_peers), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, baggage_accept, n_baggage_accept), "a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, baggage_send, n_baggage_send), "a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, trust_policies, n_trust_policies),
               "read as a pair");

#define KEY(field) .offset = offsetof(wb_sidecar_config, field)

static const wb_config_key keys[] = {
    {.name = "self_ids",
     .type = WB_SLICES,
     .max = 16,
     KEY(self_ids),
     .help = "The agent's ids, https:// or spiffe://. The first signs; tokens may name any. Unset: "
             "`spiffe://waybill.local/HOSTNAME/NAME`."},
    {.name = "state_dir",
     .type = WB_TEXT,
     .max = 400,
     .min = 1,
     KEY(state_dir),
     .help = "Journal, keys and trust of this instance. Unset: `$XDG_STATE_HOME/waybill/NAME`, for "
             "root `/var/lib/waybill/NAME`."},
    {.name = "log.level",
     .type = WB_CHOICE,
     .fallback = "info",
     .choices = "debug|info|warn|error",
     KEY(log_level),
     .help = "The least level that is written to standard error."},
    {.name = "log.format",
     .type = WB_CHOICE,
     .fallback = "logfmt",
     .choices = "logfmt|json",
     KEY(log_format),
     .help = "One line per event either way."},
    {.name = "workers",
     .type = WB_U32,
     .fallback = "2",
     .min = 1,
     .max = 64,
     KEY(workers),
     .help = "Threads that unpack requests, sign and verify."},
    {.name = "drain_timeout_ms",
     .type = WB_MS,
     .fallback = "5000",
     .max = 600000,
     KEY(drain_timeout_ms),
     .help = "On SIGTERM: how long to deliver what the journal holds. The rest stays there."},
    {.name = "ipc.max_message_bytes",
     .type = WB_BYTES,
     .fallback = "8MiB",
     .min = 64 << 10,
     .max = 64 << 20,
     KEY(ipc_max_message_bytes),
     .help = "Larger requests are refused."},
    {.name = "ipc.allow_uids",
     .type = WB_SLICES,
     .max = 64,
     KEY(ipc_allow_uids),
     .help = "The agent's users, as numbers. Unset: the sidecar's own. Without its own among them, "
             "keys and state are out of the agent's reach (`isolation: uid`, see security.md)."},
    {.name = "ipc.group",
     .type = WB_TEXT,
     .min = 1,
     .max = 64,
     KEY(ipc_group),
     .help =
         "Group, by name or number, that may reach the socket: run directory 0750, socket 0660. "
         "The sidecar must be in it. Unset: nobody but the sidecar's own user, 0700 and 0600."},
    {.name = "sandbox",
     .type = WB_CHOICE,
     .fallback = "auto",
     .choices = "auto|off|require",
     KEY(sandbox),
     .help =
         "What the process takes from itself once it runs (security.md): `auto`, as much as kernel "
         "and build have; `require`, Landlock and seccomp or no start (exit code 78)."},
    {.name = "sandbox_writable",
     .type = WB_SLICES,
     .max = 16,
     KEY(sandbox_writable),
     .help = "Further directories that the sandbox leaves writable: for one that comes or is "
             "replaced while the sidecar runs, the directory above it."},
    {.name = "journal.segment_bytes",
     .type = WB_BYTES,
     .fallback = "64MiB",
     .min = 64 << 10,
     .max = UINT64_C(1) << 30,
     KEY(journal_segment_bytes),
     .help = "Size of one segment file, a multiple of 4096; also the largest transaction."},
    {.name = "journal.limit_bytes",
     .type = WB_BYTES,
     .fallback = "1GiB",
     .min = 1 << 20,
     .max = UINT64_C(1) << 40,
     KEY(journal_limit_bytes),
     .help = "New work is refused with FULL beyond this. At least four segments."},
    {.name = "trust.mode",
     .type = WB_CHOICE,
     .fallback = "link",
     .choices = "|link|enforce|observe",
     KEY(trust_mode),
     .live = true,
     .help =
         "`observe`: verdicts are recorded, nothing is refused. `link`: strangers get a trace of "
         "their own. `enforce`: no good token, no entry."},
    {.name = "trust.callbacks",
     .type = WB_BOOL,
     .fallback = "false",
     KEY(trust_callbacks),
     .live = true,
     .help = "Let an agent meet itself in a chain."},
    {.name = "trust.rehome",
     .type = WB_BOOL,
     .fallback = "true",
     KEY(trust_rehome),
     .help = "Move spans out of a trace that a caller only claims into one of our own. False: for "
             "an agent of several processes that call each other without Waybill."},
    {.name = "trust.skew_s",
     .type = WB_SECONDS,
     .fallback = "60",
     .max = WB_SKEW_MAX_S,
     KEY(trust_skew_s),
     .live = true,
     .help = "How far clocks may be apart."},
    {.name = "trust.rate_per_s",
     .type = WB_NUMBER,
     .fallback = "1000",
     .max = 1000000,
     KEY(trust_rate_per_s),
     .live = true,
     .help =
         "Tokens of one transport peer whose signatures are checked, a second; beyond that they "
         "are refused unchecked. 0: no limit."},
    {.name = "trust.rate_burst",
     .type = WB_NUMBER,
     .fallback = "2000",
     .min = 1,
     .max = 1000000,
     KEY(trust_rate_burst),
     .live = true,
     .help = "How many may come at once after a pause."},
    {.name = "trust.policies",
     .type = WB_MAP,
     .max = WB_CONFIG_MAX_ITEMS,
     KEY(trust_policies),
     .live = true,
     .of = &policy_table,
     .help = "By agent id: what is done with that issuer's tokens."},
    {.name = "peers",
     .type = WB_LIST,
     .max = WB_CONFIG_MAX_ITEMS,
     KEY(peers),
     .live = true,
     .of = &peer_table,
     .help = "Agents that tokens are made for."},
    {.name = "token.expiry_s",
     .type = WB_SECONDS,
     .fallback = "120",
     .min = 1,
     .max = WB_EXP_MAX_S,
     KEY(token_expiry_s),
     .help = "How long a token may be accepted after it was signed."},
    {.name = "token.max_depth",
     .type = WB_U32,
     .fallback = "4",
     .max = WB_DEPTH_MAX,
     KEY(token_max_depth),
     .help = "How many delegations deep a chain under our root may go."},
    {.name = "delegation.deadline_s",
     .type = WB_SECONDS,
     .fallback = "3600",
     .min = 1,
     .max = WB_DLN_MAX_S,
     KEY(delegation_deadline_s),
     .help = "How long a delegation may work when the caller says nothing."},
    {.name = "delegation.grace_s",
     .type = WB_SECONDS,
     .fallback = "60",
     .max = WB_DLN_MAX_S,
     KEY(delegation_grace_s),
     .help = "After the deadline and this, an unanswered one is `lost`."},
    {.name = "limits.currency",
     .type = WB_TEXT,
     .fallback = "USD",
     .min = WB_CURRENCY_LEN,
     .max = WB_CURRENCY_LEN,
     KEY(limits_currency),
     .help = "Of `limits.cost_micros`, and of tokens whose caller names none. ISO 4217."},
    {.name = "limits.cost_micros",
     .type = WB_NUMBER,
     .fallback = NO_LIMIT,
     .max = WB_NOLIM,
     KEY(limits_cost_micros),
     .help = "What one root delegation may be granted, in millionths. The default is no limit."},
    {.name = "limits.tokens",
     .type = WB_NUMBER,
     .fallback = NO_LIMIT,
     .max = WB_NOLIM,
     KEY(limits_tokens),
     .help = "The same for model tokens, input and output."},
    {.name = "limits.work_ms",
     .type = WB_MS,
     .fallback = NO_LIMIT,
     .max = WB_NOLIM,
     KEY(limits_work_ms),
     .help = "The same for time of work."},
    {.name = "limits.share_percent",
     .type = WB_U32,
     .fallback = "25",
     .max = 100,
     KEY(limits_share_percent),
     .help = "Of what is free: cost and tokens of a delegation whose caller asks for nothing."},
    {.name = "delegate.on_unavailable",
     .type = WB_CHOICE,
     .fallback = "unsigned",
     .choices = "unsigned|fail",
     KEY(delegate_on_unavailable),
     .help = "What clients do while the sidecar is away: go on without a token, or fail."},
    {.name = "context.baggage.accept",
     .type = WB_SLICES,
     .fallback = "joined",
     .max = WB_BAGGAGE_MAX_MEMBERS,
     KEY(baggage_accept),
     .live = true,
     .help = "Whose W3C baggage reaches the agent: `joined` (of callers whose trace is joined), "
             "`all`, `none`, or the keys that are taken from anybody."},
    {.name = "context.baggage.send",
     .type = WB_SLICES,
     .fallback = "peers",
     .max = WB_BAGGAGE_MAX_MEMBERS,
     KEY(baggage_send),
     .live = true,
     .help = "Who is sent the agent's W3C baggage with a delegation: `peers` (agents of `peers`), "
             "`all`, `none`, or the keys that are sent to anybody."},
#ifdef WAYBILL_ADMIN
    {.name = "admin.listen",
     .type = WB_TEXT,
     .min = 1,
     .max = 80,
     KEY(admin_listen),
     .help = "Address of /healthz, /readyz, /status and /metrics. Unset: `127.0.0.1:7412`, or a "
             "free port "
             "where that one is taken (`waybill status` says which)."},
#endif
    {.name = "store.type",
     .type = WB_CHOICE,
     .fallback = "sqlite",
     .choices = "sqlite|none" TYPE_POSTGRES,
     KEY(store_type),
     .help = "The default store: an exporter that is there without being asked for."},
    WB_SQLITE_CONFIG_KEYS("store.sqlite.", offsetof(wb_sidecar_config, store.sqlite), NULL),
    ROWS_STORE_POSTGRES{.name = "store.max_lag_bytes",
                        .type = WB_BYTES,
                        .fallback = "0",
                        .max = UINT64_C(1) << 40,
                        KEY(store.max_lag_bytes),
                        .help = "As `exporters.NAME.max_lag_bytes`."},
    {.name = "store.when_full",
     .type = WB_CHOICE,
     .choices = WHEN_FULL,
     KEY(store.when_full),
     .help = "As `exporters.NAME.when_full`."},
    {.name = "exporters",
     .type = WB_MAP,
     .max = WB_EXPORTERS_MAX - 1,
     KEY(exporters),
     .of = &exporter_table,
     .help = "Further ways out beside the default store, by name."},
    WB_OTLP_CONFIG_KEYS(offsetof(wb_sidecar_config, otlp))};

const wb_config_table wb_sidecar_config_table = {keys, WB_COUNT(keys), sizeof(wb_sidecar_config)};

static wb_status need_id(const char *key, wb_slice id, wb_error *err)
{
    if (wb_agent_id_ok(id)) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG,
                   "%s: \"%.*s\" is no agent id (https:// or spiffe://, lower case)", key,
                   (int)(id.len < 64 ? id.len : 64), (const char *)id.ptr);
}

static wb_status default_self_id(const char *name, wb_arena *arena, wb_sidecar_config *c)
{
    char text[WB_SELF_ID_MAX + 1];
    wb_slice *id = wb_arena_alloc(arena, sizeof *id);
    wb_self_id_default(name, text);
    if (!id || wb_arena_dup(arena, wb_slice_str(text), id) != WB_OK) return WB_ERR_NO_MEMORY;
    c->self_ids = id;
    c->n_self_ids = 1;
    return WB_OK;
}

static wb_status check_ids(const wb_sidecar_config *c, wb_error *err)
{
    for (size_t i = 0; i < c->n_self_ids; i++) WB_TRY(need_id("self_ids", c->self_ids[i], err));
    for (size_t i = 0; i < c->n_trust_policies; i++)
        WB_TRY(need_id("trust.policies", c->trust_policies[i].id, err));
    for (size_t i = 0; i < c->n_peers; i++) WB_TRY(need_id("peers", c->peers[i].id, err));
    return WB_OK;
}

/* An origin is written as wb_origin_of would write it, so that comparing is comparing bytes. */
static wb_status check_origin(const wb_sidecar_config *c, size_t peer, wb_slice text, wb_error *err)
{
    char origin[WB_ORIGIN_MAX + 1];
    int shown = (int)(text.len < 80 ? text.len : 80);
    if (wb_origin_of(text, origin) != WB_OK || !wb_slice_eq(text, wb_slice_str(origin)))
        return wb_fail(err, WB_ERR_CONFIG,
                       "peers: origins: \"%.*s\" is no origin (http(s)://host:port, lower case, no "
                       "path)",
                       shown, (const char *)text.ptr);
    wb_slice first = wb_peer_of_origin(c->peers, peer, text);
    if (first.len > 0)
        return wb_fail(err, WB_ERR_CONFIG, "peers: origins: \"%.*s\" belongs to two peers", shown,
                       (const char *)text.ptr);
    return WB_OK;
}

static wb_status check_peers(const wb_sidecar_config *c, wb_error *err)
{
    for (size_t i = 0; i < c->n_peers; i++)
        for (size_t k = 0; k < c->peers[i].n_origins; k++)
            WB_TRY(check_origin(c, i, c->peers[i].origins[k], err));
    return WB_OK;
}

/* Decimal, and not the last one: -1 is "no user" to every system call. */
static bool parse_uid(wb_slice text, uid_t *out)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = (uid_t)value;
    return value < UINT32_MAX;
}

static wb_status make_uids(wb_sidecar_config *c, wb_arena *arena, wb_error *err)
{
    uid_t *uids = wb_arena_alloc(arena, c->n_ipc_allow_uids * sizeof *uids + 1);
    if (!uids) return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration");
    bool others = false;
    for (size_t i = 0; i < c->n_ipc_allow_uids; i++) {
        wb_slice text = c->ipc_allow_uids[i];
        if (!parse_uid(text, &uids[i]))
            return wb_fail(err, WB_ERR_CONFIG, "ipc.allow_uids: \"%.*s\" is no user number",
                           (int)(text.len < 40 ? text.len : 40), (const char *)text.ptr);
        others = others || (uids[i] != geteuid() && uids[i] != 0);
    }
    if (others && !c->ipc_group) /* uid 0 needs nobody's leave to reach a file */
        return wb_fail(err, WB_ERR_CONFIG,
                       "ipc.allow_uids: other users cannot reach the socket; set ipc.group to a "
                       "group that they and this process are in");
    c->allow_uids = uids;
    return WB_OK;
}

static wb_status check_writable(const wb_sidecar_config *c, wb_error *err)
{
    for (size_t i = 0; i < c->n_sandbox_writable; i++) {
        wb_slice path = c->sandbox_writable[i];
        if (path.len == 0 || path.ptr[0] != '/')
            return wb_fail(err, WB_ERR_CONFIG, "sandbox_writable: \"%.*s\" is no absolute path",
                           (int)(path.len < 80 ? path.len : 80), (const char *)path.ptr);
    }
    return WB_OK;
}

static wb_status check_limits(const wb_sidecar_config *c, wb_error *err)
{
    for (const char *at = c->limits_currency; *at; at++)
        if (*at < 'A' || *at > 'Z')
            return wb_fail(err, WB_ERR_CONFIG, "limits.currency: three capital letters, as USD");
    return WB_OK;
}

static wb_status make_borders(wb_sidecar_config *c, wb_error *err)
{
    WB_TRY(wb_baggage_border_make("context.baggage.accept", c->baggage_accept, c->n_baggage_accept,
                                  WB_S("joined"), &c->accept_baggage, err));
    return wb_baggage_border_make("context.baggage.send", c->baggage_send, c->n_baggage_send,
                                  WB_S("peers"), &c->send_baggage, err);
}

static wb_status check_sizes(const wb_sidecar_config *c, wb_error *err)
{
    if (c->journal_segment_bytes % 4096 != 0)
        return wb_fail(err, WB_ERR_CONFIG, "journal.segment_bytes: not a multiple of 4096");
    if (c->journal_limit_bytes / 4 < c->journal_segment_bytes)
        return wb_fail(err, WB_ERR_CONFIG, "journal.limit_bytes: less than four segments");
    return WB_OK;
}

/* The name is part of a file's name (STATE_DIR/parked/NAME.parked). */
static bool exporter_name_ok(wb_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!plain && !(c == '.' && i > 0)) return false;
    }
    return name.len > 0;
}

/* A store must hold everything, so work waits for it; other far sides see what they can keep up with. */
static void make_when_full(wb_exporter_config *e)
{
    if (e->when_full != WB_WHEN_FULL_UNSET) return;
    e->when_full =
        e->type == WB_EXPORTER_TYPE_OTLP ? WB_WHEN_FULL_DROP_OLDEST : WB_WHEN_FULL_BACKPRESSURE;
}

static wb_status make_exporters(wb_sidecar_config *c, wb_arena *arena, wb_error *err)
{
    wb_exporter_config *list = wb_arena_array(arena, c->n_exporters + 1, sizeof *list);
    if (!list) return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration");
    if (c->n_exporters > 0) memcpy(list, c->exporters, c->n_exporters * sizeof *list);
    c->exporters = list;
    for (size_t i = 0; i < c->n_exporters; i++) make_when_full(&list[i]);
    c->store.type =
        c->store_type == WB_STORE_POSTGRES ? WB_EXPORTER_TYPE_POSTGRES : WB_EXPORTER_TYPE_SQLITE;
    c->store.is_store = true;
    c->store.name = wb_slice_str(store_names[c->store_type]);
    make_when_full(&c->store);
    return WB_OK;
}

static wb_status check_exporters(const wb_sidecar_config *c, wb_error *err)
{
    for (size_t i = 0; i < c->n_exporters; i++) {
        const wb_exporter_config *e = &c->exporters[i];
        if (!exporter_name_ok(e->name))
            return wb_fail(err, WB_ERR_CONFIG,
                           "exporters: \"%.*s\": a name is made of a-z 0-9 _ - and .",
                           WB_SLICE_ARG(e->name));
        if (c->store_type != WB_STORE_NONE && wb_slice_eq(e->name, c->store.name))
            return wb_fail(err, WB_ERR_CONFIG,
                           "exporters: \"%.*s\" is the default store: set store.*, or take another "
                           "name",
                           WB_SLICE_ARG(e->name));
        wb_error why;
        if (wb_delivery_config_check(&e->delivery, &why) != WB_OK)
            return wb_fail(err, WB_ERR_CONFIG, "exporters.%.*s.%.100s", WB_SLICE_ARG(e->name),
                           why.detail);
    }
    return WB_OK;
}

static void make_policies(wb_sidecar_config *c)
{
    c->policies = (wb_policies){.self_id = c->self_ids[0],
                                .entries = c->trust_policies,
                                .n = c->n_trust_policies,
                                .mode = c->trust_mode,
                                .callbacks = c->trust_callbacks};
}

wb_status wb_sidecar_config_load(const char *path, const char *name, char *const *env,
                                 wb_arena *arena, wb_sidecar_config *out, wb_error *err)
{
    wb_config_source source = {.name = path, .env = env};
    wb_sidecar_config c;
    if (path) WB_TRY(wb_config_read_file(path, arena, &source.yaml, err));
    WB_TRY(wb_config_load(&wb_sidecar_config_table, &source, arena, &c, err));
    c.name = name;
    if (c.n_self_ids == 0 && default_self_id(name, arena, &c) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration");
    WB_TRY(check_ids(&c, err));
    WB_TRY(check_peers(&c, err));
    WB_TRY(check_sizes(&c, err));
    WB_TRY(check_limits(&c, err));
    WB_TRY(make_exporters(&c, arena, err));
    WB_TRY(check_exporters(&c, err));
    WB_TRY(check_writable(&c, err));
    WB_TRY(make_uids(&c, arena, err));
    WB_TRY(wb_listen_make("admin.listen", c.admin_listen, PORT_ADMIN, false, &c.admin, err));
    WB_TRY(wb_otlp_config_make(&c.otlp, err));
    WB_TRY(make_borders(&c, err));
    make_policies(&c);
    *out = c;
    return WB_OK;
}

wb_status wb_sidecar_config_renew(const wb_sidecar_config *running, const wb_sidecar_config *fresh,
                                  wb_sidecar_config *out,
                                  void (*on_stale)(void *self, const char *key), void *self,
                                  wb_error *err)
{
    wb_sidecar_config c;
    WB_TRY(wb_config_renew(&wb_sidecar_config_table, running, fresh, &c, on_stale, self, err));
    WB_TRY(make_borders(&c, err));
    make_policies(&c);
    *out = c;
    return WB_OK;
}
