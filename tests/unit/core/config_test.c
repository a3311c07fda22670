/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct shelf {
    wb_slice name;
    const wb_slice *books;
    size_t n_books;
    bool open;
} shelf;

/* What stands in a zoo's cage depends on who lives there. */
typedef enum animal { ANIMAL_BIRD, ANIMAL_FISH } animal;

typedef struct cage {
    wb_slice name;
    animal type;
    const char *perch;
    uint32_t litres;
    bool pumped;
} cage;

typedef struct house {
    bool lit;
    uint32_t rooms, colour;
    uint64_t attic_bytes, wait_ms, lease_s;
    const char *street;
    wb_slice owner;
    const wb_slice *guests;
    size_t n_guests;
    const shelf *shelves;
    size_t n_shelves;
    const shelf *rules;
    size_t n_rules;
    const cage *cages;
    size_t n_cages;
} house;

static const wb_config_key shelf_keys[] = {
    {.name = "name", .type = WB_SLICE, .min = 1, .max = 8, .offset = offsetof(shelf, name)},
    {.name = "books", .type = WB_SLICES, .max = 3, .offset = offsetof(shelf, books)},
    {.name = "open", .type = WB_BOOL, .fallback = "true", .offset = offsetof(shelf, open)},
};
static const wb_config_key cage_keys[] = {
    {.name = "name", .type = WB_SLICE, .min = 1, .max = 8, .offset = offsetof(cage, name)},
    {.name = "perch",
     .type = WB_TEXT,
     .min = 1,
     .max = 8,
     .only = "bird",
     .offset = offsetof(cage, perch)},
    {.name = "type",
     .type = WB_CHOICE,
     .choices = "bird|fish",
     .fallback = "bird",
     .offset = offsetof(cage, type)},
    {.name = "water.litres",
     .type = WB_U32,
     .fallback = "5",
     .max = 90,
     .only = "fish",
     .offset = offsetof(cage, litres),
     .help = "L"},
    {.name = "water.pumped",
     .type = WB_BOOL,
     .fallback = "false",
     .only = "fish",
     .offset = offsetof(cage, pumped),
     .help = "P"},
};
static const wb_config_table cage_table = {cage_keys, 5, sizeof(cage)};

static const wb_config_table shelf_table = {shelf_keys, 3, sizeof(shelf)};

/* Nobody comes twice. */
static wb_status check_guest(const wb_slice *guests, size_t n, wb_error *err)
{
    for (size_t i = 0; i + 1 < n; i++)
        if (wb_slice_eq(guests[i], guests[n - 1]))
            return wb_fail(err, WB_ERR_CONFIG, "%.*s is here", WB_SLICE_ARG(guests[i]));
    return WB_OK;
}

static const wb_config_key house_keys[] = {
    {.name = "lit",
     .type = WB_BOOL,
     .fallback = "true",
     .offset = offsetof(house, lit),
     .help = "L"},
    {.name = "rooms",
     .type = WB_U32,
     .fallback = "3",
     .min = 1,
     .max = 9,
     .help = "R",
     .offset = offsetof(house, rooms)},
    {.name = "paint.colour",
     .type = WB_CHOICE,
     .fallback = "red",
     .choices = "|red||blue|",
     .help = "C",
     .offset = offsetof(house, colour)},
    {.name = "paint.attic.size_bytes",
     .type = WB_BYTES,
     .fallback = "1MiB",
     .min = 10,
     .max = UINT64_MAX,
     .offset = offsetof(house, attic_bytes),
     .help = "A"},
    {.name = "wait_ms",
     .type = WB_MS,
     .fallback = "2s",
     .offset = offsetof(house, wait_ms),
     .help = "W"},
    {.name = "lease_s",
     .type = WB_SECONDS,
     .fallback = "1h",
     .offset = offsetof(house, lease_s),
     .help = "S"},
    {.name = "street", .type = WB_TEXT, .offset = offsetof(house, street), .help = "T"},
    {.name = "owner",
     .type = WB_SLICE,
     .fallback = "me",
     .offset = offsetof(house, owner),
     .help = "O"},
    {.name = "guests",
     .type = WB_SLICES,
     .fallback = "ann, bob",
     .max = 3,
     .check = check_guest,
     .help = "G",
     .offset = offsetof(house, guests)},
    {.name = "shelves",
     .type = WB_LIST,
     .max = 2,
     .of = &shelf_table,
     .help = "H",
     .offset = offsetof(house, shelves)},
    {.name = "rules",
     .type = WB_MAP,
     .max = 2,
     .of = &shelf_table,
     .help = "U",
     .offset = offsetof(house, rules)},
    {.name = "cages",
     .type = WB_MAP,
     .max = 4,
     .of = &cage_table,
     .help = "C",
     .offset = offsetof(house, cages)},
};
static const wb_config_table house_table = {house_keys, WB_COUNT(house_keys), sizeof(house)};

