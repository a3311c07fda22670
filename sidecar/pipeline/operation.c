/* SPDX-License-Identifier: Apache-2.0 */
/* Each dialect has a word of its own for the same few things; the tables below are its dictionary. What a
 * dialect has and OpenTelemetry has not (rerank, guardrail ...) keeps its word as the operation, which the
 * conventions allow, and has the nearest type. A step of a workflow is a workflow to whoever looks at types. */
#include "sidecar/pipeline/operation.h"

#include "core/status.h"

#include <strings.h>

static const char *const type_words[] = {
    [WB_TYPE_NONE] = "",
    [WB_TYPE_SESSION] = "session",
    [WB_TYPE_AGENT] = "agent",
    [WB_TYPE_LLM_CALL] = "llm_call",
    [WB_TYPE_TOOL_CALL] = "tool_call",
    [WB_TYPE_EMBEDDING] = "embedding",
    [WB_TYPE_RETRIEVAL] = "retrieval",
    [WB_TYPE_WORKFLOW] = "workflow",
    [WB_TYPE_DELEGATION] = "delegation",
    [WB_TYPE_EXECUTION] = "execution",
    [WB_TYPE_EVENT] = "event",
    [WB_TYPE_ERROR] = "error",
};

wb_slice wb_span_type_word(wb_span_type type) { return wb_slice_str(type_words[type]); }

wb_span_type wb_span_type_of(wb_slice word)
{
    for (unsigned i = WB_TYPE_SESSION; i < WB_COUNT(type_words); i++)
        if (wb_slice_eq(word, wb_slice_str(type_words[i]))) return (wb_span_type)i;
    return WB_TYPE_NONE;
}

typedef struct word {
    const char *text;
    wb_span_type type;
    const char *name; /* NULL: the word itself */
} word;

/* gen_ai.operation.name: the conventions' own, and what @ai-sdk/otel adds. */
static const word otel[] = {
    {"chat", WB_TYPE_LLM_CALL, NULL},
    {"invoke_agent", WB_TYPE_AGENT, NULL},
    {"execute_tool", WB_TYPE_TOOL_CALL, NULL},
    {"embeddings", WB_TYPE_EMBEDDING, NULL},
    {"text_completion", WB_TYPE_LLM_CALL, NULL},
    {"generate_content", WB_TYPE_LLM_CALL, NULL},
    {"retrieval", WB_TYPE_RETRIEVAL, NULL},
    {"create_agent", WB_TYPE_AGENT, NULL},
    {"invoke_workflow", WB_TYPE_WORKFLOW, NULL},
    {"plan", WB_TYPE_WORKFLOW, NULL},
    {"agent_step", WB_TYPE_WORKFLOW, NULL},
    {"rerank", WB_TYPE_RETRIEVAL, NULL},
    {"fetch_response", WB_TYPE_EXECUTION, NULL},
    {"create_memory", WB_TYPE_EXECUTION, NULL},
    {"update_memory", WB_TYPE_EXECUTION, NULL},
    {"upsert_memory", WB_TYPE_EXECUTION, NULL},
    {"delete_memory", WB_TYPE_EXECUTION, NULL},
    {"search_memory", WB_TYPE_RETRIEVAL, NULL},
    {"create_memory_store", WB_TYPE_EXECUTION, NULL},
    {"delete_memory_store", WB_TYPE_EXECUTION, NULL},
};

static const word openinference[] = {
    {"LLM", WB_TYPE_LLM_CALL, "chat"},
    {"AGENT", WB_TYPE_AGENT, "invoke_agent"},
    {"TOOL", WB_TYPE_TOOL_CALL, "execute_tool"},
    {"EMBEDDING", WB_TYPE_EMBEDDING, "embeddings"},
    {"RETRIEVER", WB_TYPE_RETRIEVAL, "retrieval"},
    {"CHAIN", WB_TYPE_WORKFLOW, "step"},
    {"RERANKER", WB_TYPE_RETRIEVAL, "rerank"},
    {"GUARDRAIL", WB_TYPE_EXECUTION, "guardrail"},
    {"EVALUATOR", WB_TYPE_EXECUTION, "evaluator"},
    {"PROMPT", WB_TYPE_EXECUTION, "prompt"},
    {"DECISION", WB_TYPE_EXECUTION, "decision"},
};

static const word traceloop[] = {
    {"workflow", WB_TYPE_WORKFLOW, "invoke_workflow"},
    {"task", WB_TYPE_WORKFLOW, "step"},
    {"agent", WB_TYPE_AGENT, "invoke_agent"},
    {"tool", WB_TYPE_TOOL_CALL, "execute_tool"},
    {"unknown", WB_TYPE_WORKFLOW, "step"},
};

