/* SPDX-License-Identifier: Apache-2.0 */
/* A file is an inode with two images, what a reader sees and what the disk has, and a state for each
 * sector: clean, dirty, or lost (a failed sync marked it clean although the disk may not have it).
 *
 * A change of names is a list of assignments "name -> inode or nothing", made at once or not at all; a
 * crash keeps any subset of those that were not synced, in their order. That is harsher than real file
 * systems, which mostly keep a prefix, and may leave one inode under two names. */
#include "tests/support/model_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SECTOR = 512,
    BLOCK = 4096,
    NAME = 48,
    SITES = 16,
    HANDLE_BASE = 100,
    DIR_HANDLE = 99,
    CRASH_SOON = 8
};
enum { CLEAN, DIRTY, LOST };

typedef struct inode {
    uint8_t *seen, *disk; /* both `room` bytes, zeros behind the size */
    uint8_t *sectors;
    uint64_t size, disk_size, room;
    uint64_t broken_at; /* block that cannot be read; UINT64_MAX: none */
    bool locked;
    size_t opens;
} inode;

typedef struct entry {
    char name[NAME];
    inode *inode; /* NULL: no such name */
} entry;

typedef struct names {
    entry *list;
    size_t n, cap;
} names;

typedef struct change {
    entry set[2];
    size_t n;
} change;

typedef struct handle {
    inode *inode; /* NULL: free */
    bool holds_lock;
} handle;

typedef struct fault {
    bool armed;
    unsigned after, count;
    int errnum;
} fault;

struct wb_model_disk {
    wb_file_ops ops; /* first: a call's `ops` is the disk */
    uint64_t random, events, crash_at;
    bool dead;
    names seen, disk;
    change *changes;
    size_t n_changes, changes_cap;
    inode **inodes;
    size_t n_inodes, inodes_cap;
    handle *handles;
    size_t n_handles;
    fault faults[WB_MODEL_FAULTS];
    unsigned n_faults;
    uint64_t limit;
    const char *ignored;
    const char *sites[SITES];
    size_t n_sites;
};

/* ---- small things ---- */

static wb_model_disk *disk_of(const wb_file_ops *ops) { return (wb_model_disk *)(uintptr_t)ops; }

static void *checked(void *memory)
{
    WB_ASSERT(memory != NULL); /* a test without memory proves nothing */
    return memory;
}

/* splitmix64 */
static uint64_t next_random(wb_model_disk *d)
{
    uint64_t z = (d->random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t wb_model_random(wb_model_disk *d, uint64_t below) { return next_random(d) % below; }

/* Before everything that changes the disk. */
static bool event(wb_model_disk *d)
{
    if (d->events >= d->crash_at) d->dead = true;
    d->events++;
    return !d->dead;
}

static bool fault_now(wb_model_disk *d, wb_model_fault what, int *errnum)
{
    fault *f = &d->faults[what];
    if (!f->armed) return false;
    if (f->after > 0) {
        f->after--;
        return false;
    }
    *errnum = f->errnum;
    d->n_faults++;
    if (--f->count == 0) f->armed = false;
    return true;
}

/* ---- names ---- */

static entry *find(const names *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->list[i].name, name) == 0) return &set->list[i];
    return NULL;
}

static void assign(names *set, const entry *what)
{
    entry *there = find(set, what->name);
    if (!what->inode) {
        if (there) *there = set->list[--set->n];
        return;
    }
    if (!there) {
        if (set->n == set->cap) {
            set->cap = set->cap ? 2 * set->cap : 16;
            set->list = checked(reallocarray(set->list, set->cap, sizeof *set->list));
        }
        there = &set->list[set->n++];
    }
    *there = *what;
}

static void copy_names(names *to, const names *from)
{
    to->n = 0;
    for (size_t i = 0; i < from->n; i++) assign(to, &from->list[i]);
}

static entry entry_of(const char *name, inode *node)
{
    entry e = {.inode = node};
    WB_ASSERT(strlen(name) < NAME);
    memcpy(e.name, name, strlen(name) + 1);
    return e;
}

static void change_names(wb_model_disk *d, change c)
{
    for (size_t i = 0; i < c.n; i++) assign(&d->seen, &c.set[i]);
    if (d->n_changes == d->changes_cap) {
        d->changes_cap = d->changes_cap ? 2 * d->changes_cap : 16;
        d->changes = checked(reallocarray(d->changes, d->changes_cap, sizeof *d->changes));
    }
    d->changes[d->n_changes++] = c;
}