typedef struct fixture {
    wb_arena *arena;
    wb_error err;
    house h;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (f) f->arena = wb_arena_new(4 << 20);
    *state = f;
    return f && f->arena ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static wb_status load(fixture *f, const char *yaml, char *const *env)
{
    wb_config_source source = {.name = "/etc/a/h.yaml", .yaml = wb_slice_str(yaml), .env = env};
    return wb_config_load(&house_table, &source, f->arena, &f->h, &f->err);
}

static void every_fault_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {"rooms: 1\nroom: 2\n", "h.yaml:2: unknown key room"},
        {"paint:\n  colour: red\n  wall: 1\n", "h.yaml:3: unknown key wall"},
        {"paint.colour: red\n", "h.yaml:1: unknown key paint.colour"},
        {"\"a\\tb\": 1\n", "h.yaml:1: unknown key"},
        {"? [a]\n: 1\n", "h.yaml:1: a key is needed"},
        {"rooms: 1\n\nrooms: 1\n", "h.yaml:3: the key rooms is there twice"},
        {"paint: {colour: red}\npaint: {colour: red}\n", "h.yaml:2: the key paint is there twice"},
        {"rooms: 0\n", "h.yaml:1: rooms: 0 is not within 1 to 9"},
        {"rooms: 10\n", "h.yaml:1: rooms: 10 is not within 1 to 9"},
        {"rooms: -1\n", "h.yaml:1: rooms: a whole number is needed"},
        {"rooms: 1.5\n", "h.yaml:1: rooms: a number of digits only is needed"},
        {"rooms: 0x3\n", "rooms: a number of digits only is needed"},
        {"rooms: 18446744073709551616\n", "rooms: the number is too large"},
        {"rooms:\n", "h.yaml:1: rooms: there is no value"},
        {"rooms: ~\n", "rooms: there is no value"},
        {"rooms: [1]\n", "rooms: one value is needed, not a list or section"},
        {"lit: yes\n", "lit: true or false is needed"},
        {"paint:\n  colour: green\n", "h.yaml:2: paint.colour: one of red, blue is needed"},
        {"paint:\n  colour: \"\"\n", "one of red, blue is needed"},
        {"paint: red\n", "h.yaml:1: a section of keys is needed"},
        {"paint:\n  attic: {size_bytes: 9}\n", "9 is below 10"},
        {"paint:\n  attic: {size_bytes: 1MB}\n", "a number of bytes"},
        {"paint:\n  attic: {size_bytes: 99999999999TiB}\n", "the number is too large"},
        {"wait_ms: 5 minutes\n", "a number of milliseconds"},
        {"lease_s: 1ms\n", "a number of seconds"},
        {"street: \"a\\nb\"\n", "a control character or line break"},
        {"street: \"a\\0b\"\n", "a control character or line break"},
        {"street: \"a\\u2028b\"\n", "a control character or line break"},
        {"street: \xff\n", "h.yaml:1: "},
        {"guests: [a, b, c, d]\n", "guests: 4 items, not within 0 to 3"},
        {"guests:\n- a\n- b\n- a\n", "h.yaml:4: guests: a is here"},
        {"guests: a\n", "guests: a list is needed"},
        {"guests: [[a]]\n", "guests: a list of texts is needed"},
        {"guests: [~]\n", "guests: there is no value"},
        {"shelves: {a: b}\n", "shelves: a list is needed"},
        {"shelves:\n- open: true\n", "name: this key is needed"},
        {"shelves:\n- name: 123456789\n", "h.yaml:2: name: 9 bytes, not within 1 to 8"},
        {"shelves:\n- name: a\n  nome: b\n", "h.yaml:3: unknown key nome"},
        {"shelves: [{name: a}, {name: b}, {name: c}]\n", "3 items, not within 0 to 2"},
        {"rules: [a]\n", "rules: a section is needed"},
        {"rules:\n  a: {}\n  a: {}\n", "h.yaml:3: rules: the key a is there twice"},
        {"rules:\n  a: {name: b}\n", "h.yaml:2: unknown key name"},
        {"rules:\n  a: {open: 1}\n", "h.yaml:2: open: true or false is needed"},
        {"rules:\n  [a]: {}\n", "a name is needed"},
        {"cages:\n  a: {}\n", "h.yaml:2: perch: this key is needed"},
        {"cages:\n  a: {perch: x, water: {litres: 7}}\n",
         "h.yaml:2: the key water is there with type: fish only"},
        {"cages:\n  a: {perch: x, type: fish}\n",
         "h.yaml:2: the key perch is there with type: bird only"},
        {"cages:\n  a: {type: fish, water: {litres: 91}}\n", "h.yaml:2: water.litres: "},
        {"cages:\n  a: {type: fish, water: {deep: 1}}\n", "h.yaml:2: unknown key deep"},
        {"cages:\n  a: {type: fish, perch2: x}\n", "h.yaml:2: unknown key perch2"},
        {"- a\n", "h.yaml:1: a section of keys is needed"},
        {"rooms: 1\n---\nrooms: 2\n", "h.yaml:2: one document only"},
        {"rooms: &a 1\n", "anchors, aliases and tags are not taken"},
        {"rooms: *a\n", "anchors, aliases and tags are not taken"},
        {"rooms: !!int 1\n", "anchors, aliases and tags are not taken"},
        {"guests: &g [a]\n", "anchors, aliases and tags are not taken"},
        {"paint: !x {}\n", "anchors, aliases and tags are not taken"},
        {"rooms: 1\n  lit: true\n", "h.yaml:1: rooms: a number of digits only"},
        {"rooms: 1\n]\n", "h.yaml:2: "},
        {"rooms: \"1\n", "h.yaml:"},
        {"\trooms: 1\n", "h.yaml:1: "},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "h.yaml:1: a section of keys is needed"},
    };
    fixture *f = *state;
    memset(&f->h, 0xA5, sizeof f->h);
    house before = f->h;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_status status = load(f, cases[i].yaml, NULL);
        if (status != WB_ERR_CONFIG || !strstr(f->err.detail, cases[i].says))
            fail_msg("%s gave %s: %s", cases[i].yaml, wb_status_name(status), f->err.detail);
    }
    assert_memory_equal(&before, &f->h, sizeof before); /* untouched on failure */
}

