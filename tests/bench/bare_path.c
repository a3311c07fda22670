/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick of the forward bench: OTLP/HTTP in, OTLP/HTTP out, every acknowledged span synced, and
 * nothing besides. libmicrohttpd takes a request, it is walked, framed with length and CRC, written to a
 * zero-filled segment with others that came meanwhile, synced, answered, and sent on by libcurl in
 * requests of up to a MiB. No index, no stages, no state, no start from what a crash left.
 *
 * Usage: bare_path PORT SINK_PORT FILE      0 as PORT takes a free one; the port is the first line said */
#include <curl/curl.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/crc32c.h"
#include "proto/otlp_walk.h"
#include "tests/bench/bench.h"

enum {
    SEGMENT_BYTES = 64 * 1024 * 1024,
    BODY_MAX = 8 * 1024 * 1024,
    QUEUE_MAX_BYTES = 12 * 1024 * 1024, /* waiting to be sent; more waits at the door */
    POST_MAX_BYTES = 1024 * 1024,
    GROUP_MAX = 64,
    ARENA_BYTES = 64 * 1024 * 1024,
    HEAD = 16,
};

typedef struct request {
    struct request *next;
    struct MHD_Connection *connection;
    uint8_t *body;
    size_t len, cap;
    uint8_t head[HEAD];
    bool synced;
} request;

typedef struct queue {
    request *first, **last;
    size_t bytes;
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
} queue;

static queue to_write, to_send;
static int segment;
static off_t at;
static char sink_url[64];
static struct MHD_Response *answer;
static __thread wb_arena *arena;

static void queue_init(queue *q)
{
    *q = (queue){.last = &q->first};
    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_cond_init(&q->filled, NULL);
    (void)pthread_cond_init(&q->emptied, NULL);
}

static void put(queue *q, request *r)
{
    r->next = NULL;
    (void)pthread_mutex_lock(&q->lock);
    *q->last = r;
    q->last = &r->next;
    q->bytes += r->len;
    (void)pthread_cond_signal(&q->filled);
    (void)pthread_mutex_unlock(&q->lock);
}

/* All that is there, up to `max_bytes` and GROUP_MAX; at least one. */
static request *take(queue *q, size_t max_bytes)
{
    size_t bytes = 0, n = 0;
    (void)pthread_mutex_lock(&q->lock);
    while (!q->first) (void)pthread_cond_wait(&q->filled, &q->lock);
    request *group = q->first, *end = group;
    for (;; end = end->next) {
        bytes += end->len;
        if (!end->next || ++n == GROUP_MAX || bytes + end->next->len > max_bytes) break;
    }
    q->first = end->next;
    if (!q->first) q->last = &q->first;
    q->bytes -= bytes;
    end->next = NULL;
    (void)pthread_cond_signal(&q->emptied);
    (void)pthread_mutex_unlock(&q->lock);
    return group;
}

static void wait_for_room(queue *q)
{
    (void)pthread_mutex_lock(&q->lock);
    while (q->bytes > QUEUE_MAX_BYTES) (void)pthread_cond_wait(&q->emptied, &q->lock);
    (void)pthread_mutex_unlock(&q->lock);
}

/* ---- in -------------------------------------------------------------------------------------- */

static bool append(request *r, const char *data, size_t n)
{
    if (r->len + n > BODY_MAX) return false;
    if (r->len + n > r->cap) {
        size_t cap = 2 * (r->len + n);
        uint8_t *grown = realloc(r->body, cap);
        if (!grown) return false;
        r->body = grown;
        r->cap = cap;
    }
    memcpy(r->body + r->len, data, n);
    r->len += n;
    return true;
}

