/* SPDX-License-Identifier: Apache-2.0 */
/* An agent in C that does what a test asks of libwaybill (tests/integration/test_c_client.py), through the public
 * header alone. Prints one JSON object; times are milliseconds. Usage: client_driver WHAT SOCKET ... */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <waybill/waybill.h>

static void die(const char *what, const waybill_error *err)
{
    fprintf(stderr, "%s: %s: %s\n", what, waybill_status_name(err->status), err->detail);
    exit(1);
}

static waybill_client *open_at(const char *socket, waybill_on_unavailable how)
{
    waybill_client *client = NULL;
    waybill_error err;
    waybill_options options = {
        .size = sizeof options, .socket = socket, .name = "driver", .on_unavailable = how};
    if (waybill_open(&options, &client, &err) != WAYBILL_OK) die("open", &err);
    return client;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void print_hex(const char *key, const uint8_t *bytes, size_t len)
{
    printf("\"%s\":\"", key);
    for (size_t i = 0; i < len; i++) printf("%02x", bytes[i]);
    printf("\",");
}

static void print_stats(waybill_client *client)
{
    waybill_stats s;
    waybill_get_stats(client, &s, sizeof s);
    printf("\"recorded\":%" PRIu64 ",\"acknowledged\":%" PRIu64 ",\"rejected\":%" PRIu64
           ",\"dropped\":%" PRIu64 ",\"buffered\":%" PRIu64 ",\"unsigned\":%" PRIu64
           ",\"unverified\":%" PRIu64 ",\"unconfirmed\":%" PRIu64 "}\n",
           s.spans_recorded, s.spans_acknowledged, s.spans_rejected, s.spans_dropped,
           s.spans_buffered, s.unsigned_delegations, s.unverified_acceptances, s.unconfirmed);
}

/* ---- spans SOCKET THREADS SPANS: that many spans of each thread below one root ---- */

typedef struct crowd {
    waybill_client *client;
    waybill_context parent;
    int spans;
} crowd;

static void *record_some(void *arg)
{
    const crowd *c = arg;
    for (int i = 0; i < c->spans; i++) {
        waybill_span span;
        waybill_span_start(c->client, &span, "work", &c->parent, WAYBILL_TOOL_CALL);
        waybill_span_set_int(&span, "n", i);
        waybill_span_set_text(&span, "text", "some text of a span");
        (void)waybill_span_end(&span);
    }
    return NULL;
}

static int spans(const char *socket, int threads, int each)
{
    pthread_t ids[64];
    waybill_client *client = open_at(socket, WAYBILL_AS_CONFIGURED);
    waybill_span root;
    waybill_span_start(client, &root, "root", NULL, WAYBILL_AGENT);
    crowd c = {.client = client, .parent = root.context, .spans = each};
    for (int i = 0; i < threads && i < 64; i++) pthread_create(&ids[i], NULL, record_some, &c);
    for (int i = 0; i < threads && i < 64; i++) pthread_join(ids[i], NULL);
    (void)waybill_span_end(&root);
    bool flushed = waybill_flush(client, 20000);
    printf("{\"flushed\":%s,", flushed ? "true" : "false");
    print_hex("trace_id", root.context.trace_id, 16);
    print_stats(client);
    waybill_close(client, 1000);
    return 0;
}

/* ---- steady SOCKET SPANS: a span each 2 ms until there were that many, then a flush; sidecars may die ---- */

static int steady(const char *socket, int n)
{
    waybill_client *client = open_at(socket, WAYBILL_AS_CONFIGURED);
    waybill_span root;
    waybill_span_start(client, &root, "root", NULL, WAYBILL_AGENT);
    for (int i = 0; i < n; i++) {
        struct timespec pause = {0, 2000000};
        waybill_span span;
        waybill_span_start(client, &span, "step", &root.context, WAYBILL_PLAIN);
        (void)waybill_span_end(&span);
        nanosleep(&pause, NULL);
    }
    (void)waybill_span_end(&root);
    bool flushed = waybill_flush(client, 20000);
    printf("{\"flushed\":%s,", flushed ? "true" : "false");
    print_hex("trace_id", root.context.trace_id, 16);
    print_stats(client);
    waybill_close(client, 1000);
    return 0;
}

/* ---- hop SOCKET_A SOCKET_B URL_B [spoil]: a whole delegation, both sides here ---- */

static const char PARTS[] = "[{\"text\":\"Find it\"},{\"data\":{\"b\":1.0,\"a\":\"\\u00e9\"}}]";

static waybill_delegation *hand_over(waybill_client *a, const char *url, waybill_span *root)
{
    static uint8_t salt[WAYBILL_SALT_BYTES], digest[WAYBILL_DIGEST_BYTES];
    waybill_error err;
    waybill_delegation *d = NULL;
    waybill_make_salt(salt);
    if (waybill_body_digest(WAYBILL_A2A_1_0, salt, PARTS, sizeof PARTS - 1, digest, &err))
        die("digest", &err);
    waybill_limits ask = {.currency = "USD", .cost_micros = 1000, .tokens = 50, .work_ms = -1};
    waybill_delegate_request request = {
        .size = sizeof request,
        .method = "SendMessage",
        .message_id = "msg-c",
        .target_url = url,
        .target_name = "b",
        .salt = salt,
        .body_digest = digest,
        .parent = root ? &root->context : NULL,
        .ask = &ask,
    };
    for (int i = 0; i < 4; i++) { /* on a busy machine a second is not always enough */
        if (waybill_delegate(a, &request, &d, &err) != WAYBILL_OK) die("delegate", &err);
        if (!d->local) return d;
        waybill_delegation_free(d);
        sleep(6);
    }
    fputs("the sidecar never answered in time\n", stderr);
    exit(1);
}

static waybill_status take(waybill_client *b, const waybill_delegation *d, const char *carrier,
                           waybill_acceptance **out, waybill_error *err)
{
    uint8_t salt[WAYBILL_SALT_BYTES], digest[WAYBILL_DIGEST_BYTES];
    bool salted = waybill_carrier_salt(carrier, strlen(carrier), salt);
    if (salted && waybill_body_digest(WAYBILL_A2A_1_0, salt, PARTS, sizeof PARTS - 1, digest, err))
        die("digest", err);
    waybill_header headers[] = {{"Content-Type", "application/json"},
                                {"Traceparent", d->traceparent}};
    waybill_accept_request request = {
        .size = sizeof request,
        .carrier = carrier,
        .headers = headers,
        .n_headers = 2,
        .method = "SendMessage",
        .message_id = "msg-c",
        .body_digest = salted ? digest : NULL,
        .peer = "127.0.0.1",
    };
    return waybill_accept(b, &request, out, err);
}

static int hop(const char *socket_a, const char *socket_b, const char *url, bool spoil)
{
    waybill_error err = {WAYBILL_OK, "", "", "", 0};
    waybill_client *a = open_at(socket_a, WAYBILL_AS_CONFIGURED);
    waybill_client *b = open_at(socket_b, WAYBILL_AS_CONFIGURED);
    waybill_span root, work;
    waybill_acceptance *acceptance = NULL;
    waybill_span_start(a, &root, "ask", NULL, WAYBILL_AGENT);
    waybill_delegation *d = hand_over(a, url, &root);
    waybill_seen in_flight = {.size = sizeof in_flight, .task_state = "TASK_STATE_WORKING"};
    if (waybill_observe(a, d, &in_flight, &err) != WAYBILL_OK) die("observe", &err);
    char *carrier = strdup(d->carrier);
    if (spoil) carrier[strlen(carrier) / 2] ^= 1;
    waybill_status taken = take(b, d, carrier, &acceptance, &err);
    if (acceptance && acceptance->local) {
        fputs("the sidecar did not answer in time\n", stderr);
        return 1;
    }
    printf("{\"accept\":\"%s\",\"wire_class\":\"%s\",\"ref\":\"%s\",\"signed\":%s,\"turn\":%u,"
           "\"tokens\":%" PRId64 ",\"unsigned_reason\":\"%s\",",
           waybill_status_name(taken), err.wire_class, err.ref, *d->carrier ? "true" : "false",
           d->turn, d->has_granted ? d->granted.tokens : -2, d->unsigned_reason);
    if (acceptance) {
        printf("\"verdict\":%d,\"verified\":%s,\"issuer\":\"%s\",", acceptance->verdict,
               acceptance->verified ? "true" : "false", acceptance->issuer);
        print_hex("acceptance_id", acceptance->id, 16);
        print_hex("work_trace", acceptance->context.trace_id, 16);
        waybill_span_start(b, &work, "work", &acceptance->context, WAYBILL_TOOL_CALL);
        (void)waybill_span_end(&work);
        if (waybill_finish(b, acceptance, "ok", NULL, &err) != WAYBILL_OK) die("finish", &err);
    }
    waybill_seen seen = {.size = sizeof seen, .task_state = "TASK_STATE_COMPLETED"};
    const char *outcome = acceptance ? "completed" : "rejected";
    if (waybill_settle(a, d, outcome, acceptance ? &seen : NULL, &err)) die("settle", &err);
    (void)waybill_span_end(&root);
    print_hex("delegation_id", d->id, 16);
    print_hex("trace_id", root.context.trace_id, 16);
    waybill_acceptance_free(acceptance);
    waybill_delegation_free(d);
    free(carrier);
    waybill_close(b, 5000);
    (void)waybill_flush(a, 5000);
    print_stats(a);
    waybill_close(a, 5000);
    return 0;
}

/* ---- away SOCKET unsigned|fail: without a sidecar ---- */

static int away(const char *socket, waybill_on_unavailable how)
{
    waybill_error err = {WAYBILL_OK, "", "", "", 0};
    waybill_client *client = open_at(socket, how);
    waybill_delegation *d[2] = {NULL, NULL};
    waybill_acceptance *taken = NULL;
    waybill_delegate_request ask = {.size = sizeof ask, .method = "SendMessage"};
    waybill_header headers[] = {
        {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
    waybill_accept_request accept = {
        .size = sizeof accept, .method = "SendMessage", .headers = headers, .n_headers = 1};
    double started = now_ms();
    waybill_status first = waybill_delegate(client, &ask, &d[0], &err);
    double once = now_ms();
    waybill_status second = waybill_delegate(client, &ask, &d[1], NULL);
    waybill_status third = waybill_accept(client, &accept, &taken, NULL);
    double twice = now_ms();
    printf("{\"first\":\"%s\",\"second\":\"%s\",\"accept\":\"%s\",\"first_ms\":%.1f,"
           "\"rest_ms\":%.1f,\"detail\":\"%s\",",
           waybill_status_name(first), waybill_status_name(second), waybill_status_name(third),
           once - started, twice - once, first ? err.detail : "");
    if (d[0])
        printf("\"local\":%s,\"carrier\":\"%s\",\"traceparent\":\"%s\",",
               d[0]->local ? "true" : "false", d[0]->carrier, d[0]->traceparent);
    if (taken) {
        printf("\"verdict\":%d,\"verified\":%s,", taken->verdict,
               taken->verified ? "true" : "false");
        print_hex("work_trace", taken->context.trace_id, 16);
        (void)waybill_finish(client, taken, "ok", NULL, NULL);
    }
    if (d[0]) (void)waybill_settle(client, d[0], "answered", NULL, NULL);
    for (int i = 0; i < 40000;
         i++) { /* more than the buffer holds: never waits, drops are counted */
        waybill_span span;
        waybill_span_start(client, &span, "lost", NULL, WAYBILL_PLAIN);
        waybill_span_set_text(&span, "filler", "0123456789012345678901234567890123456789");
        waybill_span_set_text(&span, "filler2", "0123456789012345678901234567890123456789");
        waybill_span_set_text(&span, "filler3", "0123456789012345678901234567890123456789");
        (void)waybill_span_end(&span);
    }
    double closing = now_ms();
    print_stats(client);
    waybill_delegation_free(d[0]);
    waybill_delegation_free(d[1]);
    waybill_acceptance_free(taken);
    waybill_close(client, 200);
    fprintf(stderr, "closed in %.0f ms\n", now_ms() - closing);
    return 0;
}

/* ---- fork SOCKET URL: what a child may and may not ---- */

static int in_child(waybill_client *client, const char *socket)
{
    waybill_error err;
    waybill_delegation *d = NULL;
    waybill_client *own = NULL;
    waybill_stats stats;
    waybill_span span;
    waybill_options options = {.size = sizeof options, .socket = socket};
    waybill_delegate_request ask = {.size = sizeof ask, .method = "SendMessage"};
    if (waybill_delegate(client, &ask, &d, &err) != WAYBILL_UNAVAILABLE) return 1;
    waybill_span_start(client, &span, "in the child", NULL, WAYBILL_PLAIN);
    if (waybill_span_end(&span)) return 2;
    if (waybill_flush(client, 100)) return 3;
    if (waybill_open(&options, &own, &err) != WAYBILL_UNAVAILABLE) return 4;
    waybill_get_stats(client, &stats, sizeof stats);
    waybill_close(client, 1000);
    return 0;
}

static int forked(const char *socket, const char *url)
{
    waybill_client *client = open_at(socket, WAYBILL_AS_CONFIGURED);
    waybill_delegation_free(hand_over(client, url, NULL));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) _exit(in_child(client, socket));
    int status = 0;
    if (waitpid(child, &status, 0) != child) return 1;
    waybill_delegation_free(hand_over(client, url, NULL)); /* the parent goes on */
    printf("{\"child\":%d,\"flushed\":%s,",
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
           waybill_flush(client, 5000) ? "true" : "false");
    print_stats(client);
    waybill_close(client, 1000);
    return 0;
}

/* ---- obey SOCKET: greeted, then, when a line comes, a delegation without the sidecar ---- */

static int obey(const char *socket)
{
    char *text = NULL, line[16];
    waybill_error err = {WAYBILL_OK, "", "", "", 0};
    waybill_delegation *d = NULL;
    waybill_delegate_request ask = {.size = sizeof ask, .method = "SendMessage"};
    waybill_client *client = open_at(socket, WAYBILL_AS_CONFIGURED);
    if (waybill_report(client, &text, &err) != WAYBILL_OK) die("report", &err);
    waybill_free_text(text);
    sleep(1); /* the greeting goes beside the first call */
    puts("greeted");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return 1;
    printf("{\"first\":\"%s\"}\n", waybill_status_name(waybill_delegate(client, &ask, &d, &err)));
    waybill_close(client, 100);
    return 0;
}

/* ---- report SOCKET ---- */

static int report(const char *socket)
{
    char *text = NULL;
    waybill_error err;
    waybill_client *client = open_at(socket, WAYBILL_AS_CONFIGURED);
    if (waybill_report(client, &text, &err) != WAYBILL_OK) die("report", &err);
    puts(text);
    waybill_free_text(text);
    waybill_close(client, 1000);
    return 0;
}

static int number(const char *text) { return (int)strtol(text, NULL, 10); }

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    const char *what = argv[1], *socket = argv[2];
    if (strcmp(what, "spans") == 0 && argc == 5)
        return spans(socket, number(argv[3]), number(argv[4]));
    if (strcmp(what, "steady") == 0 && argc == 4) return steady(socket, number(argv[3]));
    if (strcmp(what, "hop") == 0 && argc >= 5) return hop(socket, argv[3], argv[4], argc > 5);
    if (strcmp(what, "away") == 0 && argc == 4)
        return away(socket, strcmp(argv[3], "fail") == 0 ? WAYBILL_FAIL : WAYBILL_UNSIGNED);
    if (strcmp(what, "fork") == 0 && argc == 4) return forked(socket, argv[3]);
    if (strcmp(what, "obey") == 0) return obey(socket);
    if (strcmp(what, "report") == 0) return report(socket);
    return 2;
}