/* ---- inodes and handles ---- */

static inode *new_inode(wb_model_disk *d)
{
    inode *node = checked(calloc(1, sizeof *node));
    node->broken_at = UINT64_MAX;
    if (d->n_inodes == d->inodes_cap) {
        d->inodes_cap = d->inodes_cap ? 2 * d->inodes_cap : 16;
        d->inodes = checked(reallocarray(d->inodes, d->inodes_cap, sizeof(inode *)));
    }
    d->inodes[d->n_inodes++] = node;
    return node;
}

static void free_inode(inode *node)
{
    free(node->seen);
    free(node->disk);
    free(node->sectors);
    free(node);
}

static bool is_named(const wb_model_disk *d, const inode *node)
{
    for (size_t i = 0; i < d->seen.n; i++)
        if (d->seen.list[i].inode == node) return true;
    for (size_t i = 0; i < d->disk.n; i++)
        if (d->disk.list[i].inode == node) return true;
    for (size_t i = 0; i < d->n_changes; i++)
        for (size_t k = 0; k < d->changes[i].n; k++)
            if (d->changes[i].set[k].inode == node) return true;
    return false;
}

static void drop_nameless(wb_model_disk *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->n_inodes; i++) {
        inode *node = d->inodes[i];
        if (node->opens > 0 || is_named(d, node))
            d->inodes[kept++] = node;
        else
            free_inode(node);
    }
    d->n_inodes = kept;
}

static void grow(inode *node, uint64_t size)
{
    if (size > node->room) {
        uint64_t room = (size + BLOCK - 1) / BLOCK * BLOCK;
        node->seen = checked(realloc(node->seen, room));
        node->disk = checked(realloc(node->disk, room));
        node->sectors = checked(realloc(node->sectors, room / SECTOR));
        memset(node->seen + node->room, 0, room - node->room);
        memset(node->disk + node->room, 0, room - node->room);
        memset(node->sectors + node->room / SECTOR, CLEAN, (room - node->room) / SECTOR);
        node->room = room;
    }
    if (size > node->size) node->size = size;
}

static int new_handle(wb_model_disk *d, inode *node)
{
    size_t i = 0;
    while (i < d->n_handles && d->handles[i].inode) i++;
    if (i == d->n_handles) {
        d->handles = checked(reallocarray(d->handles, ++d->n_handles, sizeof *d->handles));
    }
    d->handles[i] = (handle){.inode = node};
    node->opens++;
    return HANDLE_BASE + (int)i;
}

static inode *inode_of(const wb_model_disk *d, int file)
{
    WB_ASSERT(file >= HANDLE_BASE && (size_t)(file - HANDLE_BASE) < d->n_handles);
    inode *node = d->handles[file - HANDLE_BASE].inode;
    WB_ASSERT(node != NULL);
    return node;
}

/* ---- the operations ---- */

static int model_open_dir(const wb_file_ops *ops, const char *path)
{
    (void)path;
    return disk_of(ops)->dead ? -EIO : DIR_HANDLE;
}

static int model_open(const wb_file_ops *ops, int dir, const char *name, wb_file_open how)
{
    wb_model_disk *d = disk_of(ops);
    int errnum;
    WB_ASSERT(dir == DIR_HANDLE);
    if (d->dead) return -EIO;
    entry *there = find(&d->seen, name);
    if (there && how == WB_FILE_CREATE) return -EEXIST;
    if (there && fault_now(d, WB_MODEL_OPEN, &errnum)) return -errnum;
    if (there) return new_handle(d, there->inode);
    if (how != WB_FILE_CREATE && how != WB_FILE_ENSURE) return -ENOENT;
    if (!event(d)) return -EIO;
    if (fault_now(d, WB_MODEL_CREATE, &errnum)) return -errnum;
    inode *node = new_inode(d);
    change_names(d, (change){.set = {entry_of(name, node)}, .n = 1});
    return new_handle(d, node);
}