static const word agentops[] = {
    {"session", WB_TYPE_SESSION, "invoke_workflow"},
    {"workflow", WB_TYPE_WORKFLOW, "invoke_workflow"},
    {"task", WB_TYPE_WORKFLOW, "step"},
    {"operation", WB_TYPE_WORKFLOW, "step"},
    {"chain", WB_TYPE_WORKFLOW, "step"},
    {"agent", WB_TYPE_AGENT, "invoke_agent"},
    {"tool", WB_TYPE_TOOL_CALL, "execute_tool"},
    {"llm", WB_TYPE_LLM_CALL, "chat"},
    {"text", WB_TYPE_EXECUTION, "text"},
    {"guardrail", WB_TYPE_EXECUTION, "guardrail"},
    {"http", WB_TYPE_EXECUTION, "http"},
};

/* `span` is what nobody chose. */
static const word langfuse[] = {
    {"generation", WB_TYPE_LLM_CALL, "chat"},
    {"embedding", WB_TYPE_EMBEDDING, "embeddings"},
    {"agent", WB_TYPE_AGENT, "invoke_agent"},
    {"tool", WB_TYPE_TOOL_CALL, "execute_tool"},
    {"retriever", WB_TYPE_RETRIEVAL, "retrieval"},
    {"chain", WB_TYPE_WORKFLOW, "step"},
    {"event", WB_TYPE_EVENT, "event"},
    {"guardrail", WB_TYPE_EXECUTION, "guardrail"},
    {"evaluator", WB_TYPE_EXECUTION, "evaluator"},
};

static const word request_types[] = {
    {"chat", WB_TYPE_LLM_CALL, "chat"},
    {"completion", WB_TYPE_LLM_CALL, "text_completion"},
    {"embedding", WB_TYPE_EMBEDDING, "embeddings"},
    {"rerank", WB_TYPE_RETRIEVAL, "rerank"},
};

/* The Vercel AI SDK: spans within others do the work, those around them are the agent's. */
static const word vercel[] = {
    {"ai.generateText.doGenerate", WB_TYPE_LLM_CALL, "chat"},
    {"ai.streamText.doStream", WB_TYPE_LLM_CALL, "chat"},
    {"ai.generateObject.doGenerate", WB_TYPE_LLM_CALL, "chat"},
    {"ai.streamObject.doStream", WB_TYPE_LLM_CALL, "chat"},
    {"ai.embed.doEmbed", WB_TYPE_EMBEDDING, "embeddings"},
    {"ai.embedMany.doEmbed", WB_TYPE_EMBEDDING, "embeddings"},
    {"ai.toolCall", WB_TYPE_TOOL_CALL, "execute_tool"},
    {"ai.generateText", WB_TYPE_AGENT, "invoke_agent"},
    {"ai.streamText", WB_TYPE_AGENT, "invoke_agent"},
    {"ai.generateObject", WB_TYPE_AGENT, "invoke_agent"},
    {"ai.streamObject", WB_TYPE_AGENT, "invoke_agent"},
    {"ai.embed", WB_TYPE_WORKFLOW, "step"},
    {"ai.embedMany", WB_TYPE_WORKFLOW, "step"},
    {"ai.rerank", WB_TYPE_RETRIEVAL, "rerank"},
    {"ai.rerank.doRerank", WB_TYPE_RETRIEVAL, "rerank"},
};

typedef struct dictionary {
    const word *words;
    size_t n;
} dictionary;

#define DICTIONARY(list)                                                                           \
    {                                                                                              \
        list, WB_COUNT(list)                                                                       \
    }

static const dictionary dictionaries[WB_RULES] = {
    [WB_RULE_LANGFUSE] = DICTIONARY(langfuse),
    [WB_RULE_OPENINFERENCE] = DICTIONARY(openinference),
    [WB_RULE_OPERATION] = DICTIONARY(otel),
    [WB_RULE_TRACELOOP] = DICTIONARY(traceloop),
    [WB_RULE_AGENTOPS] = DICTIONARY(agentops),
    [WB_RULE_VERCEL] = DICTIONARY(vercel),
    [WB_RULE_REQUEST_TYPE] = DICTIONARY(request_types),
};

static bool is_word(wb_slice s, const char *text)
{
    return s.len == strlen(text) && strncasecmp((const char *)s.ptr, text, s.len) == 0;
}

static wb_slice up_to(wb_slice s, char end)
{
    const uint8_t *at = s.len ? memchr(s.ptr, end, s.len) : NULL;
    return at ? (wb_slice){s.ptr, (size_t)(at - s.ptr)} : s;
}

