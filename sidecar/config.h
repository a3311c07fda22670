/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/config.h: every key that waybilld knows, as one struct. Reference: docs/configuration.md. */
#ifndef WAYBILL_SIDECAR_CONFIG_H
#define WAYBILL_SIDECAR_CONFIG_H

#include "a2a/target.h"
#include "core/config.h"
#include "core/log.h"
#include "exporters/otlp/otlp.h"
#include "exporters/postgres/postgres.h"
#include "exporters/sqlite/sqlite.h"
#include "propagation/trust.h"
#include "sidecar/context.h"
#include "sidecar/delivery/delivery_config.h"
#include "sidecar/delivery/less_config.h"
#include "sidecar/pipeline/attr_list.h"
#include "sidecar/pipeline/redact.h"
#include "sidecar/receivers/otlp/config.h"
#include "sidecar/sandbox/sandbox.h"

#include <sys/types.h>

typedef enum wb_on_unavailable {
    WB_ON_UNAVAILABLE_UNSIGNED,
    WB_ON_UNAVAILABLE_FAIL
} wb_on_unavailable;

enum { WB_EXPORTERS_MAX = 16, WB_EXPORTER_NAME_MAX = 64 };

typedef enum wb_exporter_type {
    WB_EXPORTER_TYPE_SQLITE,
    WB_EXPORTER_TYPE_OTLP,
    WB_EXPORTER_TYPE_POSTGRES,
    WB_EXPORTER_TYPES,
} wb_exporter_type;

/* What happens when an exporter is further behind than it may be. */
typedef enum wb_when_full {
    WB_WHEN_FULL_UNSET, /* made one of the others when loaded: by what the type is for */
    WB_WHEN_FULL_BACKPRESSURE,
    WB_WHEN_FULL_DROP_OLDEST,
} wb_when_full;

typedef struct wb_exporter_config {
    wb_slice name;
    bool is_store; /* the default one: its keys are store.* */
    wb_exporter_type type;
    uint64_t max_lag_bytes; /* 0: what when_full makes of the journal's limit */
    wb_when_full when_full;
    wb_sqlite_config sqlite; /* the one of its type counts */
    wb_otlp_export_config otlp;
    wb_delivery_config delivery; /* of what is no store */
    wb_postgres_config postgres;
    wb_less_config less;
    uint64_t less_number; /* made of it: 0, it may have all; else other rules have another number */
    wb_redact_policy redact;
} wb_exporter_config;

/* By which names metrics of calls of models go. */
typedef enum wb_metric_names {
    WB_METRIC_NAMES_V1_41,
    WB_METRIC_NAMES_LATEST,
    WB_METRIC_NAMES_BOTH,
} wb_metric_names;

/* What the default store is. */
typedef enum wb_store_type { WB_STORE_SQLITE, WB_STORE_NONE, WB_STORE_POSTGRES } wb_store_type;

