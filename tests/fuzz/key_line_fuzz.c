/* SPDX-License-Identifier: Apache-2.0 */
/* The input as the line of a key that signs no more, and as the file of one that does. A retired line that
 * is read is written as it was. A ring that opens has the key id that its file names, and what it signs
 * verifies. */
#include "propagation/keyring.h"
#include "propagation/retired.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[32] = "/tmp/wb-key-XXXXXX", file[64];

static void remove_folder(void)
{
    (void)unlink(file);
    (void)rmdir(folder);
}

static void prepare(void)
{
    static bool ready;
    if (ready) return;
    ready = true;
    WB_ASSERT(wb_self_test(NULL) == WB_OK && mkdtemp(folder) != NULL);
    (void)snprintf(file, sizeof file, "%s/" WB_KEY_CURRENT_FILE, folder);
    WB_ASSERT(atexit(remove_folder) == 0);
}

static void check_retired(wb_slice text)
{
    wb_trust_key key;
    char line[WB_RETIRED_LINE_MAX];
    if (wb_retired_parse(text, &key) != WB_OK) return;
    wb_slice written = {(const uint8_t *)line, wb_retired_format(&key, line)};
    if (text.ptr[text.len - 1] != '\n') written.len--;
    WB_ASSERT(wb_slice_eq(written, text));
}

static void check_ring(wb_slice text)
{
    WB_AUTO(wb_key_ring) ring = NULL;
    uint8_t sig[WB_SIG_BYTES];
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    WB_ASSERT(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len && close(fd) == 0);
    if (wb_key_ring_open(folder, &ring, NULL) != WB_OK) return;
    const char *kid = wb_key_ring_kid(ring);
    WB_ASSERT(memmem(text.ptr, text.len, kid, strlen(kid)) != NULL);
    WB_ASSERT(wb_key_ring_sign(ring, WB_S("m"), sig) == WB_OK);
    WB_ASSERT(wb_ed25519_verify(sig, WB_S("m"), wb_key_ring_public(ring)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    if (size > 4096) return 0;
    check_retired(wb_slice_of(data, size));
    check_ring(wb_slice_of(data, size));
    return 0;
}
