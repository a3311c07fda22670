/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A manager: a bound datagram socket, and the address to be told. */
typedef struct manager {
    int fd;
    char address[80], dir[32];
} manager;

static void listen_at(manager *m, const char *address)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(address);
    memcpy(at.sun_path, address, len);
    if (address[0] == '@') at.sun_path[0] = '\0';
    (void)snprintf(m->address, sizeof m->address, "%s", address);
    m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(m->fd >= 0);
    assert_int_equal(bind(m->fd, (struct sockaddr *)&at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
}

static int setup(void **state)
{
    static manager m;
    char path[64];
    (void)snprintf(m.dir, sizeof m.dir, "/tmp/wb-notify-XXXXXX");
    if (!mkdtemp(m.dir)) return -1;
    (void)snprintf(path, sizeof path, "%s/notify", m.dir);
    listen_at(&m, path);
    *state = &m;
    return 0;
}

static int teardown(void **state)
{
    manager *m = *state;
    (void)unlink(m->address);
    return close(m->fd) | rmdir(m->dir);
}

static const char *heard(const manager *m)
{
    static char text[256];
    ssize_t n = recv(m->fd, text, sizeof text - 1, 0);
    if (n < 0) return "";
    text[n] = '\0';
    return text;
}

static uint64_t half_a_second(const wb_clock *clock)
{
    (void)clock;
    return WB_NS_PER_S / 2;
}

static void bad_addresses_are_refused_and_leave_nothing_open(void **state)
{
    manager *m = *state;
    static const struct {
        const char *address;
        wb_status status;
    } cases[] = {
        {"vsock:2:1234", WB_ERR_MALFORMED},
        {"relative/notify", WB_ERR_MALFORMED},
        {"@", WB_ERR_UNAVAILABLE},
        {"/nonexistent/notify", WB_ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wb_notify notify = {.fd = 0};
        wb_error err = {.status = WB_OK};
        assert_int_equal(wb_notify_open(cases[i].address, &notify, &err), cases[i].status);
        assert_int_equal(notify.fd, -1);
        assert_true(err.detail[0] != '\0');
        wb_notify_ready(&notify); /* does nothing */
    }
    assert_string_equal(heard(m), "");
}

static void an_address_fits_or_is_refused(void **state)
{
    (void)state;
    char address[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    memset(address, 'a', sizeof address);
    address[0] = '/';
    address[sizeof address - 1] = '\0';
    wb_notify notify;
    assert_int_equal(wb_notify_open(address, &notify, NULL), WB_ERR_MALFORMED);
    address[sizeof address - 2] = '\0';
    assert_int_equal(wb_notify_open(address, &notify, NULL), WB_ERR_UNAVAILABLE);
}

static void without_a_manager_nothing_is_said(void **state)
{
    manager *m = *state;
    static const char *const nobody[] = {NULL, ""};
    for (size_t i = 0; i < 2; i++) {
        wb_notify notify = {.fd = 0};
        assert_int_equal(wb_notify_open(nobody[i], &notify, NULL), WB_OK);
        assert_int_equal(notify.fd, -1);
        wb_notify_ready(&notify);
        wb_notify_close(&notify);
    }
    assert_string_equal(heard(m), "");
}

static void each_step_is_one_datagram_of_the_protocol(void **state)
{
    manager *m = *state;
    const wb_clock clock = {half_a_second, half_a_second};
    wb_notify notify;
    assert_int_equal(wb_notify_open(m->address, &notify, NULL), WB_OK);
    wb_notify_ready(&notify);
    assert_string_equal(heard(m), "READY=1");
    wb_notify_reloading(&notify, &clock);
    assert_string_equal(heard(m), "RELOADING=1\nMONOTONIC_USEC=500000");
    wb_notify_stopping(&notify, 20000);
    assert_string_equal(heard(m), "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000");
    wb_notify_close(&notify);
    assert_int_equal(notify.fd, -1);
    wb_notify_ready(&notify);
    assert_string_equal(heard(m), "");
}

static void an_abstract_address_is_reached(void **state)
{
    (void)state;
    manager m = {.fd = -1};
    char name[80];
    (void)snprintf(name, sizeof name, "@wb-notify-test-%d", (int)getpid());
    listen_at(&m, name);
    wb_notify notify;
    assert_int_equal(wb_notify_open(name, &notify, NULL), WB_OK);
    wb_notify_ready(&notify);
    assert_string_equal(heard(&m), "READY=1");
    wb_notify_close(&notify);
    assert_int_equal(close(m.fd), 0);
}

static void a_manager_that_does_not_read_holds_nobody_up(void **state)
{
    manager *m = *state;
    wb_notify notify;
    assert_int_equal(wb_notify_open(m->address, &notify, NULL), WB_OK);
    while (send(notify.fd, "x", 1, MSG_DONTWAIT) == 1) continue; /* its queue is short */
    assert_true(errno == EAGAIN);
    uint64_t start = wb_mono(&wb_system_clock);
    wb_notify_ready(&notify);
    assert_true(wb_mono(&wb_system_clock) - start < 10 * WB_NS_PER_S);
    wb_notify_close(&notify);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_addresses_are_refused_and_leave_nothing_open, setup,
                                        teardown),
        cmocka_unit_test(an_address_fits_or_is_refused),
        cmocka_unit_test_setup_teardown(without_a_manager_nothing_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(each_step_is_one_datagram_of_the_protocol, setup, teardown),
        cmocka_unit_test(an_abstract_address_is_reached),
        cmocka_unit_test_setup_teardown(a_manager_that_does_not_read_holds_nobody_up, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
