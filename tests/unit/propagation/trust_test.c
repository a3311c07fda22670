/* SPDX-License-Identifier: Apache-2.0 */
/* Trust files: each reason to refuse one, what stays in force then, and adding a key durably. */
#include "tests/unit/propagation/fixture.h"
#include "tests/unit/propagation/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define KEY(x, kid, more)                                                                          \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" x "\",\"kid\":\"" kid                          \
    "\",\"use\":\"waybill\"" more "}"
#define ISSUER(id, more, keys) "{\"wb_iss\":\"" id "\"" more ",\"keys\":[" keys "]}"
#define BUNDLE(issuers) "{\"wb_bundles\":[" issuers "]}"

typedef struct dir_fixture {
    folder *place;
    const char *dir;
    wb_trust *trust;
} dir_fixture;

static int up(void **state)
{
    void *place = NULL;
    dir_fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!f || folder_up(&place) != 0) return -1;
    f->place = place;
    f->dir = f->place->trust;
    return mkdir(f->dir, 0700);
}

static int down(void **state)
{
    dir_fixture *f = *state;
    void *place = f->place;
    wb_trust_free(f->trust);
    free(f);
    return folder_down(&place);
}

static void put(dir_fixture *f, const char *name, const char *text)
{
    folder_trust(f->place, name, text);
}

static void put_for(dir_fixture *f, const char *id, const char *text)
{
    char name[WB_TRUST_NAME_LEN + 1];
    wb_trust_file_name(wb_slice_str(id), name);
    put(f, name, text);
}

static void drop(dir_fixture *f, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_int_equal(unlink(path), 0);
}

/* Load on top of what is in force, as a reload does. */
static void reload(dir_fixture *f)
{
    wb_trust *next = NULL;
    assert_int_equal(wb_trust_load(f->dir, f->trust, &next, NULL), WB_OK);
    wb_trust_free(f->trust);
    f->trust = next;
}

static size_t keys_of(const dir_fixture *f, const char *id)
{
    const wb_trust_issuer *issuer = wb_trust_find(f->trust, wb_slice_str(id));
    return issuer ? issuer->n_keys : SIZE_MAX;
}

static void texts_with_a_fault_are_refused(void **state)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"no JSON", "keys"},
        {"an array", "[]"},
        {"no issuer", "{\"keys\":[]}"},
        {"an issuer that is no id", ISSUER("example.org/a", "", "")},
        {"no keys", "{\"wb_iss\":\"" ID_A "\"}"},
        {"keys that are no array", "{\"wb_iss\":\"" ID_A "\",\"keys\":{}}"},
        {"a key that is no object", ISSUER(ID_A, "", "1")},
        {"a secret key", ISSUER(ID_A, "", KEY(X_A, KID_A, ",\"d\":\"AAAA\""))},
        {"a secret key of another kind", ISSUER(ID_A, "", "{\"kty\":\"RSA\",\"d\":\"AAAA\"}")},
        {"another key's id", ISSUER(ID_A, "", KEY(X_A, KID_B, ""))},
        {"a key without id",
         ISSUER(ID_A, "",
                "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"use\":\"waybill\",\"x\":\"" X_A "\"}")},
        {"a key twice", ISSUER(ID_A, "", KEY(X_A, KID_A, "") "," KEY(X_A, KID_A, ""))},
        {"x too short", ISSUER(ID_A, "", KEY("A6EH", KID_A, ""))},
        {"a window in text", ISSUER(ID_A, "", KEY(X_A, KID_A, ",\"wb_nbf\":\"now\""))},
        {"a window with a fraction", ISSUER(ID_A, "", KEY(X_A, KID_A, ",\"wb_exp\":1.5"))},
        {"a sequence in text", ISSUER(ID_A, ",\"spiffe_sequence\":\"1\"", "")},
        {"a name twice", ISSUER(ID_A, ",\"wb_iss\":\"" ID_A "\"", "")},
        {"depth 7", ISSUER(ID_A, ",\"x\":[[[[[[1]]]]]]", "")},
        {"an issuer twice in a bundle", BUNDLE(ISSUER(ID_A, "", "") "," ISSUER(ID_A, "", ""))},
        {"a bundle that is no object", BUNDLE("1")},
        {"bundles that are no array", "{\"wb_bundles\":{}}"},
        {"one fault among several issuers",
         BUNDLE(ISSUER(ID_B, "", KEY(X_B, KID_B, "")) "," ISSUER(ID_A, "", KEY(X_A, KID_B, "")))},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_trust *trust = NULL;
        wb_error err = {0};
        if (wb_trust_parse(wb_slice_str(cases[i].text), &trust, &err) != WB_ERR_MALFORMED)
            fail_msg("%s", cases[i].name);
        assert_null(trust);
        assert_string_not_equal(err.detail, "");
    }
}