static void a_text_over_the_limit_is_refused_before_it_is_read(void **state)
{
    fixture *f = *state;
    size_t size = WB_CONFIG_MAX_BYTES + 1;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, '#', size);
    text[size] = '\0';
    assert_int_equal(load(f, text, NULL), WB_ERR_CONFIG);
    text[size - 1] = '\0';
    assert_int_equal(load(f, text, NULL), WB_OK);
    free(text);
}

static void what_the_arena_cannot_hold_is_no_memory(void **state)
{
    fixture *f = *state;
    wb_config_source source = {.name = "h", .yaml = WB_S("street: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\n")};
    size_t enough = 0;
    for (size_t limit = 16; enough == 0; limit += 16) {
        WB_AUTO(wb_arena) small = wb_arena_new(limit);
        assert_non_null(small);
        wb_status status = wb_config_load(&house_table, &source, small, &f->h, &f->err);
        if (status == WB_OK)
            enough = limit;
        else
            assert_int_equal(status, WB_ERR_NO_MEMORY);
    }
    assert_true(enough > sizeof(house));
}

static void nothing_written_gives_the_defaults(void **state)
{
    static const char *const nothings[] = {"",     "# only a remark\n", "---\n",
                                           "{}\n", "paint:\n",          "paint:\n  attic:\n"};
    fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(nothings); i++) {
        memset(&f->h, 0xA5, sizeof f->h);
        assert_int_equal(load(f, nothings[i], NULL), WB_OK);
        assert_true(f->h.lit);
        assert_int_equal(f->h.rooms, 3);
        assert_int_equal(f->h.colour, 1);
        assert_int_equal(f->h.attic_bytes, 1 << 20);
        assert_int_equal(f->h.wait_ms, 2000);
        assert_int_equal(f->h.lease_s, 3600);
        assert_null(f->h.street);
        assert_int_equal(f->h.n_guests, 2);
        assert_true(wb_slice_eq(f->h.guests[1], WB_S("bob")));
        assert_int_equal(f->h.n_shelves, 0);
    }
}