static void model_close(const wb_file_ops *ops, int file)
{
    wb_model_disk *d = disk_of(ops);
    if (file == DIR_HANDLE) return;
    handle *h = &d->handles[file - HANDLE_BASE];
    inode *node = inode_of(d, file);
    if (h->holds_lock) node->locked = false;
    *h = (handle){.inode = NULL};
    if (--node->opens == 0) drop_nameless(d);
}

static int model_read_at(const wb_file_ops *ops, int file, void *out, size_t len, uint64_t at,
                         size_t *got)
{
    wb_model_disk *d = disk_of(ops);
    const inode *node = inode_of(d, file);
    if (d->dead) return -EIO;
    *got = 0;
    if (at >= node->size) return 0;
    if (len > node->size - at) len = (size_t)(node->size - at);
    if (node->broken_at != UINT64_MAX && at < node->broken_at + BLOCK && node->broken_at < at + len)
        return -EIO;
    memcpy(out, node->seen + at, len);
    *got = len;
    return 0;
}

static void write_bytes(inode *node, const void *bytes, size_t len, uint64_t at)
{
    if (len == 0) return;
    grow(node, at + len);
    memcpy(node->seen + at, bytes, len);
    memset(node->sectors + at / SECTOR, DIRTY, (at + len - 1) / SECTOR - at / SECTOR + 1);
}

static uint64_t room_of(uint64_t size) { return (size + BLOCK - 1) / BLOCK * BLOCK; }

/* Blocks of every inode: those of a shrunk file are free, whatever its images still hold. */
uint64_t wb_model_disk_used(const wb_model_disk *d)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < d->n_inodes; i++) bytes += room_of(d->inodes[i]->size);
    return bytes;
}

void wb_model_disk_limit(wb_model_disk *d, uint64_t bytes) { d->limit = bytes; }

static bool has_room(wb_model_disk *d, const inode *node, uint64_t size)
{
    uint64_t had = room_of(node->size), needs = room_of(size);
    if (needs <= had || wb_model_disk_used(d) - had + needs <= d->limit) return true;
    d->n_faults++;
    return false;
}

/* A crash may come inside a write too, and a failing one leaves a part: whole sectors of it. */
static void write_a_part(wb_model_disk *d, inode *node, const void *bytes, size_t len, uint64_t at)
{
    uint64_t end = (at + wb_model_random(d, len + 1)) / SECTOR * SECTOR;
    if (end > at) write_bytes(node, bytes, (size_t)(end - at), at);
}

static int model_write_at(const wb_file_ops *ops, int file, const void *bytes, size_t len,
                          uint64_t at)
{
    int errnum;
    wb_model_disk *d = disk_of(ops);
    inode *node = inode_of(d, file);
    if (d->dead) return -EIO;
    if (!event(d)) {
        write_a_part(d, node, bytes, len, at);
        return -EIO;
    }
    if (!has_room(d, node, at + len)) return -ENOSPC;
    if (fault_now(d, WB_MODEL_WRITE, &errnum)) {
        write_a_part(d, node, bytes, len, at);
        return -errnum;
    }
    write_bytes(node, bytes, len, at);
    return 0;
}

/* Like a real file system, it knows this of whole sectors only. */
static bool is_unwritten(const inode *node, uint64_t at)
{
    static const uint8_t zeros[SECTOR];
    return memcmp(node->seen + at / SECTOR * SECTOR, zeros, SECTOR) == 0;
}

static int model_next_data(const wb_file_ops *ops, int file, uint64_t at, uint64_t *out)
{
    wb_model_disk *d = disk_of(ops);
    const inode *node = inode_of(d, file);
    if (d->dead) return -EIO;
    while (at < node->size && is_unwritten(node, at)) at = (at / SECTOR + 1) * SECTOR;
    *out = at < node->size ? at : node->size;
    return 0;
}

static int model_size(const wb_file_ops *ops, int file, uint64_t *out)
{
    wb_model_disk *d = disk_of(ops);
    if (d->dead) return -EIO;
    *out = inode_of(d, file)->size;
    return 0;
}

/* Nobody else removes files there. */
static int model_names(const wb_file_ops *ops, int file)
{
    (void)ops;
    (void)file;
    return 1;
}