static void sizes_are_checked_at_their_limits(void **state)
{
    static char text[WB_TRUST_FILE_MAX_BYTES + 2];
    wb_trust *trust = NULL;
    (void)state;
    size_t len = (size_t)snprintf(text, sizeof text, "%s", ISSUER(ID_A, "", ""));
    memset(text + len, ' ', sizeof text - len);
    assert_int_equal(wb_trust_parse(wb_slice_of(text, WB_TRUST_FILE_MAX_BYTES + 1), &trust, NULL),
                     WB_ERR_MALFORMED);
    assert_int_equal(wb_trust_parse(wb_slice_of(text, WB_TRUST_FILE_MAX_BYTES), &trust, NULL),
                     WB_OK);
    wb_trust_free(trust);
    trust = NULL;
    len = (size_t)snprintf(text, sizeof text, "{\"wb_iss\":\"" ID_A "\",\"keys\":[{}");
    for (int i = 1; i < 64; i++) len += (size_t)snprintf(text + len, sizeof text - len, ",{}");
    (void)snprintf(text + len, sizeof text - len, ",{}]}");
    assert_int_equal(wb_trust_parse(wb_slice_str(text), &trust, NULL), WB_ERR_MALFORMED);
    (void)snprintf(text + len, sizeof text - len, "]}");
    assert_int_equal(wb_trust_parse(wb_slice_str(text), &trust, NULL), WB_OK);
    wb_trust_free(trust);
}

static void keys_for_other_uses_are_skipped(void **state)
{
    WB_AUTO(wb_trust) trust = NULL;
    (void)state;
    assert_int_equal(
        wb_trust_parse(WB_S(ISSUER(ID_A, ",\"vendor\":{\"a\":[1]}",
                                   "{\"kty\":\"RSA\",\"n\":\"x\"},{\"kty\":\"OKP\",\"crv\":"
                                   "\"X25519\",\"x\":\"" X_A "\"},{\"kty\":\"OKP\",\"crv\":"
                                   "\"Ed25519\",\"x\":\"bad\",\"use\":\"jwt-svid\"}," KEY(
                                       X_A, KID_A, ",\"wb_nbf\":5,\"wb_exp\":9"))),
                       &trust, NULL),
        WB_OK);
    const wb_trust_issuer *issuer = wb_trust_find(trust, WB_S(ID_A));
    assert_non_null(issuer);
    assert_int_equal(issuer->n_keys, 1);
    const wb_trust_key *key = wb_trust_key_find(issuer, WB_S(KID_A));
    assert_non_null(key);
    assert_true(key->nbf == 5 && key->exp == 9);
    assert_null(wb_trust_key_find(issuer, WB_S(KID_B)));
    assert_null(wb_trust_find(trust, WB_S(ID_A "/")));
    assert_null(wb_trust_find(trust, WB_S("")));
}

