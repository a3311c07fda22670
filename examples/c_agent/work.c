/* SPDX-License-Identifier: Apache-2.0 */
/* What this agent is for: it is handed a claim, "warranty: 12 times", and says whether it holds, by asking the
 * next agent the same question again. Nothing here knows of HTTP, tokens or carriers; a span is opened around
 * what is worth seeing, below the context that the message came in with. */
#include "agent.h"

#include <stdlib.h>
#include <string.h>

enum { SUBJECT_MAX = 100 };

/* A step as a span of its own: its attributes, and an end on every way out. */
static int count_words(agent *self, const waybill_context *inside, const char *text)
{
    static const char spaces[] = " \t\r\n";
    int words = 0;
    waybill_span span;
    waybill_span_start(self->waybill, &span, "count words", inside, WAYBILL_TOOL_CALL);
    for (const char *at = text + strspn(text, spaces); *at; at += strspn(at, spaces)) {
        at += strcspn(at, spaces);
        words++;
    }
    waybill_span_set_int(&span, "words", words);
    waybill_span_end(&span);
    return words;
}

static outcome compare(agent *self, const waybill_context *inside, const char *claim, int words)
{
    size_t len = strcspn(claim, ":\r\n");
    char *question = a2a_format("How often is it said: %.*s",
                                (int)(len < SUBJECT_MAX ? len : SUBJECT_MAX), claim);
    outcome heard = ask_next(self, inside, question);
    free(question);
    if (heard.error_type) return heard;
    const char *word = strcmp(heard.text, claim) == 0 ? "confirmed" : "differs";
    outcome found = {.text = a2a_format("%s, %d words: %s", word, words, heard.text)};
    free(heard.text);
    return found;
}

outcome work_on(agent *self, const waybill_context *inside, const char *text)
{
    waybill_span span;
    waybill_span_start(self->waybill, &span, "proofread", inside, WAYBILL_AGENT);
    int words = count_words(self, &span.context, text);
    outcome found = {0};
    if (self->next_url)
        found = compare(self, &span.context, text, words);
    else
        found.text = a2a_format("%d words, and nobody to ask", words);
    if (found.error_type)
        waybill_span_set_error(&span, found.error_type, found.text);
    else
        waybill_span_set_ok(&span);
    waybill_span_end(&span);
    return found;
}