static int model_allocate(const wb_file_ops *ops, int file, uint64_t len)
{
    wb_model_disk *d = disk_of(ops);
    int errnum;
    inode *node = inode_of(d, file);
    if (!event(d)) return -EIO;
    if (!has_room(d, node, len)) return -ENOSPC;
    if (fault_now(d, WB_MODEL_ALLOCATE, &errnum)) return -errnum;
    grow(node, len);
    return 0;
}

/* The disk keeps the old length until a sync, and then whatever it likes of what was behind. */
static int model_cut(const wb_file_ops *ops, int file, uint64_t len)
{
    wb_model_disk *d = disk_of(ops);
    int errnum;
    inode *node = inode_of(d, file);
    if (!event(d)) return -EIO;
    if (fault_now(d, WB_MODEL_CUT, &errnum)) return -errnum;
    WB_ASSERT(len <= node->size);
    memset(node->seen + len, 0, node->room - len);
    memset(node->sectors + len / SECTOR, DIRTY, (node->room - len) / SECTOR);
    node->size = len;
    return 0;
}

static void sync_inode(inode *node)
{
    for (uint64_t at = 0; at < node->room; at += SECTOR) {
        if (node->sectors[at / SECTOR] != DIRTY) continue;
        memcpy(node->disk + at, node->seen + at, SECTOR);
        node->sectors[at / SECTOR] = CLEAN;
    }
    node->disk_size = node->size;
}

/* What the failed sync had written is on the disk, the rest is not, and nobody can tell. */
static void sync_badly(wb_model_disk *d, inode *node)
{
    for (uint64_t at = 0; at < node->room; at += SECTOR) {
        if (node->sectors[at / SECTOR] != DIRTY) continue;
        bool written = wb_model_random(d, 2) == 0;
        if (written) memcpy(node->disk + at, node->seen + at, SECTOR);
        node->sectors[at / SECTOR] = written ? CLEAN : LOST;
    }
}

static bool is_ignored(wb_model_disk *d, const char *site)
{
    size_t i = 0;
    while (i < d->n_sites && strcmp(d->sites[i], site) != 0) i++;
    if (i == d->n_sites) {
        WB_ASSERT(i < SITES);
        d->sites[d->n_sites++] = site;
    }
    if (!d->ignored || strcmp(d->ignored, site) != 0) return false;
    uint64_t soon = d->events + wb_model_random(d, 2 * CRASH_SOON);
    if (soon < d->events + CRASH_SOON && soon < d->crash_at) d->crash_at = soon;
    return true;
}

static int model_sync_file(const wb_file_ops *ops, int file, const char *site)
{
    int errnum;
    wb_model_disk *d = disk_of(ops);
    inode *node = inode_of(d, file);
    if (!event(d)) return -EIO;
    if (is_ignored(d, site)) return 0;
    if (fault_now(d, WB_MODEL_SYNC_FILE, &errnum)) {
        sync_badly(d, node);
        return -errnum;
    }
    sync_inode(node);
    return 0;
}

static int model_sync_dir(const wb_file_ops *ops, int dir, const char *site)
{
    int errnum;
    wb_model_disk *d = disk_of(ops);
    WB_ASSERT(dir == DIR_HANDLE);
    if (!event(d)) return -EIO;
    if (is_ignored(d, site)) return 0;
    if (fault_now(d, WB_MODEL_SYNC_DIR, &errnum)) return -errnum;
    d->n_changes = 0;
    copy_names(&d->disk, &d->seen);
    drop_nameless(d);
    return 0;
}

static int model_rename(const wb_file_ops *ops, int dir, const char *from, const char *to)
{
    wb_model_disk *d = disk_of(ops);
    WB_ASSERT(dir == DIR_HANDLE);
    entry *there = find(&d->seen, from);
    int errnum;
    if (!there) return d->dead ? -EIO : -ENOENT;
    if (!event(d)) return -EIO;
    if (fault_now(d, WB_MODEL_RENAME, &errnum)) return -errnum;
    inode *node = there->inode;
    change_names(d, (change){.set = {entry_of(from, NULL), entry_of(to, node)}, .n = 2});
    return 0;
}

static int model_remove(const wb_file_ops *ops, int dir, const char *name)
{
    wb_model_disk *d = disk_of(ops);
    int errnum;
    WB_ASSERT(dir == DIR_HANDLE);
    if (!find(&d->seen, name)) return d->dead ? -EIO : -ENOENT;
    if (!event(d)) return -EIO;
    if (fault_now(d, WB_MODEL_REMOVE, &errnum)) return -errnum;
    change_names(d, (change){.set = {entry_of(name, NULL)}, .n = 1});
    return 0;
}