static void a_directory_is_read_file_by_file(void **state)
{
    dir_fixture *f = *state;
    put_for(f, ID_A, ISSUER(ID_A, "", KEY(X_A, KID_A, "")));
    put_for(f, ID_B, ISSUER(ID_A, "", KEY(X_A, KID_A, ""))); /* under B's name */
    put(f, "wrong.json", ISSUER(ID_C, "", ""));
    put_for(f, ID_C, BUNDLE(ISSUER(ID_C, "", "") "," ISSUER("https://e.com", "", "")));
    put(f, "notes.txt", "not looked at");
    put(f, ".hidden.json", "not looked at");
    put(f, "partners.bundle.json", BUNDLE(ISSUER(ID_D, "", KEY(X_B, KID_B, ""))));
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 1);
    assert_int_equal(keys_of(f, ID_B), SIZE_MAX);
    assert_int_equal(keys_of(f, ID_C), SIZE_MAX);
    assert_int_equal(keys_of(f, ID_D), 1);
    assert_int_equal(wb_trust_problems(f->trust), 3);
    assert_non_null(wb_trust_problem_at(f->trust, 2));
    assert_null(wb_trust_problem_at(f->trust, 3));
    assert_true(wb_slice_eq(wb_trust_at(f->trust, 0)->id, WB_S(ID_A)));
    assert_true(wb_slice_eq(wb_trust_at(f->trust, 1)->id, WB_S(ID_D)));
    assert_null(wb_trust_at(f->trust, 2));
}

static void no_directory_means_that_nobody_is_believed(void **state)
{
    dir_fixture *f = *state;
    assert_int_equal(rmdir(f->dir), 0);
    reload(f);
    assert_null(wb_trust_at(f->trust, 0));
}

static void a_directory_or_file_that_others_may_write_is_refused(void **state)
{
    dir_fixture *f = *state;
    char path[256], name[WB_TRUST_NAME_LEN + 1];
    wb_trust *trust = NULL;
    put_for(f, ID_A, ISSUER(ID_A, "", KEY(X_A, KID_A, "")));
    wb_trust_file_name(WB_S(ID_A), name);
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_int_equal(chmod(path, 0666), 0);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), SIZE_MAX);
    assert_int_equal(wb_trust_problems(f->trust), 1);
    assert_int_equal(chmod(f->dir, 0777), 0);
    assert_int_equal(wb_trust_load(f->dir, NULL, &trust, NULL), WB_ERR_CONFIG);
    assert_null(trust);
}

static void a_broken_file_leaves_its_issuers_as_they_were(void **state)
{
    dir_fixture *f = *state;
    put_for(f, ID_A, ISSUER(ID_A, "", KEY(X_A, KID_A, "")));
    put(f, "p.bundle.json", BUNDLE(ISSUER(ID_C, "", "") "," ISSUER(ID_D, "", KEY(X_B, KID_B, ""))));
    reload(f);
    assert_int_equal(wb_trust_problems(f->trust), 0);
    put_for(f, ID_A, "{\"wb_iss\":");
    put(f, "p.bundle.json", BUNDLE("{}"));
    reload(f);
    assert_int_equal(wb_trust_problems(f->trust), 2);
    assert_int_equal(keys_of(f, ID_A), 1);
    assert_int_equal(keys_of(f, ID_C), 0);
    assert_int_equal(keys_of(f, ID_D), 1);
    put(f, "new.bundle.json", "{");
    reload(f); /* also the time after */
    assert_int_equal(keys_of(f, ID_D), 1);
    for (size_t i = 0; i < 3; i++) { /* of a file that was never good there is nothing to keep */
        const wb_trust_problem *p = wb_trust_problem_at(f->trust, i);
        assert_int_equal(p->kept, strcmp(p->file, "new.bundle.json") != 0);
    }
}

static void a_file_taken_away_takes_its_issuer_away(void **state)
{
    dir_fixture *f = *state;
    put(f, "p.bundle.json", BUNDLE(ISSUER(ID_A, "", KEY(X_A, KID_A, ""))));
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 1);
    drop(f, "p.bundle.json");
    reload(f);
    assert_int_equal(keys_of(f, ID_A), SIZE_MAX);
}

