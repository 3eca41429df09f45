/* What is held: states in one array, in the order in which they were found, and a hash table of their indices. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "constants.h"

#define NONE UINT32_MAX
#define BATCH 8192 /* states that are expanded together */
#define FEW 256    /* fewer states than this are not worth a second thread */
#define AHEAD 16   /* candidates between asking for memory and using it */
#define MOST_WORKERS 16
#define FIRST_SLOTS 65536
#define SPINS 16384 /* before a worker sleeps that waits for the others: tens of microseconds */

typedef struct {
    uint64_t word[WORDS];
    uint64_t hash; /* after the look-up: the slot of what is new, else NOT_NEW */
    uint32_t parent;
    uint32_t action;
} Candidate;

#define NOT_NEW UINT64_MAX

typedef struct {
    uint32_t index, action, variable;
    int32_t value;
} Wrong;

typedef struct {
    Candidate *candidates, *next;
    uint32_t *own[MOST_WORKERS]; /* by owner: which candidates */
    uint32_t owned[MOST_WORKERS];
    uint32_t fresh[MOST_WORKERS]; /* as an owner, by producer: how many were new */
    Goals goals;
    Wrong wrong;
    uint64_t taken[ACTIONS];
    uint32_t first[QUESTIONS];
    uint32_t from, to; /* its share of the batch */
    uint64_t most;     /* candidates at a time */
    char apart[64];    /* from the next worker's, in the cache */
} Worker;

static void wrong(Worker *w, uint32_t action, uint32_t variable, int32_t value);

static inline void first(Worker *w, uint32_t question, uint32_t index) {
    if (w->first[question] > index)
        w->first[question] = index;
}

#include "system.h"

enum { MORE, DONE, FULL, WRONG, FAILED };

static struct {
    uint64_t *states;
    uint32_t *parent;
    Goals *reached;
    uint32_t *table;
    uint64_t slots, last_slots; /* of one owner's part; of the largest part that memory allows */
    uint64_t memory, most_states, stride;
    uint32_t index_mask;
    uint32_t jobs, count, next, level_end, depth;
    uint32_t looking; /* where a full memory left states that were not looked at */
    bool full;
    atomic_uint arrived, phase;
    bool stop, grown;
    Worker worker[MOST_WORKERS];
    /* a sweep: see sweep.h */
    atomic_uint chunk;
    atomic_bool changed;
    bool upwards, sweeping;
    uint32_t *edges;
    uint64_t *edges_at; /* by chunk */
    uint64_t edges_room;
    atomic_uint_fast64_t edges_used;
} run;

static void wrong(Worker *w, uint32_t action, uint32_t variable, int32_t value) {
    if (w->wrong.index == NONE)
        w->wrong = (Wrong){w->from, action, variable, value};
}

static inline uint64_t hash_of(const uint64_t *word) {
    uint64_t h = 0;
    for (int i = 0; i < WORDS; i++) {
        h = (h ^ word[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static inline bool same(const uint64_t *a, const uint64_t *b) {
    uint64_t difference = 0;
    for (int i = 0; i < WORDS; i++)
        difference |= a[i] ^ b[i];
    return !difference;
}

/* The least of a state's images. */
static inline void canonical(uint64_t *word) {
    (void)word;
#if IMAGES
    uint64_t least[WORDS], other[WORDS];
    memcpy(least, word, sizeof least);
    for (int i = 0; i < IMAGES; i++) {
        images[i](word, other);
        int k = 0;
        while (k < WORDS - 1 && other[k] == least[k])
            k++;
        if (other[k] < least[k])
            memcpy(least, other, sizeof least);
    }
    memcpy(word, least, sizeof least);
#endif
}

static inline uint32_t owner_of(uint64_t hash) {
    return (uint32_t)((hash & 0xffff) * run.jobs >> 16);
}

static inline uint64_t slot_of(uint64_t hash, uint32_t owner) {
    return owner * run.slots + (uint64_t)((unsigned __int128)hash * run.slots >> 64);
}

/* An entry's upper bits, which the index leaves free, tell most other states apart without a look at them. */
static inline uint32_t tag_of(uint64_t hash) {
    return (uint32_t)hash & ~run.index_mask;
}

static inline const uint64_t *state(uint64_t index) {
    return run.states + index * WORDS;
}

static void *reserve(uint64_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_HUGEPAGE); /* without huge pages it is only slower */
    return p;
}

static uint64_t table_bytes(uint64_t slots) {
    return slots * run.jobs * sizeof *run.table;
}

static bool new_table(uint64_t slots) {
    if (run.table)
        munmap(run.table, table_bytes(run.slots));
    run.slots = slots;
    run.table = reserve(table_bytes(slots));
    uint64_t largest = slots * run.jobs + run.stride * run.jobs + 1;
    run.index_mask = 1;
    while (run.index_mask < largest)
        run.index_mask = run.index_mask << 1 | 1;
    return run.table;
}

/* Enter all states that are an owner's into a new table. */
static void reinsert(uint32_t owner) {
    uint64_t slots[AHEAD];
    uint32_t entries[AHEAD], n = 0;
    for (uint32_t i = 0; i < run.count; i++) {
        uint64_t hash = hash_of(state(i));
        if (owner_of(hash) == owner) {
            slots[n] = slot_of(hash, owner);
            entries[n] = tag_of(hash) | (i + 1);
            __builtin_prefetch(&run.table[slots[n++]]);
        }
        if (n < AHEAD && i + 1 < run.count)
            continue;
        for (; n; n--) {
            uint64_t slot = slots[n - 1];
            while (run.table[slot])
                if (++slot == (owner + 1) * run.slots)
                    slot = owner * run.slots;
            run.table[slot] = entries[n - 1];
        }
    }
}

static uint32_t find(const uint64_t *word, uint64_t hash) {
    uint32_t owner = owner_of(hash), tag = tag_of(hash);
    uint64_t slot = slot_of(hash, owner);
    for (uint32_t entry; (entry = run.table[slot]) != 0;) {
        if ((entry & ~run.index_mask) == tag && same(state((entry & run.index_mask) - 1), word))
            return (entry & run.index_mask) - 1;
        if (++slot == (owner + 1) * run.slots)
            slot = owner * run.slots;
    }
    return NONE;
}

static uint32_t share_of_batch(void) {
    return (BATCH + run.jobs - 1) / run.jobs;
}

/* A list of candidates, or a chunk's edges. */
static uint64_t own_bytes(void) {
    return (run.stride + share_of_batch() + 1) * sizeof(uint32_t);
}

static uint64_t bytes_per_state(void) {
    return sizeof(uint64_t) * WORDS + sizeof *run.parent + (GOALS ? sizeof *run.reached : 0);
}

static uint64_t memory_used(void) {
    uint64_t bytes = run.count * bytes_per_state() + table_bytes(run.slots);
    for (uint32_t p = 0; p < run.jobs; p++)
        bytes += run.worker[p].most * (sizeof(Candidate) + sizeof(uint32_t));
    uint64_t edges = atomic_load(&run.edges_used);
    return bytes + (edges < run.edges_room ? edges : run.edges_room) * sizeof *run.edges;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