static bool is_traces(const request *r)
{
    wb_batch *batch = NULL;
    if (!arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) return false;
    wb_arena_reset(arena);
    return wb_otlp_walk(wb_slice_of(r->body, r->len), NULL, arena, &batch, NULL) == WB_OK;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **own)
{
    request *r = *own;
    (void)self, (void)url, (void)method, (void)version;
    if (!r) {
        *own = r = calloc(1, sizeof *r);
        if (r) r->connection = connection;
        return r ? MHD_YES : MHD_NO;
    }
    if (*size > 0) {
        bool taken = append(r, data, *size);
        *size = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    if (r->synced) { /* resumed */
        put(&to_send, r);
        *own = NULL;
        return MHD_queue_response(connection, MHD_HTTP_OK, answer);
    }
    if (!is_traces(r)) return MHD_NO;
    MHD_suspend_connection(connection);
    put(&to_write, r);
    return MHD_YES;
}

/* ---- to the disk ----------------------------------------------------------------------------- */

static void write_group(const request *group)
{
    struct iovec parts[2 * GROUP_MAX];
    int n = 0;
    size_t bytes = 0;
    for (const request *r = group; r; r = r->next) {
        parts[n++] = (struct iovec){(void *)r->head, HEAD};
        parts[n++] = (struct iovec){r->body, r->len};
        bytes += HEAD + r->len;
    }
    if (at + (off_t)bytes > SEGMENT_BYTES) at = 0;
    if (pwritev(segment, parts, n, at) != (ssize_t)bytes || fdatasync(segment) != 0) {
        perror("bare_path: segment");
        exit(2);
    }
    at += (off_t)((bytes + 7) & ~(size_t)7);
}

static void *writer(void *arg)
{
    (void)arg;
    for (;;) {
        wait_for_room(&to_send);
        request *group = take(&to_write, SEGMENT_BYTES / 2);
        for (request *r = group; r; r = r->next) {
            uint32_t crc = wb_crc32c(0, r->body, r->len);
            memcpy(r->head, &r->len, sizeof r->len);
            memcpy(r->head + sizeof r->len, &crc, sizeof crc);
        }
        write_group(group);
        for (request *r = group, *next; r; r = next) {
            next = r->next; /* it is another thread's once resumed */
            r->synced = true;
            MHD_resume_connection(r->connection);
        }
    }
    return NULL;
}

/* ---- out ------------------------------------------------------------------------------------- */

typedef struct reading {
    request *r;
    size_t at;
} reading;

static size_t read_group(char *out, size_t size, size_t n, void *self)
{
    reading *in = self;
    size_t room = size * n, done = 0;
    while (in->r && done < room) {
        size_t rest = in->r->len - in->at, part = rest < room - done ? rest : room - done;
        memcpy(out + done, in->r->body + in->at, part);
        done += part;
        in->at += part;
        if (in->at == in->r->len) *in = (reading){in->r->next, 0};
    }
    return done;
}

static size_t ignore(const char *data, size_t size, size_t n, void *self)
{
    (void)data, (void)self;
    return size * n;
}

static void *sender(void *arg)
{
    (void)arg;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/x-protobuf");
    headers = curl_slist_append(headers, "Expect:");
    (void)curl_easy_setopt(curl, CURLOPT_URL, sink_url);
    (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
    (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_group);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    for (;;) {
        long code = 0;
        request *group = take(&to_send, POST_MAX_BYTES);
        reading in = {group, 0};
        curl_off_t bytes = 0;
        for (const request *r = group; r; r = r->next) bytes += (curl_off_t)r->len;
        (void)curl_easy_setopt(curl, CURLOPT_READDATA, &in);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, bytes);
        CURLcode rv = curl_easy_perform(curl);
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
        if (rv != CURLE_OK || code != 200) {
            (void)fprintf(stderr, "bare_path: sink: %s, %ld\n", curl_easy_strerror(rv), code);
            exit(2);
        }
        for (request *r = group, *next; r; r = next) {
            next = r->next;
            free(r->body);
            free(r);
        }
    }
    return NULL;
}

/* ---- all ------------------------------------------------------------------------------------- */

static void open_segment(const char *path)
{
    static uint8_t zeros[1 << 20];
    segment = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (off_t i = 0; i < SEGMENT_BYTES; i += (off_t)sizeof zeros)
        if (pwrite(segment, zeros, sizeof zeros, i) != (ssize_t)sizeof zeros)
            wb_bench_give_up("cannot write %s", path);
    if (fsync(segment) != 0) wb_bench_give_up("cannot sync %s", path);
}

int main(int argc, char **argv)
{
    pthread_t threads[2];
    if (argc != 4) wb_bench_give_up("usage: bare_path PORT SINK_PORT FILE");
    queue_init(&to_write);
    queue_init(&to_send);
    open_segment(argv[3]);
    (void)snprintf(sink_url, sizeof sink_url, "http://127.0.0.1:%s/v1/traces", argv[2]);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) wb_bench_give_up("curl");
    answer = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    (void)MHD_add_response_header(answer, "Content-Type", "application/x-protobuf");
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                         on_request, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)128 * 1024, MHD_OPTION_END);
    if (!daemon || !answer) wb_bench_give_up("bare_path does not listen");
    (void)pthread_create(&threads[0], NULL, writer, NULL);
    (void)pthread_create(&threads[1], NULL, sender, NULL);
    (void)printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    (void)fflush(stdout);
    (void)pause();
    return 0;
}