static wb_operation look_up(const dictionary *in, wb_slice text)
{
    for (size_t i = 0; i < in->n; i++) {
        const word *w = &in->words[i];
        if (is_word(text, w->text))
            return (wb_operation){w->type, wb_slice_str(w->name ? w->name : w->text)};
    }
    return (wb_operation){.type = WB_TYPE_NONE};
}

static wb_operation of_mcp(wb_slice method)
{
    if (is_word(method, "tools/call"))
        return (wb_operation){WB_TYPE_TOOL_CALL, WB_S("execute_tool")};
    return (wb_operation){.type = WB_TYPE_EXECUTION};
}

/* Who asks for work delegates it; who is asked executes it; looking after a task is neither. */
static wb_operation of_a2a(wb_slice method, bool is_client)
{
    bool sends = is_word(method, "SendMessage") || is_word(method, "SendStreamingMessage") ||
                 is_word(method, "message/send") || is_word(method, "message/stream");
    return (wb_operation){.type = sends && is_client ? WB_TYPE_DELEGATION : WB_TYPE_EXECUTION};
}

wb_operation wb_operation_of(wb_semconv_how dialect, wb_slice text, bool is_root, bool is_client)
{
    if (dialect == WB_RULE_MCP) return of_mcp(text);
    if (dialect == WB_RULE_A2A) return of_a2a(text, is_client);
    if (dialect == WB_RULE_VERCEL) text = up_to(text, ' ');   /* behind it: the function's id */
    if (dialect == WB_RULE_AGENTOPS) text = up_to(text, '.'); /* agent.action */
    wb_operation found = look_up(&dictionaries[dialect], text);
    if (dialect == WB_RULE_OPENINFERENCE && is_root && is_word(text, "CHAIN"))
        found.name = WB_S("invoke_workflow");
    return found;
}

wb_slice wb_langfuse_provider(wb_slice span_name)
{
    static const char *const clients[][2] = {
        {"OpenAI.", "openai"}, {"OpenAI-", "openai"}, {"AzureOpenAI.", "azure.ai.openai"}};
    for (size_t i = 0; i < WB_COUNT(clients); i++)
        if (wb_slice_starts(span_name, wb_slice_str(clients[i][0])))
            return wb_slice_str(clients[i][1]);
    return (wb_slice){NULL, 0};
}

bool wb_langfuse_embeds(wb_slice span_name)
{
    return wb_slice_eq(span_name, WB_S("OpenAI.embeddings")) ||
           wb_slice_eq(span_name, WB_S("AzureOpenAI.embeddings"));
}

#define HAS(field) ((has >> (field)) & 1)

wb_operation wb_operation_by_fields(uint64_t has, bool is_client)
{
    if (HAS(WB_CANON_TOOL_NAME) || HAS(WB_CANON_TOOL_CALL_ID))
        return (wb_operation){WB_TYPE_TOOL_CALL, WB_S("execute_tool")};
    bool model = HAS(WB_CANON_MODEL_REQUESTED) || HAS(WB_CANON_MODEL_RESPONSE);
    if (model && (is_client || HAS(WB_CANON_TOKENS_INPUT) || HAS(WB_CANON_TOKENS_OUTPUT)))
        return (wb_operation){WB_TYPE_LLM_CALL, WB_S("chat")};
    if (HAS(WB_CANON_AGENT_NAME) || HAS(WB_CANON_AGENT_ID))
        return (wb_operation){WB_TYPE_AGENT, WB_S("invoke_agent")};
    if (HAS(WB_CANON_WORKFLOW_NAME))
        return (wb_operation){WB_TYPE_WORKFLOW, WB_S("invoke_workflow")};
    return (wb_operation){.type = WB_TYPE_NONE};
}

bool wb_span_type_matches(wb_span_type type, wb_semconv_when when, bool is_agentops)
{
    switch (when) {
    case WB_WHEN_ALWAYS: return true;
    case WB_WHEN_AGENT: return type == WB_TYPE_AGENT;
    case WB_WHEN_TOOL: return type == WB_TYPE_TOOL_CALL;
    case WB_WHEN_LLM: return type == WB_TYPE_LLM_CALL;
    case WB_WHEN_WORKFLOW: return type == WB_TYPE_WORKFLOW;
    case WB_WHEN_AGENTOPS_SESSION: return is_agentops && type == WB_TYPE_SESSION;
    case WB_WHEN_AGENTOPS_AGENT: return is_agentops && type == WB_TYPE_AGENT;
    case WB_WHEN_AGENTOPS_TOOL: return is_agentops && type == WB_TYPE_TOOL_CALL;
    }
    return false;
}