static int model_list(const wb_file_ops *ops, int dir, int (*each)(void *arg, const char *name),
                      void *arg)
{
    wb_model_disk *d = disk_of(ops);
    WB_ASSERT(dir == DIR_HANDLE);
    if (d->dead) return -EIO;
    for (size_t i = 0; i < d->seen.n; i++) {
        int rv = each(arg, d->seen.list[i].name);
        if (rv != 0) return rv;
    }
    return 0;
}

static int model_lock(const wb_file_ops *ops, int file)
{
    wb_model_disk *d = disk_of(ops);
    inode *node = inode_of(d, file);
    if (d->dead) return -EIO;
    if (node->locked) return -EWOULDBLOCK;
    node->locked = true;
    d->handles[file - HANDLE_BASE].holds_lock = true;
    return 0;
}

/* ---- crashes ---- */

static void close_all(wb_model_disk *d)
{
    for (size_t i = 0; i < d->n_handles; i++) d->handles[i] = (handle){.inode = NULL};
    for (size_t i = 0; i < d->n_inodes; i++) {
        d->inodes[i]->opens = 0;
        d->inodes[i]->locked = false;
    }
    memset(d->faults, 0, sizeof d->faults);
    wb_model_disk_run(d);
}

/* How much of what was unsynced survives, in tenths: nothing and all are as likely as anything. */
static bool survives(wb_model_disk *d, uint64_t tenths) { return wb_model_random(d, 10) < tenths; }

static void cut_inode(wb_model_disk *d, inode *node, uint64_t tenths)
{
    bool keep_size = survives(d, tenths);
    uint64_t size = keep_size ? node->size : node->disk_size;
    for (uint64_t at = 0; at < node->room; at += SECTOR) {
        uint8_t *state = &node->sectors[at / SECTOR];
        if (*state == DIRTY && at < size && survives(d, tenths))
            memcpy(node->disk + at, node->seen + at, SECTOR);
        memcpy(node->seen + at, node->disk + at, SECTOR);
        *state = CLEAN;
    }
    if (node->room > size) {
        memset(node->seen + size, 0, node->room - size);
        memset(node->disk + size, 0, node->room - size);
    }
    node->size = node->disk_size = size;
}

/* Any subset, and one time in four the worst order: the last change alone. */
static void cut_names(wb_model_disk *d, uint64_t tenths)
{
    bool last_alone = wb_model_random(d, 4) == 0;
    for (size_t i = 0; i < d->n_changes; i++) {
        bool kept = last_alone ? i + 1 == d->n_changes : survives(d, tenths);
        for (size_t k = 0; kept && k < d->changes[i].n; k++)
            assign(&d->disk, &d->changes[i].set[k]);
    }
    d->n_changes = 0;
}

void wb_model_disk_power_cut(wb_model_disk *d)
{
    static const uint64_t mixes[] = {0, 1, 3, 5, 7, 9, 10};
    uint64_t tenths = mixes[wb_model_random(d, WB_COUNT(mixes))];
    cut_names(d, mixes[wb_model_random(d, WB_COUNT(mixes))]);
    copy_names(&d->seen, &d->disk);
    for (size_t i = 0; i < d->n_inodes; i++) cut_inode(d, d->inodes[i], tenths);
    close_all(d);
    drop_nameless(d);
}

void wb_model_disk_kill(wb_model_disk *d) { close_all(d); }

/* ---- the test's side ---- */

wb_model_disk *wb_model_disk_new(uint64_t seed)
{
    wb_model_disk *d = checked(calloc(1, sizeof *d));
    d->ops = (wb_file_ops){
        .open_dir = model_open_dir,
        .open = model_open,
        .close = model_close,
        .read_at = model_read_at,
        .write_at = model_write_at,
        .next_data = model_next_data,
        .size = model_size,
        .names = model_names,
        .allocate = model_allocate,
        .zero_fill = model_allocate, /* neither promises anything about a crash */
        .cut = model_cut,
        .sync_file = model_sync_file,
        .sync_dir = model_sync_dir,
        .rename = model_rename,
        .remove = model_remove,
        .list = model_list,
        .lock = model_lock,
    };
    d->random = seed;
    d->limit = UINT64_MAX;
    wb_model_disk_run(d);
    return d;
}

