/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/semconv.h: which attributes say which field of the canonical model. A table that is made
 * from canonical-fields.csv and semconv-map.csv when Waybill is built; constant, any thread may read. */
#ifndef WAYBILL_SIDECAR_PIPELINE_SEMCONV_H
#define WAYBILL_SIDECAR_PIPELINE_SEMCONV_H

#include "core/slice.h"

/* The fields, WB_CANON_OPERATION and so on; how many; how many keys and prefixes there are; the place of
 * waybill.span.type, server.address and server.port, which are no fields and have no rules. */
#define WB_SEMCONV_FIELDS
#include "sidecar/pipeline/semconv_table.inc"
#undef WB_SEMCONV_FIELDS

/* How a value becomes the field's. */
typedef enum wb_semconv_how {
    WB_RULE_TEXT,     /* text; of a number its digits */
    WB_RULE_ANY,      /* as it is */
    WB_RULE_LIST,     /* an array; a text alone, or a JSON array of texts, becomes one */
    WB_RULE_PROVIDER, /* text in OpenTelemetry's spelling */
    WB_RULE_COUNT,    /* a number that is not negative, also as text */
    WB_RULE_USAGE,    /* JSON object of token counts */
    WB_RULE_USD,      /* a price; becomes micros */
    WB_RULE_COST,     /* JSON object of prices */
    WB_RULE_SECONDS,
    WB_RULE_MS,
    WB_RULE_SINCE_START,  /* a date and time; becomes seconds from the span's start */
    WB_RULE_MEMBER_MODEL, /* JSON object: text of its member of that name */
    WB_RULE_MEMBER_ID,
    WB_RULE_MEMBER_SERVICE_TIER, /* also of the usage within */
    WB_RULE_MESSAGES,            /* in any vendor's shape: messages.h */
    WB_RULE_ANSWER,              /* a part of one, all of which are attributes of the span */
    WB_RULE_TOOLS,               /* that a model is offered, in any vendor's shape */
    WB_RULE_ARGUMENTS,           /* of a call, also of a decorated function's */
    WB_RULE_RESOURCE,            /* text of the resource, for what its spans do not say */
    /* Of the operation, in the order in which they are trusted. */
    WB_RULE_LANGFUSE,
    WB_RULE_OPENINFERENCE,
    WB_RULE_OPERATION,
    WB_RULE_TRACELOOP,
    WB_RULE_AGENTOPS,
    WB_RULE_VERCEL,
    WB_RULE_MCP,
    WB_RULE_A2A,
    WB_RULE_REQUEST_TYPE,
    WB_RULES
} wb_semconv_how;

/* On which spans a key says this. */
typedef enum wb_semconv_when {
    WB_WHEN_ALWAYS,
    WB_WHEN_AGENT,
    WB_WHEN_TOOL,
    WB_WHEN_LLM,
    WB_WHEN_WORKFLOW,
    WB_WHEN_AGENTOPS_SESSION, /* of AgentOps: others have that key, too */
    WB_WHEN_AGENTOPS_AGENT,
    WB_WHEN_AGENTOPS_TOOL,
} wb_semconv_when;

typedef struct wb_semconv_rule {
    uint8_t field; /* WB_CANON_ */
    uint8_t how;   /* wb_semconv_how */
    uint8_t when;  /* wb_semconv_when */
    uint16_t rank; /* the lower, the more it is trusted; 0: it is the field's own attribute */
} wb_semconv_rule;

/** The keys, for a wb_key_set: what it finds is then a place for wb_semconv_rules. */
extern const wb_slice wb_semconv_keys[WB_SEMCONV_KEYS];
/** The same of prefixes of keys that have an index in them. */
extern const wb_slice wb_semconv_prefixes[WB_SEMCONV_PREFIXES];

/** The rules of the key at `place`, from 1 on; *n of them. */
const wb_semconv_rule *wb_semconv_rules(uint16_t place, size_t *n);

/** The field that the prefix is of. */
uint8_t wb_semconv_prefix_field(size_t prefix);

/** The attribute that says the field. */
wb_slice wb_canon_attribute(uint8_t field);
/** Is it what people and models said, or tools were given and gave back? */
bool wb_canon_is_content(uint8_t field);

#endif
