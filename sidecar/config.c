/* SPDX-License-Identifier: Apache-2.0 */
/* One table is the whole configuration. What two keys, or an id's grammar, ask for is held by
 * sidecar/config_load.c. */
#include "sidecar/config.h"

#include "propagation/token.h"
#include "sidecar/config_enrich.h"
#include "sidecar/pipeline/series.h"

#define WHEN_FULL "|backpressure|drop_oldest"
#define NO_LIMIT "9007199254740991" /* WB_NOLIM */

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
    ROWS_OTLP ROWS_POSTGRES WB_LESS_CONFIG_KEYS("", offsetof(wb_exporter_config, less)),
    {.name = "max_lag_bytes",
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

_Static_assert((int)WB_LESS_PATTERNS_MAX == (int)WB_REDACT_PATTERNS_MAX, "as many as of all");
_Static_assert(WB_CONFIG_PAIR(wb_peer, origins, n_origins), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, exporters, n_exporters), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, self_ids, n_self_ids), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, redact_drop, n_redact_drop), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, redact_hash, n_redact_hash), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, redact_cut, n_redact_cut), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, ipc_allow_uids, n_ipc_allow_uids),
               "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, sandbox_writable, n_sandbox_writable),
               "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, peers, n_peers), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, baggage_accept, n_baggage_accept), "a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, baggage_send, n_baggage_send), "a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, trust_policies, n_trust_policies),
               "read as a pair");

_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, resource_attributes, n_resource_attributes),
               "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_sidecar_config, span_attributes, n_span_attributes), "a pair");

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
    {.name = "normalise.enabled",
     .type = WB_BOOL,
     .fallback = "true",
     KEY(normalise),
     .live = true,
     .help = "Give spans the attributes of the canonical model (docs/model.md), from whatever "
             "instrumentation they come. False: spans are stored and sent on as they came, and "
             "nothing is "
             "measured of them."},
    {.name = "redact.secrets",
     .type = WB_BOOL,
     .fallback = "true",
     KEY(redact_secrets),
     .live = true,
     .help =
         "Take keys, tokens, passwords, cookies and private keys out of all telemetry before it is "
         "kept (docs/redaction.md)."},
    {.name = "redact.content",
     .type = WB_CHOICE,
     .fallback = "preview",
     .choices = "preview|verbose|whole|none",
     KEY(redact_content),
     .live = true,
     .help = "How much is kept of prompts, answers, arguments and results: "
             "`redact.preview_characters`, "
             "`redact.verbose_bytes`, all of it, or nothing."},
    {.name = "redact.preview_characters",
     .type = WB_NUMBER,
     .fallback = "500",
     .min = 8,
     .max = 100000,
     KEY(redact_preview_characters),
     .live = true,
     .help = "Of a preview, the mark of the cut included."},
    {.name = "redact.verbose_bytes",
     .type = WB_BYTES,
     .fallback = "200KiB",
     .min = 1024,
     .max = 4 << 20,
     KEY(redact_verbose_bytes),
     .live = true,
     .help = "Of content where `redact.content` is `verbose`."},
    {.name = "redact.drop",
     .type = WB_SLICES,
     .max = WB_REDACT_PATTERNS_MAX,
     KEY(redact_drop),
     .live = true,
     .help = "Attributes with such keys are left out; `*` is any characters: `user.email`, "
             "`customer.*`."},
    {.name = "redact.hash",
     .type = WB_SLICES,
     .max = WB_REDACT_PATTERNS_MAX,
     KEY(redact_hash),
     .live = true,
     .help = "Of attributes with such keys a keyed hash is kept: the same for the same value, and "
             "nobody can tell "
             "which."},
    {.name = "redact.cut",
     .type = WB_SLICES,
     .max = WB_REDACT_PATTERNS_MAX,
     KEY(redact_cut),
     .live = true,
     .help = "Attributes with such keys are cut to `redact.preview_characters`, whatever "
             "`redact.content` says."},
    {.name = "metrics.genai",
     .type = WB_BOOL,
     .fallback = "true",
     KEY(metrics_genai),
     .live = true,
     .help = "Measure calls of models, tools, agents and workflows from their spans (metrics.md): "
             "tokens, durations, failures, in /metrics and as OTLP metrics to backends. Only "
             "spans that are normalised are measured."},
    {.name = "metrics.names",
     .type = WB_CHOICE,
     .fallback = "v1.41",
     .choices = "v1.41|latest|both",
     KEY(metrics_names),
     .live = true,
     .help = "By which of OpenTelemetry's names calls of models are measured: those of its release "
             "1.41, which instrumentations use (`gen_ai.client.token.usage`), the latest "
             "(`gen_ai.client.inference.usage.input_tokens`), or both."},
    {.name = "metrics.interval_s",
     .type = WB_SECONDS,
     .fallback = "60",
     .max = 86400,
     KEY(metrics_interval_s),
     .live = true,
     .help = "How often what was measured is written down as OTLP metrics, for exporters that take "
             "them. 0: never."},
    {.name = "metrics.max_series",
     .type = WB_U32,
     .fallback = "1000",
     .min = 1,
     .max = WB_SERIES_MAX,
     KEY(metrics_max_series),
     .help = "Distinct sets of labels that are measured each alone; what comes behind them is "
             "counted with `otel.metric.overflow`. /metrics gives them 4 MiB of text, which may "
             "be reached first."},
    {.name = "enrich.enabled",
     .type = WB_BOOL,
     .fallback = "true",
     KEY(enrich),
     .live = true,
     .help = "Add to what arrives who the agent is, to the spans of an acceptance its session, and "
             "the attributes below (docs/model.md)."},
    {.name = "enrich.resource_attributes",
     .type = WB_SLICES,
     .max = WB_ENRICH_PAIRS_MAX,
     KEY(resource_attributes),
     .check = wb_enrich_pair_check,
     .live = true,
     .help = "`key=value` for the resource of spans, logs and metrics, where the program says "
             "nothing under that key. "
             "They come before those of `OTEL_RESOURCE_ATTRIBUTES`, which the sidecar adds too."},
    {.name = "enrich.attributes",
     .type = WB_SLICES,
     .max = WB_ENRICH_PAIRS_MAX,
     KEY(span_attributes),
     .check = wb_enrich_pair_check,
     .live = true,
     .help = "`key=value` for every span that has none of that key."},
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
    WB_LESS_CONFIG_KEYS("store.", offsetof(wb_sidecar_config, store.less)),
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
