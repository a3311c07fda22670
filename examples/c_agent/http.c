/* SPDX-License-Identifier: Apache-2.0 */
/* Two HTTP requests by libcurl, with limits: an answer of BODY_MAX bytes, 5 s to connect, 30 s in all. */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

enum { CONNECT_S = 5, ALL_S = 30, HEADER_MAX = 16 * 1024 };

typedef struct text {
    char *ptr;
    size_t len;
} text;

/* curl ends the transfer when less is taken than was given. */
static size_t take(char *bytes, size_t one, size_t n, void *into)
{
    text *body = into;
    char *more = body->len + n > BODY_MAX ? NULL : realloc(body->ptr, body->len + n + 1);
    (void)one; /* 1 by definition */
    if (!more) return 0;
    memcpy(more + body->len, bytes, n);
    body->ptr = more;
    body->len += n;
    more[body->len] = '\0';
    return n;
}

static const char *fault_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK: return NULL;
    case CURLE_OPERATION_TIMEDOUT: return "timeout";
    case CURLE_COULDNT_RESOLVE_HOST: return "name_not_found";
    case CURLE_COULDNT_CONNECT: return "connection_refused";
    case CURLE_WRITE_ERROR: return "answer_too_large";
    default: return "connection_broken";
    }
}

static reply perform(CURL *curl, const char *url, struct curl_slist *headers)
{
    text body = {0};
    reply got = {0};
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ALL_S);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    got.fault = fault_of(curl_easy_perform(curl));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &got.status);
    got.body = body.ptr;
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return got;
}

static struct curl_slist *with(struct curl_slist *list, const char *name, const char *value)
{
    char line[HEADER_MAX];
    if (!value || !*value || snprintf(line, sizeof line, "%s: %s", name, value) >= HEADER_MAX)
        return list;
    struct curl_slist *longer = curl_slist_append(list, line);
    return longer ? longer : list;
}

reply http_get(const char *url)
{
    CURL *curl = curl_easy_init();
    return curl ? perform(curl, url, NULL) : (reply){.fault = "no_memory"};
}

reply http_post_json(const char *url, const char *body, const waybill_header *headers, size_t n)
{
    CURL *curl = curl_easy_init();
    if (!curl) return (reply){.fault = "no_memory"};
    struct curl_slist *list = with(NULL, "Content-Type", "application/json");
    for (size_t i = 0; i < n; i++) list = with(list, headers[i].name, headers[i].value);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    return perform(curl, url, list);
}