static void a_file_sets_every_kind(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        load(f,
             "lit: false\nrooms: 9\npaint: {colour: blue, attic: {size_bytes: 3 KiB}}\n"
             "wait_ms: 5m\nlease_s: 90\nstreet: 'a \"b\" \\'\nowner: Zo\xc3\xab\n"
             "guests: []\nshelves:\n- {name: a, books: [x, y]}\n-\n  open: false\n"
             "  name: b\nrules:\n  spiffe/a: {open: false}\n  b:\n",
             NULL),
        WB_OK);
    assert_false(f->h.lit);
    assert_int_equal(f->h.rooms, 9);
    assert_int_equal(f->h.colour, 3);
    assert_int_equal(f->h.attic_bytes, 3072);
    assert_int_equal(f->h.wait_ms, 300000);
    assert_int_equal(f->h.lease_s, 90);
    assert_string_equal(f->h.street, "a \"b\" \\");
    assert_int_equal(f->h.owner.len, 4);
    assert_int_equal(f->h.n_guests, 0);
    assert_int_equal(f->h.n_shelves, 2);
    assert_true(wb_slice_eq(f->h.shelves[0].books[1], WB_S("y")));
    assert_true(f->h.shelves[0].open);
    assert_false(f->h.shelves[1].open);
    assert_int_equal(f->h.n_rules, 2);
    assert_true(wb_slice_eq(f->h.rules[0].name, WB_S("spiffe/a")));
    assert_true(f->h.rules[1].open);
}

static void variables_override_every_kind_of_key(void **state)
{
    static char variables[][48] = {
        "WAYBILL_ROOMS=4",
        "WAYBILL_PAINT_ATTIC_SIZE_BYTES=2GiB",
        "WAYBILL_GUESTS= x ,y",
        "WAYBILL_SHELVES=[{name: s, books: [q]}]",
        "WAYBILL_RULES={r: {open: false}}",
        "WAYBILL_STREET=",
        "WAYBILL_UNHEARD_OF=1",
        "XWAYBILL_LIT=false",
    };
    fixture *f = *state;
    char *env[WB_COUNT(variables) + 1] = {NULL};
    for (size_t i = 0; i < WB_COUNT(variables); i++) env[i] = variables[i];
    assert_int_equal(load(f, "rooms: 5\nstreet: here\n", env), WB_OK);
    assert_int_equal(f->h.rooms, 4);
    assert_int_equal(f->h.attic_bytes, UINT64_C(2) << 30);
    assert_int_equal(f->h.n_guests, 2);
    assert_true(wb_slice_eq(f->h.guests[0], WB_S("x")));
    assert_true(wb_slice_eq(f->h.shelves[0].books[0], WB_S("q")));
    assert_false(f->h.rules[0].open);
    assert_string_equal(f->h.street, "here"); /* empty is not set */
    assert_true(f->h.lit);
}

