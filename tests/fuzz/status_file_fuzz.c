/* SPDX-License-Identifier: Apache-2.0 */
/* The input is the status file that a sidecar left. The agent id taken from it fits, and is in JSON's
 * spelling or another one that the file names, or the default of the name; one chosen on the command line wins. */
#include "cli/input.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_self_id(wb_slice text)
{
    char path[64], id[WB_SELF_ID_MAX + 1], chosen[WB_SELF_ID_MAX + 1];
    wb_cli cli = {.json = true};
    int fd = memfd_create("status.json", MFD_CLOEXEC);
    WB_ASSERT(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    (void)snprintf(cli.paths.name, sizeof cli.paths.name, "fuzz");
    (void)snprintf(cli.paths.status_file, sizeof cli.paths.status_file, "%s", path);
    memset(id, 'x', sizeof id);
    wb_input_self_id(&cli, NULL, id);
    WB_ASSERT(memchr(id, '\0', sizeof id) != NULL);
    wb_input_self_id(&cli, "spiffe://a/b", chosen);
    WB_ASSERT(strcmp(chosen, "spiffe://a/b") == 0);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_self_id(wb_slice_of(data, size));
    return 0;
}