static void a_sequence_may_not_fall(void **state)
{
    dir_fixture *f = *state;
    put_for(f, ID_A, ISSUER(ID_A, ",\"spiffe_sequence\":7", KEY(X_A, KID_A, "")));
    reload(f);
    put_for(f, ID_A, ISSUER(ID_A, ",\"spiffe_sequence\":6", ""));
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 1);
    assert_int_equal(wb_trust_problems(f->trust), 1);
    put_for(f, ID_A, ISSUER(ID_A, ",\"spiffe_sequence\":7", KEY(X_B, KID_B, "")));
    reload(f); /* the same is not lower */
    assert_non_null(wb_trust_key_find(wb_trust_find(f->trust, WB_S(ID_A)), WB_S(KID_B)));
    put_for(f, ID_A, ISSUER(ID_A, ",\"spiffe_sequence\":8", ""));
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 0); /* an empty set, which revokes */
    assert_int_equal(wb_trust_problems(f->trust), 0);
}

static void two_entries_for_one_issuer_are_both_refused(void **state)
{
    dir_fixture *f = *state;
    const char *files[2];
    put(f, "one.bundle.json",
        BUNDLE(ISSUER(ID_A, "", KEY(X_A, KID_A, "")) "," ISSUER(ID_C, "", KEY(X_A, KID_A, ""))));
    put(f, "two.bundle.json",
        BUNDLE(ISSUER(ID_A, "", KEY(X_B, KID_B, "")) "," ISSUER(ID_D, "", KEY(X_A, KID_A, ""))));
    reload(f);
    assert_int_equal(keys_of(f, ID_A), SIZE_MAX);
    assert_int_equal(keys_of(f, ID_C), 1);
    assert_int_equal(keys_of(f, ID_D), 1);
    assert_int_equal(wb_trust_problems(f->trust), 1);
    assert_false(wb_trust_problem_at(f->trust, 0)->kept);
    assert_true(wb_trust_twice(f->trust, WB_S(ID_A), files));
    assert_string_equal(files[0], "one.bundle.json");
    assert_string_equal(files[1], "two.bundle.json");
    assert_false(wb_trust_twice(f->trust, WB_S(ID_C), files));
    drop(f, "two.bundle.json");
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 1);
    put_for(f, ID_A, ISSUER(ID_A, "", KEY(X_B, KID_B, "")));
    reload(f); /* the one that counted before goes on counting */
    assert_non_null(wb_trust_key_find(wb_trust_find(f->trust, WB_S(ID_A)), WB_S(KID_A)));
}

static void texts_count_as_files_would(void **state)
{
    dir_fixture *f = *state;
    const wb_slice texts[] = {
        wb_slice_str(ISSUER(ID_A, "", KEY(X_A, KID_A, ""))),
        wb_slice_str(ISSUER(ID_B, "", KEY(X_B, KID_A, ""))), /* another key's id */
        wb_slice_str(BUNDLE(ISSUER(ID_C, "", KEY(X_A, KID_A, "")))),
        wb_slice_str(ISSUER(ID_D, "", KEY(X_A, KID_A, ""))),
        wb_slice_str(ISSUER(ID_D, "", KEY(X_B, KID_B, ""))),
    };
    assert_int_equal(wb_trust_from_texts(texts, WB_COUNT(texts), &f->trust, NULL), WB_OK);
    assert_int_equal(keys_of(f, ID_A), 1);
    assert_int_equal(keys_of(f, ID_B), SIZE_MAX);
    assert_int_equal(keys_of(f, ID_C), 1);
    assert_int_equal(keys_of(f, ID_D), SIZE_MAX);
    assert_int_equal(wb_trust_problems(f->trust), 2);
}

static wb_trust_key key_of(const char *x)
{
    wb_trust_key key = {.exp = UINT64_MAX};
    assert_int_equal(wb_b64url_parse_exact(wb_slice_str(x), key.x, sizeof key.x), WB_OK);
    return key;
}

static void adding_refuses_what_loading_would(void **state)
{
    dir_fixture *f = *state;
    wb_trust_key key = key_of(X_A), identity = {.x = {1}, .exp = UINT64_MAX};
    assert_int_equal(wb_trust_add(f->dir, WB_S("a"), &key, NULL), WB_ERR_MALFORMED);
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &identity, NULL), WB_ERR_MALFORMED);
    put_for(f, ID_A, "{");
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &key, NULL), WB_ERR_CONFIG);
    put_for(f, ID_A, ISSUER(ID_B, "", ""));
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &key, NULL), WB_ERR_CONFIG);
    put_for(f, ID_A, ISSUER(ID_A, "", ""));
    char path[256], name[WB_TRUST_NAME_LEN + 1];
    wb_trust_file_name(WB_S(ID_A), name);
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_int_equal(chmod(path, 0666), 0); /* who knows who wrote it */
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &key, NULL), WB_ERR_CONFIG);
}