typedef struct wb_sidecar_config {
    const char *name; /* of the instance; from the command line, not a key */

    const wb_slice *self_ids; /* own agent ids; the first is `iss` */
    size_t n_self_ids;        /* at least one */
    const char *state_dir;    /* NULL: by core/paths.h */
    wb_log_level log_level;
    wb_log_format log_format;
    uint32_t workers;
    uint64_t drain_timeout_ms;

    uint64_t ipc_max_message_bytes;
    const wb_slice *ipc_allow_uids; /* as written; `access` has them as numbers */
    size_t n_ipc_allow_uids;
    const char *ipc_group; /* name or number; NULL: the socket is our user's alone */
    wb_sandbox_wish sandbox;
    const wb_slice *sandbox_writable; /* directories */
    size_t n_sandbox_writable;
    uint64_t journal_segment_bytes;
    uint64_t journal_limit_bytes;

    wb_trust_mode trust_mode;
    bool trust_callbacks;
    bool trust_rehome;
    bool normalise;
    bool redact_secrets;
    wb_redact_content redact_content;
    uint64_t redact_preview_characters;
    uint64_t redact_verbose_bytes;
    const wb_slice *redact_drop; /* patterns of keys */
    size_t n_redact_drop;
    const wb_slice *redact_hash;
    size_t n_redact_hash;
    const wb_slice *redact_cut;
    size_t n_redact_cut;
    bool metrics_genai;
    wb_metric_names metrics_names;
    uint64_t metrics_interval_s; /* 0: never */
    uint32_t metrics_max_series;
    bool enrich;
    const wb_slice *resource_attributes; /* key=value, as written */
    size_t n_resource_attributes;
    const wb_slice *span_attributes;
    size_t n_span_attributes;
    uint64_t trust_skew_s;
    uint64_t trust_rate_per_s;
    uint64_t trust_rate_burst;
    const wb_trust_policy *trust_policies;
    size_t n_trust_policies;
    const wb_peer *peers; /* agents that tokens are made for, and where their interfaces are */
    size_t n_peers;

    uint64_t token_expiry_s;
    uint32_t token_max_depth;
    uint64_t delegation_deadline_s;
    uint64_t delegation_grace_s;
    const char *limits_currency; /* three of A-Z */
    uint64_t limits_cost_micros; /* each WB_NOLIM: none */
    uint64_t limits_tokens;
    uint64_t limits_work_ms;
    uint32_t limits_share_percent;
    wb_on_unavailable delegate_on_unavailable;

    const wb_slice *baggage_accept; /* one of the words of its row, or keys */
    size_t n_baggage_accept;
    const wb_slice *baggage_send;
    size_t n_baggage_send;

    wb_otlp_config otlp;
    const char *admin_listen; /* NULL: the default */
    wb_store_type store_type;
    wb_exporter_config store;            /* name and type are made from store_type */
    const wb_exporter_config *exporters; /* beside the default store */
    size_t n_exporters;

    /* made from the above */
    const wb_exporter_config *exporters_now; /* with what a reload made of their live keys */
    size_t n_exporters_now;
    wb_listen admin;
    wb_policies policies;
    const uid_t *allow_uids; /* n_ipc_allow_uids of them */
    wb_baggage_border accept_baggage, send_baggage;
    wb_redact_policy redact;
    const wb_attr_list
        *to_resources; /* of enrich.resource_attributes and OTEL_RESOURCE_ATTRIBUTES */
    const wb_attr_list *to_spans;
    const wb_otlp_attr
        *own_resource; /* of to_resources, what the spans of the sidecar itself get */
    size_t n_own_resource;
    const char *otel_fault; /* why OTEL_RESOURCE_ATTRIBUTES was left out; NULL: it was not */
} wb_sidecar_config;

/** For --check and --print-config-reference. */
extern const wb_config_table wb_sidecar_config_table;

/** Defaults, then the file, then variables; then what one key cannot check alone: agent ids are ids,
 *  origins are origins and each belongs to one peer, the journal's limit holds four segments, uids are
 *  numbers, the currency is three capitals, other users can reach the socket only through a group.
 *  path   NULL: no file
 *  name   of the instance; borrowed for the life of `out`
 *  env    as environ
 *  arena  holds what `out` points at
 *  Errors CONFIG a person must act, `err` says where | NOT_FOUND no such file | NO_MEMORY */
WB_MUST_USE wb_status wb_sidecar_config_load(const char *path, const char *name, char *const *env,
                                             wb_arena *arena, wb_sidecar_config *out,
                                             wb_error *err);

/** What a reload makes of the configuration of the start: wb_config_renew, and what is made from the
 *  keys. `out` borrows from both. NO_MEMORY */
WB_MUST_USE wb_status wb_sidecar_config_renew(const wb_sidecar_config *running,
                                              const wb_sidecar_config *fresh,
                                              wb_sidecar_config *out,
                                              void (*on_stale)(void *self, const char *key),
                                              void *self, wb_error *err);

#endif
