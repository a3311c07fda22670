/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/operation.h: what a span is, whoever says it and in whatever words.
 * Pure; any thread. Source: DESIGN.md section 6; docs/model.md has the words of each dialect. */
#ifndef WAYBILL_SIDECAR_PIPELINE_OPERATION_H
#define WAYBILL_SIDECAR_PIPELINE_OPERATION_H

#include "core/slice.h"
#include "sidecar/pipeline/semconv.h"

/* waybill.span.type */
typedef enum wb_span_type {
    WB_TYPE_NONE,
    WB_TYPE_SESSION,
    WB_TYPE_AGENT,
    WB_TYPE_LLM_CALL,
    WB_TYPE_TOOL_CALL,
    WB_TYPE_EMBEDDING,
    WB_TYPE_RETRIEVAL,
    WB_TYPE_WORKFLOW,
    WB_TYPE_DELEGATION,
    WB_TYPE_EXECUTION,
    WB_TYPE_EVENT,
    WB_TYPE_ERROR,
} wb_span_type;

/** Its word; empty for NONE. */
wb_slice wb_span_type_word(wb_span_type type);
/** NONE for another word. */
wb_span_type wb_span_type_of(wb_slice word);

/* What one word of a dialect means. */
typedef struct wb_operation {
    wb_span_type type; /* NONE: the word says nothing */
    wb_slice name;     /* gen_ai.operation.name; empty: there is none for it */
} wb_operation;

/** What a word means in the dialect of that rule (WB_RULE_LANGFUSE to WB_RULE_REQUEST_TYPE). Upper and lower case
 *  do not count. */
wb_operation wb_operation_of(wb_semconv_how dialect, wb_slice text, bool is_root, bool is_client);

/** Langfuse's wrapper of OpenAI's client has no word for the provider, and its JavaScript release calls every call a
 *  generation; but it names the span after the client and what of it was called (`OpenAI-generation`,
 *  `AzureOpenAI.embeddings`). The provider; empty if the name is not of that form. Static. */
wb_slice wb_langfuse_provider(wb_slice span_name);
/** Does such a name tell of embeddings? */
bool wb_langfuse_embeds(wb_slice span_name);

/** What the fields say that no span of another kind has: there is no word. `has` is a set of WB_CANON_ bits. */
wb_operation wb_operation_by_fields(uint64_t has, bool is_client);

/** Are spans of that type those that a rule speaks of? */
bool wb_span_type_matches(wb_span_type type, wb_semconv_when when, bool is_agentops);

#endif
