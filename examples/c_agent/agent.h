/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h: what the five files of this agent know of each other. Texts that are returned as `char *` are
 * the caller's to free. Memory that is not there ends the process (main.c), so no call here fails for it. */
#ifndef PROOFREADER_AGENT_H
#define PROOFREADER_AGENT_H

#include <stdbool.h>
#include <stddef.h>

#include <waybill/waybill.h>

struct cJSON;

enum { BODY_MAX = 1024 * 1024 }; /* of a request that we take, and of an answer that we read */

typedef struct agent {
    waybill_client *waybill;
    const char *agent_id; /* our own id, which our card declares; or NULL */
    const char *next_url; /* where the agent is that we ask; or NULL: we ask nobody */
    char url[128];        /* where we are */
} agent;

/* One HTTP request as it came. */
typedef struct request {
    const char *body; /* ends with a NUL behind its `len` bytes */
    size_t len;
    const waybill_header *headers;
    size_t n_headers;
    const char *peer; /* the address that sent it */
} request;

/* What came of a piece of work: a text for whoever asked, or an error. */
typedef struct outcome {
    char *text;             /* the answer; or what went wrong, for people */
    const char *error_type; /* a short, stable word for what went wrong; NULL: nothing did */
} outcome;

/* a2a.c: the shapes of A2A 1.0 over JSON-RPC. `id` is the JSON-RPC id to answer to, or NULL. */
char *a2a_card(const agent *self);
char *a2a_answer(agent *self, const request *in);
char *a2a_error(const struct cJSON *id, int code, const char *message, struct cJSON *taken_detail);
char *a2a_message(const struct cJSON *id, const char *context_id, const char *text);
char *a2a_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *a2a_new_id(void);                       /* 32 hex digits */
char *a2a_text_of(const struct cJSON *parts); /* the text parts, one a line */
const char *a2a_member(const struct cJSON *object, const char *name); /* a string; "" if absent */

/* guard.c: the called side of a delegation: accept, work, finish. */
char *guard_message(agent *self, const request *in, struct cJSON *message, const struct cJSON *id);

/* work.c: what this agent is for. */
outcome work_on(agent *self, const waybill_context *inside, const char *text);

/* ask.c: the calling side of a delegation: delegate, send, settle. */
outcome ask_next(agent *self, const waybill_context *inside, const char *question);

/* http.c: what ask.c sends with. */
typedef struct reply {
    char *body;        /* NULL: none came */
    long status;       /* HTTP's */
    const char *fault; /* a short, stable word when no answer came; else NULL */
} reply;
reply http_get(const char *url);
reply http_post_json(const char *url, const char *body, const waybill_header *headers, size_t n);

#endif