static void a_file_larger_than_64_kib_is_refused(void **state)
{
    static char text[WB_TRUST_FILE_MAX_BYTES + 2];
    dir_fixture *f = *state;
    memset(text, ' ', sizeof text - 1);
    memcpy(text, ISSUER(ID_A, "", ""), strlen(ISSUER(ID_A, "", "")));
    put_for(f, ID_A, text);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), SIZE_MAX);
    text[WB_TRUST_FILE_MAX_BYTES] = '\0';
    put_for(f, ID_A, text);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 0);
}

static void a_65th_key_is_not_added(void **state)
{
    dir_fixture *f = *state;
    wb_trust_key key = {.exp = UINT64_MAX};
    for (int i = 0; i <= WB_TRUST_KEYS_MAX; i++) {
        wb_key_ring *ring = fixture_ring((uint8_t)i);
        memcpy(key.x, wb_key_ring_public(ring), sizeof key.x);
        wb_key_ring_free(ring);
        assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &key, NULL),
                         i < WB_TRUST_KEYS_MAX ? WB_OK : WB_ERR_FULL);
    }
    reload(f);
    assert_int_equal(keys_of(f, ID_A), WB_TRUST_KEYS_MAX);
}

static void an_added_key_is_believed_under_the_sequence_of_before(void **state)
{
    dir_fixture *f = *state;
    wb_trust_key a = key_of(X_A), b = key_of(X_B);
    b.nbf = 5;
    b.exp = 9;
    assert_int_equal(rmdir(f->dir), 0); /* made when missing */
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &a, NULL), WB_OK);
    reload(f);
    assert_int_equal(wb_trust_find(f->trust, WB_S(ID_A))->sequence, 0);
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &a, NULL), WB_ERR_REJECTED);
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &b, NULL), WB_OK);
    reload(f);
    const wb_trust_issuer *issuer = wb_trust_find(f->trust, WB_S(ID_A));
    assert_int_equal(issuer->n_keys, 2);
    assert_int_equal(issuer->sequence, 0); /* so whatever the issuer publishes is newer */
    assert_int_equal(wb_trust_problems(f->trust), 0);
    const wb_trust_key *key = wb_trust_key_find(issuer, WB_S(KID_B));
    assert_true(key && key->nbf == 5 && key->exp == 9);
    key = wb_trust_key_find(issuer, WB_S(KID_A));
    assert_true(key && key->nbf == 0 && key->exp == UINT64_MAX);
}

static void a_known_key_added_again_gets_another_window(void **state)
{
    dir_fixture *f = *state;
    wb_trust_key a = key_of(X_A);
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &a, NULL), WB_OK);
    a.exp = 9;
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &a, NULL), WB_OK);
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &a, NULL), WB_ERR_REJECTED);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 1);
    assert_int_equal(wb_trust_find(f->trust, WB_S(ID_A))->keys[0].exp, 9);
}

/* A trust file is the whole set: what it does not say any more is not believed any more. */
static void a_published_set_replaces_the_one_before(void **state)
{
    dir_fixture *f = *state;
    wb_trust_key a = key_of(X_A), b = key_of(X_B);
    wb_ed25519_kid(a.x, a.kid);
    wb_ed25519_kid(b.x, b.kid);
    wb_trust_issuer issuer = {.id = WB_S(ID_A), .sequence = 5, .keys = &a, .n_keys = 1};
    assert_int_equal(rmdir(f->dir), 0);
    assert_int_equal(wb_trust_put(f->dir, &issuer, NULL), WB_OK);
    issuer.keys = &b;
    issuer.sequence = 4;
    assert_int_equal(wb_trust_put(f->dir, &issuer, NULL), WB_ERR_REJECTED);
    reload(f);
    assert_non_null(wb_trust_key_find(wb_trust_find(f->trust, WB_S(ID_A)), WB_S(KID_A)));
    issuer.sequence = 5;
    assert_int_equal(wb_trust_put(f->dir, &issuer, NULL), WB_OK);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 1);
    assert_non_null(wb_trust_key_find(wb_trust_find(f->trust, WB_S(ID_A)), WB_S(KID_B)));
    issuer.id = WB_S("a");
    assert_int_equal(wb_trust_put(f->dir, &issuer, NULL), WB_ERR_MALFORMED);
}