void wb_model_disk_free(wb_model_disk *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->n_inodes; i++) free_inode(d->inodes[i]);
    free(d->inodes);
    free(d->handles);
    free(d->changes);
    free(d->seen.list);
    free(d->disk.list);
    free(d);
}

const wb_file_ops *wb_model_disk_ops(const wb_model_disk *d) { return &d->ops; }

uint64_t wb_model_disk_events(const wb_model_disk *d) { return d->events; }

void wb_model_disk_crash_after(wb_model_disk *d, uint64_t after)
{
    d->crash_at = d->events + after;
}

void wb_model_disk_run(wb_model_disk *d)
{
    d->crash_at = UINT64_MAX;
    d->dead = false;
}

bool wb_model_disk_is_dead(const wb_model_disk *d) { return d->dead; }

void wb_model_disk_fail(wb_model_disk *d, wb_model_fault what, unsigned after, unsigned count,
                        int errnum)
{
    d->faults[what] = (fault){.armed = count > 0, .after = after, .count = count, .errnum = errnum};
}

unsigned wb_model_disk_faults(const wb_model_disk *d) { return d->n_faults; }

void wb_model_disk_ignore_site(wb_model_disk *d, const char *site) { d->ignored = site; }

size_t wb_model_disk_sites(const wb_model_disk *d, const char *out[], size_t max)
{
    for (size_t i = 0; i < d->n_sites && i < max; i++) out[i] = d->sites[i];
    return d->n_sites;
}

wb_model_disk *wb_model_disk_clone(const wb_model_disk *d)
{
    wb_model_disk *copy = wb_model_disk_new(d->random);
    for (size_t i = 0; i < d->seen.n; i++) {
        const inode *node = d->seen.list[i].inode;
        wb_model_disk_put(copy, d->seen.list[i].name, node->seen, (size_t)node->size);
    }
    return copy;
}

void wb_model_disk_put(wb_model_disk *d, const char *name, const void *bytes, size_t len)
{
    inode *node = new_inode(d);
    entry made = entry_of(name, node);
    write_bytes(node, bytes, len, 0);
    sync_inode(node);
    assign(&d->seen, &made);
    assign(&d->disk, &made);
    drop_nameless(d);
}

void wb_model_disk_drop(wb_model_disk *d, const char *name)
{
    entry gone = entry_of(name, NULL);
    assign(&d->seen, &gone);
    assign(&d->disk, &gone);
    drop_nameless(d);
}

uint64_t wb_model_disk_size_of(const wb_model_disk *d, const char *name)
{
    const entry *there = find(&d->seen, name);
    return there ? there->inode->size : UINT64_MAX;
}

void wb_model_disk_get(const wb_model_disk *d, const char *name, uint64_t at, void *out, size_t len)
{
    const entry *there = find(&d->seen, name);
    WB_ASSERT(there != NULL);
    memset(out, 0, len);
    if (at >= there->inode->size) return;
    uint64_t left = there->inode->size - at;
    memcpy(out, there->inode->seen + at, left < len ? (size_t)left : len);
}

static int by_text(const void *a, const void *b)
{
    const char *x, *y;
    memcpy(&x, a, sizeof(const char *));
    memcpy(&y, b, sizeof(const char *));
    return strcmp(x, y);
}

size_t wb_model_disk_names(const wb_model_disk *d, const char *out[], size_t max)
{
    size_t n = 0;
    for (; n < d->seen.n && n < max; n++) out[n] = d->seen.list[n].name;
    qsort(out, n, sizeof(const char *), by_text);
    return d->seen.n;
}

bool wb_model_disk_damage(wb_model_disk *d, const char *name, uint64_t at, uint8_t bits)
{
    entry *there = find(&d->seen, name);
    if (!there || at >= there->inode->size) return false;
    there->inode->seen[at] ^= bits;
    there->inode->disk[at] ^= bits;
    return true;
}

void wb_model_disk_break_block(wb_model_disk *d, const char *name, uint64_t at)
{
    entry *there = find(&d->seen, name);
    WB_ASSERT(there != NULL);
    there->inode->broken_at = at / BLOCK * BLOCK;
}
