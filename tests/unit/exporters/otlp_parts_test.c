/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials out of files, bodies out of records, log records out of delegations. */
#include "exporters/otlp/delegation_log.h"
#include "exporters/otlp/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/otlp_walk.h"
#include "tests/support/records.h"

#include <fcntl.h>
#include <libdeflate.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_BYTES = 4 * 1024 * 1024, OUT_BYTES = 1024 * 1024 };

/* ---- secrets -------------------------------------------------------------------------------- */

typedef struct fixture {
    char dir[32], headers[64], bearer[64], basic[64], fresh[64];
    wb_otlp_settings settings;
    wb_otlp_secrets secrets;
    wb_error err;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    *state = f;
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/wb-secrets-XXXXXX");
    if (!mkdtemp(f->dir)) {
        free(f);
        return -1;
    }
    (void)snprintf(f->headers, sizeof f->headers, "%s/headers", f->dir);
    (void)snprintf(f->bearer, sizeof f->bearer, "%s/bearer", f->dir);
    (void)snprintf(f->basic, sizeof f->basic, "%s/basic", f->dir);
    (void)snprintf(f->fresh, sizeof f->fresh, "%s/.new", f->dir);
    wb_otlp_secrets_init(&f->secrets, &f->settings);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    wb_otlp_secrets_done(&f->secrets);
    (void)unlink(f->headers);
    (void)unlink(f->bearer);
    (void)unlink(f->basic);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

/* A new file under the name, as whoever rotates secrets does it. */
static void put(fixture *f, const char *path, const char *text, mode_t mode)
{
    int fd = open(f->fresh, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    ssize_t put = write(fd, text, strlen(text));
    int rv = fchmod(fd, mode) | rename(f->fresh, path);
    close(fd);
    assert_int_equal(put, (ssize_t)strlen(text));
    assert_int_equal(rv, 0);
}

static wb_status refresh(fixture *f)
{
    f->err = (wb_error){0};
    return wb_otlp_secrets_refresh(&f->secrets, &f->err);
}

static void a_file_that_is_no_secret_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
        mode_t mode;
        char which; /* h, t, b */
    } cases[] = {
        {"word", "others can read", 0644, 't'},
        {"", "empty", 0600, 't'},
        {"two words", "more than a token", 0600, 't'},
        {"a\nb", "more than a token", 0600, 't'},
        {"nobody", "user:password", 0600, 'b'},
        {"a:b\nc", "user:password", 0600, 'b'},
        {"host=x", "belongs to the protocol", 0600, 'h'},
        {"a=1\n\nword", "written name=value", 0600, 'h'},
        {"a=1\n\nword=", "no value", 0600, 'h'},
    };
    fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        const char *path = cases[i].which == 't'   ? f->bearer
                           : cases[i].which == 'b' ? f->basic
                                                   : f->headers;
        f->settings = (wb_otlp_settings){.name = "out"};
        if (cases[i].which == 't') f->settings.bearer_file = path;
        if (cases[i].which == 'b') f->settings.basic_file = path;
        if (cases[i].which == 'h') f->settings.headers_file = path;
        put(f, path, cases[i].text, cases[i].mode);
        assert_int_equal(refresh(f), WB_ERR_CONFIG);
        if (!strstr(f->err.detail, cases[i].why)) fail_msg("%zu: %s", i, f->err.detail);
    }
    (void)unlink(f->headers);
    assert_int_equal(refresh(f), WB_ERR_CONFIG); /* it is gone */
}

static void a_file_is_read_again_when_it_is_another(void **state)
{
    fixture *f = *state;
    f->settings = (wb_otlp_settings){.headers_file = f->headers, .bearer_file = f->bearer};
    put(f, f->headers, "# ours\n a = 1 \r\nb: 2\n", 0600);
    put(f, f->bearer, "first\n", 0600);
    if (refresh(f) != WB_OK) fail_msg("%s", f->err.detail);
    assert_int_equal(f->secrets.headers.n, 2);
    assert_string_equal(f->secrets.headers.lines[0], "a: 1");
    assert_string_equal(f->secrets.headers.lines[1], "b: 2");
    assert_string_equal(f->secrets.bearer, "Authorization: Bearer first");
    const char *before = f->secrets.bearer;
    assert_int_equal(refresh(f), WB_OK);
    assert_ptr_equal(f->secrets.bearer, before); /* not read */
    put(f, f->bearer, "second", 0600);
    if (refresh(f) != WB_OK) fail_msg("%s", f->err.detail);
    assert_string_equal(f->secrets.bearer, "Authorization: Bearer second");
    put(f, f->bearer, "third", 0644);
    assert_int_equal(refresh(f), WB_ERR_CONFIG);
    assert_int_equal(refresh(f), WB_ERR_CONFIG); /* until it is mended */
    put(f, f->bearer, "third", 0600);
    if (refresh(f) != WB_OK) fail_msg("%s", f->err.detail);
    assert_string_equal(f->secrets.bearer, "Authorization: Bearer third");
}

static void a_password_is_kept_as_it_is(void **state)
{
    fixture *f = *state;
    f->settings = (wb_otlp_settings){.basic_file = f->basic};
    put(f, f->basic, "user:pass: word\n", 0600);
    if (refresh(f) != WB_OK) fail_msg("%s", f->err.detail);
    assert_string_equal(f->secrets.basic, "user:pass: word");
}

/* ---- bodies --------------------------------------------------------------------------------- */

static const wb_slice two[] = {WB_S("\x0a\x02\x12\x00"), WB_S("\x0a\x00")};