static void removing_forgets_an_issuer_or_one_key(void **state)
{
    dir_fixture *f = *state;
    wb_trust_key a = key_of(X_A), b = key_of(X_B);
    assert_int_equal(wb_trust_remove(f->dir, WB_S(ID_A), WB_S(""), NULL), WB_ERR_NOT_FOUND);
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &a, NULL), WB_OK);
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &b, NULL), WB_OK);
    assert_int_equal(wb_trust_remove(f->dir, WB_S(ID_A), WB_S(KID_A), NULL), WB_OK);
    assert_int_equal(wb_trust_remove(f->dir, WB_S(ID_A), WB_S(KID_A), NULL), WB_ERR_NOT_FOUND);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 1);
    assert_int_equal(wb_trust_remove(f->dir, WB_S(ID_A), WB_S(KID_B), NULL), WB_OK);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 0); /* refused, not unknown */
    put_for(f, ID_A, "{ not even JSON");
    assert_int_equal(wb_trust_remove(f->dir, WB_S(ID_A), WB_S(""), NULL), WB_OK);
    f->trust = (wb_trust_free(f->trust), NULL);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), SIZE_MAX);
    assert_int_equal(wb_trust_problems(f->trust), 0);
}

static void an_issuer_in_a_bundle_is_its_owners_to_change(void **state)
{
    dir_fixture *f = *state;
    wb_trust_key b = key_of(X_B);
    wb_trust_issuer issuer = {.id = WB_S(ID_A), .sequence = 5};
    wb_error err = {0};
    put(f, "p.bundle.json", BUNDLE(ISSUER(ID_A, "", KEY(X_A, KID_A, ""))));
    assert_int_equal(wb_trust_add(f->dir, WB_S(ID_A), &b, &err), WB_ERR_CONFIG);
    assert_non_null(strstr(err.detail, "p.bundle.json"));
    assert_int_equal(wb_trust_put(f->dir, &issuer, NULL), WB_ERR_CONFIG);
    assert_int_equal(wb_trust_remove(f->dir, WB_S(ID_A), WB_S(""), NULL), WB_ERR_CONFIG);
    assert_int_equal(wb_trust_remove(f->dir, WB_S(ID_A), WB_S(KID_A), NULL), WB_ERR_CONFIG);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), 1);
    assert_string_equal(wb_trust_file_of(f->trust, WB_S(ID_A)), "p.bundle.json");
    assert_null(wb_trust_file_of(f->trust, WB_S(ID_B)));
}

static void a_file_has_the_form_that_its_name_says(void **state)
{
    dir_fixture *f = *state;
    put(f, "p.bundle.json", ISSUER(ID_A, "", KEY(X_A, KID_A, "")));
    put_for(f, ID_B, BUNDLE(ISSUER(ID_B, "", KEY(X_B, KID_B, ""))));
    put_for(f, ID_C, BUNDLE(""));
    put(f, "none.bundle.json", BUNDLE(""));
    reload(f);
    assert_null(wb_trust_at(f->trust, 0));
    assert_int_equal(wb_trust_problems(f->trust), 3);
}