static void a_wrong_variable_is_refused_by_its_name(void **state)
{
    static struct {
        char variable[40]; /* not const, as environ is not */
        const char *says;
    } cases[] = {
        {"WAYBILL_ROOMS=many", "WAYBILL_ROOMS: a whole number"},
        {"WAYBILL_GUESTS=a,b,c,d", "WAYBILL_GUESTS:1: 4 items"},
        {"WAYBILL_GUESTS=a,b,a", "WAYBILL_GUESTS:1: a is here"},
        {"WAYBILL_GUESTS=\xff", "WAYBILL_GUESTS:1: not UTF-8"},
        {"WAYBILL_SHELVES=[{nome: a}]", "WAYBILL_SHELVES:1: unknown key nome"},
        {"WAYBILL_SHELVES=[", "WAYBILL_SHELVES:"},
        {"WAYBILL_RULES=a", "WAYBILL_RULES:1: rules: a section is needed"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        char *env[] = {cases[i].variable, NULL};
        wb_status status = load(f, "", env);
        if (status != WB_ERR_CONFIG || !strstr(f->err.detail, cases[i].says))
            fail_msg("%s gave %s: %s", cases[i].variable, wb_status_name(status), f->err.detail);
    }
}

static void what_is_printed_loads_to_the_same(void **state)
{
    fixture *f = *state;
    WB_AUTO_BUFFER first, again;
    wb_buffer_init(&first, 1 << 20);
    wb_buffer_init(&again, 1 << 20);
    assert_int_equal(
        load(f,
             "street: \"\\\"q\\\\ \xc3\xa9 # no remark\"\npaint: {colour: blue}\n"
             "shelves: [{name: a, books: ['- x', 'y: z']}]\nrules: {b: {}}\n"
             "cages: {tweety: {perch: p}, nemo: {water: {pumped: true}, type: fish}}\n",
             NULL),
        WB_OK);
    assert_int_equal(f->h.cages[0].type, ANIMAL_BIRD);
    assert_int_equal(f->h.cages[1].litres, 5);
    assert_true(f->h.cages[1].pumped);
    assert_int_equal(wb_config_print(&house_table, &f->h, &first), WB_OK);
    wb_config_source source = {.name = "printed", .yaml = wb_buffer_slice(&first)};
    house h;
    wb_status status = wb_config_load(&house_table, &source, f->arena, &h, &f->err);
    if (status != WB_OK) fail_msg("%s in\n%.*s", f->err.detail, WB_SLICE_ARG(source.yaml));
    assert_int_equal(wb_config_print(&house_table, &h, &again), WB_OK);
    assert_int_equal(first.len, again.len);
    assert_memory_equal(first.ptr, again.ptr, first.len);
    assert_string_equal(h.street, f->h.street);
}

static void the_reference_has_a_line_for_every_key(void **state)
{
    (void)state;
    WB_AUTO_BUFFER page;
    wb_buffer_init(&page, 1 << 20);
    assert_int_equal(wb_config_reference(&house_table, &page), WB_OK);
    assert_int_equal(wb_buffer_add(&page, "", 1), WB_OK);
    const char *text = (const char *)page.ptr;
    assert_non_null(strstr(text, "| `rooms` | number | `3` | 1 to 9 | `WAYBILL_ROOMS` | R |\n"));
    assert_non_null(strstr(text, "| `paint.attic.size_bytes` | bytes | `1MiB` | 10 or more | "
                                 "`WAYBILL_PAINT_ATTIC_SIZE_BYTES` | A |\n"));
    assert_non_null(strstr(text, "| `paint.colour` | choice | `red` | red, blue |"));
    assert_non_null(strstr(text, "| `shelves[].name` | text |  | 1 to 8 bytes | |"));
    assert_non_null(strstr(text, "| `rules.NAME.open` | true or false | `true` |"));
    assert_null(strstr(text, "rules.NAME.name"));
    assert_non_null(
        strstr(text, "| `cages.NAME.water.litres` | number | `5` | 0 to 90 | | `fish`: L |"));
}

static void a_file_is_read_whole_or_refused(void **state)
{
    fixture *f = *state;
    wb_slice text;
    char path[] = "/tmp/wb-config-XXXXXX";
    assert_int_equal(wb_config_read_file("/nonexistent/x", f->arena, &text, &f->err),
                     WB_ERR_NOT_FOUND);
    assert_int_equal(wb_config_read_file("/tmp", f->arena, &text, &f->err), WB_ERR_CONFIG);
    assert_int_equal(wb_config_read_file("/dev/zero", f->arena, &text, &f->err), WB_ERR_CONFIG);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "rooms: 2\n", 9), 9);
    assert_int_equal(wb_config_read_file(path, f->arena, &text, &f->err), WB_OK);
    assert_true(wb_slice_eq(text, WB_S("rooms: 2\n")));
    assert_int_equal(ftruncate(fd, WB_CONFIG_MAX_BYTES + 1), 0);
    assert_int_equal(wb_config_read_file(path, f->arena, &text, &f->err), WB_ERR_CONFIG);
    (void)close(fd);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_fault_is_refused_with_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(a_text_over_the_limit_is_refused_before_it_is_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_the_arena_cannot_hold_is_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_variable_is_refused_by_its_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_is_read_whole_or_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_written_gives_the_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_sets_every_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(variables_override_every_kind_of_key, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_printed_loads_to_the_same, setup, teardown),
        cmocka_unit_test(the_reference_has_a_line_for_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