static size_t joined(const wb_otlp_body *body, uint8_t out[256])
{
    size_t len = 0;
    for (size_t i = 0; i < body->n; i++) {
        assert_true(len + body->pieces[i].len <= 256);
        memcpy(out + len, body->pieces[i].ptr, body->pieces[i].len);
        len += body->pieces[i].len;
    }
    assert_int_equal(len, body->bytes);
    return len;
}

static void encodes(wb_otlp_protocol protocol, bool gzip, wb_slice prefix, wb_slice wanted)
{
    wb_otlp_encoder encoder;
    wb_otlp_body body;
    wb_error err = {0};
    size_t plain = 0, len = 0;
    uint8_t bytes[256] = {0}, inflated[256];
    const wb_otlp_target target = {.protocol = protocol, .gzip = gzip};
    wb_otlp_encoder_init(&encoder);
    wb_status status =
        wb_otlp_encode(&encoder, &target, WB_SIGNAL_TRACES, two, 2, &body, &plain, &err);
    if (status == WB_OK) len = joined(&body, bytes);
    wb_otlp_encoder_done(&encoder);
    if (status != WB_OK) fail_msg("%s", err.detail);
    assert_int_equal(plain, wanted.len);
    assert_memory_equal(bytes, prefix.ptr, prefix.len);
    uint8_t *message = bytes + (protocol == WB_OTLP_GRPC ? 5 : 0);
    size_t rest = len - (size_t)(message - bytes);
    if (protocol == WB_OTLP_GRPC) assert_int_equal(bytes[4], rest);
    if (gzip) {
        struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
        size_t n = 0;
        assert_non_null(inflate);
        int rv =
            (int)libdeflate_gzip_decompress(inflate, message, rest, inflated, sizeof inflated, &n);
        libdeflate_free_decompressor(inflate);
        assert_int_equal(rv, 0);
        message = inflated;
        rest = n;
    }
    assert_int_equal(rest, wanted.len);
    assert_memory_equal(message, wanted.ptr, wanted.len);
}

static void bodies_become_one_request(void **state)
{
    const wb_slice wire = WB_S("\x0a\x02\x12\x00\x0a\x00");
    const wb_slice json = WB_S("{\"resourceSpans\":[{\"scopeSpans\":[{}]},{}]}");
    (void)state;
    encodes(WB_OTLP_PROTOBUF, false, WB_S(""), wire);
    encodes(WB_OTLP_PROTOBUF, true, WB_S("\x1f\x8b"), wire);
    encodes(WB_OTLP_JSON, false, WB_S("{"), json);
    encodes(WB_OTLP_JSON, true, WB_S("\x1f\x8b"), json);
    encodes(WB_OTLP_GRPC, false, WB_S("\x00\x00\x00\x00\x06"), wire);
    encodes(WB_OTLP_GRPC, true, WB_S("\x01\x00\x00\x00"), wire);
}

/* ---- delegations ---------------------------------------------------------------------------- */

static void a_change_of_a_delegation_is_a_log_record_of_its_span(void **state)
{
    static const struct {
        uint64_t version;
        wb_delegation_state state;
        const char *event;
        uint8_t severity;
    } cases[] = {
        {1, WB_DELEGATION_SENT, "waybill.delegation.opened", 9},
        {2, WB_DELEGATION_IN_FLIGHT, "waybill.delegation.progress", 9},
        {3, WB_DELEGATION_COMPLETED, "waybill.delegation.closed", 9},
        {1, WB_DELEGATION_LOST, "waybill.delegation.closed", 17},
    };
    const wb_exporter_origin origin = {.agent_id = "spiffe://waybill.local/test",
                                       .name = "agent",
                                       .version = "0.0.0",
                                       .isolation = "none"};
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER row;
    WB_AUTO_BUFFER body;
    (void)state;
    wb_buffer_init(&row, OUT_BYTES);
    wb_buffer_init(&body, OUT_BYTES);
    assert_non_null(arena);
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_error err = {0};
        wb_batch *batch = NULL;
        const test_delegation_spec spec = {.id = 1,
                                           .trace = 2,
                                           .span = 3,
                                           .version = cases[i].version,
                                           .state = cases[i].state,
                                           .opened_ms = 1};
        wb_buffer_clear(&row);
        wb_buffer_clear(&body);
        test_delegation_payload(&row, &spec);
        if (wb_otlp_delegation_log(wb_buffer_slice(&row), &origin, arena, &body, &err) != WB_OK)
            fail_msg("%s", err.detail);
        if (wb_otlp_walk_logs(wb_buffer_slice(&body), NULL, arena, &batch, &err) != WB_OK)
            fail_msg("%s", err.detail);
        assert_int_equal(batch->span_count, 1);
        assert_true(wb_slice_eq(batch->spans[0].name, wb_slice_str(cases[i].event)));
        assert_int_equal(batch->spans[0].kind, cases[i].severity);
        const wb_trace_id trace = test_trace(2);
        const wb_span_id span = test_span(3);
        assert_memory_equal(batch->spans[0].trace_id.b, trace.b, sizeof trace);
        assert_memory_equal(batch->spans[0].span_id.b, span.b, sizeof span);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_that_is_no_secret_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_is_read_again_when_it_is_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_password_is_kept_as_it_is, set_up, tear_down),
        cmocka_unit_test(bodies_become_one_request),
        cmocka_unit_test(a_change_of_a_delegation_is_a_log_record_of_its_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