static void what_is_written_is_read_again(void **state)
{
    dir_fixture *f = *state;
    WB_AUTO_BUFFER text;
    WB_AUTO(wb_trust) again = NULL;
    wb_buffer_init(&text, WB_TRUST_FILE_MAX_BYTES);
    put_for(f, ID_A,
            ISSUER(ID_A, ",\"spiffe_sequence\":7",
                   KEY(X_A, KID_A, ",\"wb_nbf\":5,\"wb_exp\":9") "," KEY(X_B, KID_B, "")));
    reload(f);
    const wb_trust_issuer *first = wb_trust_find(f->trust, WB_S(ID_A));
    assert_int_equal(wb_trust_file_format(first, &text), WB_OK);
    assert_int_equal(wb_trust_parse(wb_buffer_slice(&text), &again, NULL), WB_OK);
    const wb_trust_issuer *second = wb_trust_find(again, WB_S(ID_A));
    assert_int_equal(second->sequence, 7);
    assert_int_equal(second->n_keys, 2);
    assert_memory_equal(first->keys, second->keys, 2 * sizeof *first->keys);
}

/* A mounted ConfigMap: names that lead through ..data into a folder with a generation's files. */
static void mount_generation(dir_fixture *f, const char *name, const char *text)
{
    char path[256], fresh[256], file[WB_TRUST_NAME_LEN + 1];
    wb_trust_file_name(WB_S(ID_A), file);
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/%s", name, file);
    put(f, path, text);
    (void)snprintf(fresh, sizeof fresh, "%s/..data_tmp", f->dir);
    (void)snprintf(path, sizeof path, "%s/..data", f->dir);
    assert_int_equal(symlink(name, fresh), 0);
    assert_int_equal(rename(fresh, path), 0);
    (void)snprintf(fresh, sizeof fresh, "..data/%s", file);
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, file);
    (void)unlink(path);
    assert_int_equal(symlink(fresh, path), 0);
}

static void a_mounted_directory_is_read_through_its_links(void **state)
{
    dir_fixture *f = *state;
    mount_generation(f, "..2026_01_01", ISSUER(ID_A, "", KEY(X_A, KID_A, "")));
    reload(f);
    assert_int_equal(wb_trust_problems(f->trust), 0);
    assert_int_equal(keys_of(f, ID_A), 1);
    mount_generation(f, "..2026_01_02",
                     ISSUER(ID_A, "", KEY(X_A, KID_A, "") "," KEY(X_B, KID_B, "")));
    reload(f);
    assert_int_equal(wb_trust_problems(f->trust), 0);
    assert_int_equal(keys_of(f, ID_A), 2);
}

static void a_link_out_of_the_directory_is_refused(void **state)
{
    dir_fixture *f = *state;
    char elsewhere[256], path[256], name[WB_TRUST_NAME_LEN + 1];
    wb_trust_file_name(WB_S(ID_A), name);
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/%s", f->place->root, name);
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, name);
    folder_write(elsewhere, ISSUER(ID_A, "", KEY(X_A, KID_A, "")), 0644);
    assert_int_equal(symlink(elsewhere, path), 0);
    reload(f);
    assert_int_equal(keys_of(f, ID_A), SIZE_MAX);
    assert_int_equal(wb_trust_problems(f->trust), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        TEST(texts_with_a_fault_are_refused),
        TEST(sizes_are_checked_at_their_limits),
        TEST(keys_for_other_uses_are_skipped),
        TEST(a_directory_is_read_file_by_file),
        TEST(no_directory_means_that_nobody_is_believed),
        TEST(a_directory_or_file_that_others_may_write_is_refused),
        TEST(a_broken_file_leaves_its_issuers_as_they_were),
        TEST(a_file_taken_away_takes_its_issuer_away),
        TEST(a_sequence_may_not_fall),
        TEST(two_entries_for_one_issuer_are_both_refused),
        TEST(texts_count_as_files_would),
        TEST(adding_refuses_what_loading_would),
        TEST(a_file_larger_than_64_kib_is_refused),
        TEST(a_65th_key_is_not_added),
        TEST(a_known_key_added_again_gets_another_window),
        TEST(a_published_set_replaces_the_one_before),
        TEST(removing_forgets_an_issuer_or_one_key),
        TEST(an_issuer_in_a_bundle_is_its_owners_to_change),
        TEST(a_file_has_the_form_that_its_name_says),
        TEST(what_is_written_is_read_again),
        TEST(a_mounted_directory_is_read_through_its_links),
        TEST(a_link_out_of_the_directory_is_refused),
        TEST(an_added_key_is_believed_under_the_sequence_of_before),
    };
    return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
