/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/propagation/folder.h: a state directory that goes away with its test, and two keys to lay
 * down in it. */
#ifndef WAYBILL_TESTS_PROPAGATION_FOLDER_H
#define WAYBILL_TESTS_PROPAGATION_FOLDER_H

#include <sys/types.h>

/* The seeds 00 .. 1f and 20 .. 3f of TOKENS section 19. */
#define KID_A "1IG2tMH7J2wbJZnOf8LJzQitKf7LMvoAElsuDMVM54Y"
#define SEED_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define X_A "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
#define LINE_A "waybill-sk-v1:" KID_A ":" SEED_A
#define KID_B "AkXIZFzonb59ZmGwyKgi3H3BwMi6amevqdKQiLZhdtc"
#define SEED_B "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"
#define X_B "Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc"
#define LINE_B "waybill-sk-v1:" KID_B ":" SEED_B

typedef struct folder {
    char root[64], keys[80], file[96], trust[80]; /* only `root` exists; file: keys/current.key */
} folder;

/* cmocka set-up and tear-down. */
int folder_up(void **state);
int folder_down(void **state);

/** Make or replace a file of exactly that mode. */
void folder_write(const char *path, const char *text, mode_t mode);
/** keys/`name`, whose folders are made (0700). */
void folder_key(const folder *f, const char *name, const char *text, mode_t mode);
/** trust.d/`name`, likewise, 0644. */
void folder_trust(const folder *f, const char *name, const char *text);
/** Whether keys/`name` is there. */
int folder_has_key(const folder *f, const char *name);
/** Remove everything below `path`, and it. */
void folder_remove(const char *path);

#endif
