/* Breadth-first search over packed states. What depends on the system is generated: constants.h, system.h.
 *
 * States lie in one array in the order in which they were found; a hash table holds their indices. The search goes in
 * batches: (1) each worker expands its share of the batch's states into candidates; (2) each worker looks up, in order,
 * the candidates whose hash makes them its own, in its own part of the table; (3) what is new gets its index in the
 * order of parents and actions. So indices do not depend on the number of workers.
 */
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
#define BATCH 8192     /* states that are expanded together */
#define FEW 256        /* fewer states than this are not worth a second thread */
#define AHEAD 16       /* candidates between asking for memory and using it */
#define MOST_WORKERS 16
#define FIRST_SLOTS 65536
#define SPINS 4000     /* before a worker sleeps that waits for the others: tens of microseconds */

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
    char apart[64];
} Worker;

static void wrong(Worker *w, uint32_t action, uint32_t variable, int32_t value);

static inline void first(Worker *w, uint32_t question, uint32_t index)
{
    if (w->first[question] > index)
        w->first[question] = index;
}

#include "system.h"

enum { MORE, DONE, FULL, WRONG, FAILED };

static struct {
    uint64_t *states;
    uint32_t *parent;
    Action *action;
    Goals *reached;
    uint32_t *table;
    uint64_t slots, last_slots; /* of one owner's part; of the largest part that memory allows */
    uint64_t most_states, stride;
    uint32_t index_mask;
    uint32_t jobs, count, next, level_end, depth;
    uint32_t looking; /* where a full memory left states that were not looked at */
    bool full;
    atomic_uint arrived, phase;
    bool stop, grown;
    Worker worker[MOST_WORKERS];
    /* a sweep */
    atomic_uint chunk;
    atomic_bool changed;
    bool upwards, sweeping;
} run;

static void wrong(Worker *w, uint32_t action, uint32_t variable, int32_t value)
{
    if (w->wrong.index == NONE)
        w->wrong = (Wrong){w->from, action, variable, value};
}

static inline uint64_t hash_of(const uint64_t *word)
{
    uint64_t h = 0;
    for (int i = 0; i < WORDS; i++) {
        h = (h ^ word[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static inline bool same(const uint64_t *a, const uint64_t *b)
{
    uint64_t difference = 0;
    for (int i = 0; i < WORDS; i++)
        difference |= a[i] ^ b[i];
    return !difference;
}

/* The least of a state's images. */
static inline void canonical(uint64_t *word)
{
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

static inline uint32_t owner_of(uint64_t hash)
{
    return (uint32_t)((hash & 0xffff) * run.jobs >> 16);
}

static inline uint64_t slot_of(uint64_t hash, uint32_t owner)
{
    return owner * run.slots + (uint64_t)((unsigned __int128)hash * run.slots >> 64);
}

/* An entry's upper bits, which the index leaves free, tell most other states apart without a look at them. */
static inline uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)hash & ~run.index_mask;
}

static inline const uint64_t *state(uint64_t index)
{
    return run.states + index * WORDS;
}

/* ---- expanding ---- */

static void expand_into(Worker *w, uint32_t index)
{
    const uint64_t *s = state(index);
    Candidate *kept = w->next;
    w->from = index;
    expand(s, w);
    for (Candidate *c = kept; c < w->next; c++) {
        if (same(c->word, s))
            continue; /* a step that changes nothing */
        memcpy(kept->word, c->word, sizeof c->word);
        canonical(kept->word);
        kept->hash = hash_of(kept->word);
        kept->action = c->action;
        kept->parent = index;
        kept++;
    }
    w->next = kept;
}

static void look_at(Worker *w, uint32_t index)
{
    w->goals = 0;
    look(state(index), index, w);
    if (GOALS)
        run.reached[index] = w->goals;
}

static void produce(Worker *w)
{
    memset(w->owned, 0, sizeof w->owned);
    w->next = w->candidates;
    for (uint32_t index = w->from, to = w->to; index < to; index++) {
        uint32_t before = (uint32_t)(w->next - w->candidates);
        look_at(w, index);
        expand_into(w, index);
        uint32_t after = (uint32_t)(w->next - w->candidates);
        for (uint32_t i = before; i < after; i++) {
            uint32_t owner = owner_of(w->candidates[i].hash);
            w->own[owner][w->owned[owner]++] = i;
        }
    }
    uint64_t n = (uint64_t)(w->next - w->candidates);
    w->most = n > w->most ? n : w->most;
}

/* ---- looking up ---- */

/* Where an entry's state lies: in the array, or still among the candidates of this batch. */
static inline const uint64_t *found_at(uint32_t entry)
{
    uint64_t index = (entry & run.index_mask) - 1;
    if (index < run.count)
        return state(index);
    index -= run.count;
    return run.worker[index / run.stride].candidates[index % run.stride].word;
}

static void insert(uint32_t owner, Worker *producer, uint32_t which)
{
    Candidate *c = &producer->candidates[which];
    uint32_t tag = tag_of(c->hash);
    uint64_t slot = slot_of(c->hash, owner);
    for (uint32_t entry; (entry = run.table[slot]) != 0;) {
        if ((entry & ~run.index_mask) == tag && same(found_at(entry), c->word)) {
            c->hash = NOT_NEW;
            return;
        }
        if (++slot == (owner + 1) * run.slots)
            slot = owner * run.slots;
    }
    uint64_t provisional = run.count + (uint64_t)(producer - run.worker) * run.stride + which;
    run.table[slot] = tag | (uint32_t)(provisional + 1);
    c->hash = slot;
    run.worker[owner].fresh[producer - run.worker]++;
}

static void reinsert(uint32_t owner);

static void look_up(uint32_t owner)
{
    if (run.grown)
        reinsert(owner);
    for (uint32_t p = 0; p < run.jobs; p++) {
        Worker *producer = &run.worker[p];
        const Candidate *all = producer->candidates;
        const uint32_t *own = producer->own[owner];
        int64_t n = producer->owned[owner];
        run.worker[owner].fresh[p] = 0;
        for (int64_t i = 0; i < n + AHEAD; i++) {
            if (i < n)
                __builtin_prefetch(&run.table[slot_of(all[own[i]].hash, owner)]);
            if (i >= AHEAD)
                insert(owner, producer, own[i - AHEAD]);
        }
    }
}

static void number(uint32_t p)
{
    uint64_t index = run.count;
    for (uint32_t q = 0; q < p; q++)
        for (uint32_t owner = 0; owner < run.jobs; owner++)
            index += run.worker[owner].fresh[q];
    Worker *w = &run.worker[p];
    for (Candidate *c = w->candidates; c < w->next; c++) {
        if (c->hash == NOT_NEW)
            continue;
        memcpy(run.states + index * WORDS, c->word, sizeof c->word);
        run.parent[index] = c->parent;
        run.action[index] = (Action)c->action;
        run.table[c->hash] = (run.table[c->hash] & ~run.index_mask) | (uint32_t)(index + 1);
        index++;
    }
}

/* ---- the table ---- */

static void *reserve(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_HUGEPAGE); /* without huge pages it is only slower */
    return p;
}

static uint64_t table_bytes(uint64_t slots)
{
    return slots * run.jobs * sizeof *run.table;
}

static bool new_table(uint64_t slots)
{
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

static void reinsert(uint32_t owner)
{
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

/* ---- batches ---- */

static void wait_for_all(void)
{
    uint32_t phase = atomic_load(&run.phase);
    if (atomic_fetch_add(&run.arrived, 1) + 1 == run.jobs) {
        atomic_store(&run.arrived, 0);
        atomic_store(&run.phase, phase + 1);
        syscall(SYS_futex, &run.phase, FUTEX_WAKE_PRIVATE, MOST_WORKERS, NULL, NULL, 0);
        return;
    }
    for (int i = 0; i < SPINS && atomic_load(&run.phase) == phase; i++)
        __builtin_ia32_pause();
    while (atomic_load(&run.phase) == phase)
        syscall(SYS_futex, &run.phase, FUTEX_WAIT_PRIVATE, phase, NULL, NULL, 0);
}

static void *assist(void *worker)
{
    uint32_t me = (uint32_t)((Worker *)worker - run.worker);
    for (;;) {
        wait_for_all();
        if (run.stop)
            return NULL;
        produce(worker);
        wait_for_all(); /* the first worker decides whether there is room */
        wait_for_all();
        if (run.stop)
            return NULL;
        look_up(me);
        wait_for_all();
        number(me);
        wait_for_all();
    }
}

/* Whether the batch's candidates have room, after the table was given more where it needs it. */
static int make_room(void)
{
    uint64_t needed = run.count;
    for (uint32_t p = 0; p < run.jobs; p++) {
        if (run.worker[p].wrong.index != NONE)
            return WRONG;
        needed += (uint64_t)(run.worker[p].next - run.worker[p].candidates);
    }
    if (needed > run.most_states)
        return FULL;
    run.grown = false;
    uint64_t slots = run.slots;
    while (slots < run.last_slots && needed * 10 > slots * run.jobs * 7)
        slots *= 2;
    if (slots == run.slots)
        return MORE;
    run.grown = true;
    return new_table(slots < run.last_slots ? slots : run.last_slots) ? MORE : FAILED;
}

static int batch(bool alone)
{
    uint32_t n = run.level_end - run.next;
    n = n < BATCH ? n : BATCH;
    for (uint32_t p = 0; p < run.jobs; p++) {
        run.worker[p].from = run.next + (uint32_t)((uint64_t)n * p / run.jobs);
        run.worker[p].to = run.next + (uint32_t)((uint64_t)n * (p + 1) / run.jobs);
    }
    uint32_t others = alone ? run.jobs : 1;
#define TOGETHER(what) \
    do { \
        for (uint32_t p = 0; p < others; p++) \
            what; \
        if (!alone) \
            wait_for_all(); \
    } while (0)
    if (!alone)
        wait_for_all();
    TOGETHER(produce(&run.worker[p]));
    int status = make_room();
    run.stop = status != MORE;
    if (!alone)
        wait_for_all();
    if (run.stop)
        return status;
    TOGETHER(look_up(p));
    TOGETHER(number(p));
    for (uint32_t owner = 0; owner < run.jobs; owner++)
        for (uint32_t p = 0; p < run.jobs; p++)
            run.count += run.worker[owner].fresh[p];
    run.next += n;
    if (run.next == run.level_end && run.next < run.count) {
        run.level_end = run.count;
        run.depth++;
    }
    return run.next < run.count ? MORE : DONE;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- backwards: from which states a goal can be, or must be, reached ---- */

static uint32_t find(const uint64_t *word, uint64_t hash)
{
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

static inline Goals reached(uint32_t index)
{
    return __atomic_load_n(&run.reached[index], __ATOMIC_RELAXED);
}

/* What a state's successors, candidates of which `any` and `all` were gathered, say of it. */
static void conclude(uint32_t index, Goals any, Goals all)
{
    Goals old = reached(index), new = old | (any & POSSIBLE) | (all & EVENTUAL);
    if (new != old) {
        __atomic_store_n(&run.reached[index], new, __ATOMIC_RELAXED);
        atomic_store_explicit(&run.changed, true, memory_order_relaxed);
    }
}

static void sweep_share(Worker *w, uint32_t chunk)
{
    uint32_t share = (uint32_t)(run.stride / ACTIONS), chunks = (run.count + share - 1) / share;
    uint32_t from = (run.upwards ? chunk : chunks - 1 - chunk) * share;
    uint32_t n = run.count - from < share ? run.count - from : share;
    w->next = w->candidates;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t index = run.upwards ? from + i : from + n - 1 - i;
        if (reached(index) != (POSSIBLE | EVENTUAL))
            expand_into(w, index);
    }
    const Candidate *all = w->candidates;
    int64_t candidates = w->next - all;
    Goals some = 0, every = POSSIBLE | EVENTUAL;
    for (int64_t i = 0; i < candidates + AHEAD; i++) {
        if (i < candidates)
            __builtin_prefetch(&run.table[slot_of(all[i].hash, owner_of(all[i].hash))]);
        if (i < AHEAD)
            continue;
        const Candidate *c = &all[i - AHEAD];
        Goals there = reached(find(c->word, c->hash));
        some |= there;
        every &= there;
        if (c + 1 == w->next || c[1].parent != c->parent) {
            conclude(c->parent, some, every);
            some = 0;
            every = POSSIBLE | EVENTUAL;
        }
    }
}

typedef struct {
    Worker *worker;
    double end;
} Sweep;

static void *sweep(void *argument)
{
    Sweep *s = argument;
    uint32_t share = (uint32_t)(run.stride / ACTIONS), chunks = (run.count + share - 1) / share;
    do {
        uint32_t chunk = atomic_fetch_add(&run.chunk, 1);
        if (chunk >= chunks)
            break;
        sweep_share(s->worker, chunk);
    } while (now() < s->end);
    return NULL;
}

/* ---- what Python calls ---- */

uint64_t explorer_least_memory(void)
{
    return (uint64_t)BATCH * ACTIONS * (sizeof(Candidate) + sizeof(uint32_t)) + FIRST_SLOTS * sizeof(uint32_t) + 65536;
}

static uint64_t bytes_per_state(void)
{
    return sizeof(uint64_t) * WORDS + sizeof *run.parent + sizeof *run.action + (GOALS ? sizeof *run.reached : 0);
}

/* Take no more than `memory` bytes, and begin at a state. The table is at most 85 % full. */
int explorer_open(uint64_t memory, uint32_t jobs, const uint64_t *initial)
{
    run.jobs = jobs;
    uint64_t most = (memory - explorer_least_memory()) * 20 / (bytes_per_state() * 20 + sizeof *run.table * 24);
    run.most_states = most < NONE / 2 ? most : NONE / 2;
    uint64_t slots = run.most_states * 20 / 17;
    run.last_slots = (slots > FIRST_SLOTS ? slots : FIRST_SLOTS) / jobs;
    run.stride = (uint64_t)((BATCH + jobs - 1) / jobs) * ACTIONS;
    run.states = reserve(run.most_states * sizeof(uint64_t) * WORDS);
    run.parent = reserve(run.most_states * sizeof *run.parent);
    run.action = reserve(run.most_states * sizeof *run.action);
    run.reached = reserve(run.most_states * sizeof *run.reached);
    bool good = new_table(FIRST_SLOTS / jobs) && run.states && run.parent && run.action && run.reached;
    for (uint32_t p = 0; p < jobs; p++) {
        Worker *w = &run.worker[p];
        w->candidates = reserve(run.stride * sizeof *w->candidates);
        good = good && w->candidates;
        for (uint32_t owner = 0; owner < jobs; owner++) {
            w->own[owner] = reserve(run.stride * sizeof *w->own[owner]);
            good = good && w->own[owner];
        }
        w->wrong.index = NONE;
        memset(w->first, 0xff, sizeof w->first);
    }
    if (!good)
        return FAILED;
    memcpy(run.states, initial, sizeof(uint64_t) * WORDS);
    canonical(run.states);
    run.parent[0] = NONE;
    run.count = run.level_end = 1;
    reinsert(owner_of(hash_of(run.states)));
    return MORE;
}

/* Go on for some seconds. FULL: memory does not suffice, but all states that were found have been looked at. */
int explorer_search(double seconds)
{
    double end = now() + seconds;
    pthread_t thread[MOST_WORKERS];
    uint32_t started = 1;
    bool waiting = false;
    int status = run.full ? FULL : MORE;
    run.stop = false;
    while (status == MORE) {
        bool alone = run.jobs == 1 || run.level_end - run.next < FEW;
        for (; !alone && started < run.jobs; started++)
            if (pthread_create(&thread[started], NULL, assist, &run.worker[started]))
                return FAILED;
        waiting = started > 1;
        status = batch(alone);
        waiting = waiting && (alone || !run.stop);
        if (now() >= end)
            break;
    }
    run.stop = true;
    if (waiting)
        wait_for_all();
    while (--started)
        pthread_join(thread[started], NULL);
    if (status == FULL && !run.full) {
        run.full = true;
        run.looking = run.next;
    }
    while (status == FULL && run.looking < run.count) {
        look_at(&run.worker[0], run.looking++);
        if (run.looking % BATCH == 0 && now() >= end)
            return MORE;
    }
    return status;
}

/* Go on with the sweeps for some seconds. DONE: the last one changed nothing. */
int explorer_sweep(double seconds)
{
    Sweep sweeps[MOST_WORKERS];
    pthread_t thread[MOST_WORKERS];
    uint32_t share = (uint32_t)(run.stride / ACTIONS), chunks = (run.count + share - 1) / share;
    double end = now() + seconds;
    for (uint32_t p = 0; p < run.jobs; p++)
        sweeps[p] = (Sweep){&run.worker[p], end};
    do {
        if (!run.sweeping) {
            run.sweeping = true;
            atomic_store(&run.chunk, 0);
            atomic_store(&run.changed, false);
        }
        uint32_t started = 1;
        for (; run.count > BATCH && started < run.jobs; started++)
            if (pthread_create(&thread[started], NULL, sweep, &sweeps[started]))
                return FAILED;
        sweep(&sweeps[0]);
        while (--started)
            pthread_join(thread[started], NULL);
        if (atomic_load(&run.chunk) < chunks)
            return MORE;
        run.sweeping = false;
        run.upwards = !run.upwards;
        if (!atomic_load(&run.changed))
            return DONE;
    } while (now() < end);
    return MORE;
}

/* States, states that are not yet expanded, levels, bytes. */
void explorer_progress(uint64_t *out)
{
    out[0] = run.count;
    out[1] = run.count - run.next;
    out[2] = run.depth;
    out[3] = run.count * bytes_per_state() + table_bytes(run.slots);
    for (uint32_t p = 0; p < run.jobs; p++)
        out[3] += run.worker[p].most * (sizeof(Candidate) + sizeof(uint32_t));
}

void explorer_taken(uint64_t *out)
{
    memset(out, 0, sizeof run.worker[0].taken);
    for (uint32_t p = 0; p < run.jobs; p++)
        for (int i = 0; i < ACTIONS; i++)
            out[i] += run.worker[p].taken[i];
}

/* The first state for which the answer to a question is yes, or NONE. */
uint32_t explorer_first(uint32_t question)
{
    uint32_t least = NONE;
    for (uint32_t p = 0; p < run.jobs; p++)
        least = run.worker[p].first[question] < least ? run.worker[p].first[question] : least;
    return least;
}

/* The first value out of its range: the state's index, the action, the variable, the value. False: there is none. */
bool explorer_wrong(int64_t *out)
{
    Wrong least = {.index = NONE};
    for (uint32_t p = 0; p < run.jobs; p++) {
        if (run.worker[p].wrong.index < least.index)
            least = run.worker[p].wrong;
        run.worker[p].wrong.index = NONE;
    }
    const int64_t found[] = {least.index, least.action, least.variable, least.value};
    memcpy(out, found, sizeof found);
    return least.index != NONE;
}

/* All steps from any state, without regard to symmetry: their number; the states and the actions. */
uint32_t explorer_successors(const uint64_t *from, uint64_t *states, uint32_t *actions)
{
    Worker *w = &run.worker[0];
    w->next = w->candidates;
    expand(from, w);
    for (Candidate *c = w->candidates; c < w->next; c++, states += WORDS) {
        memcpy(states, c->word, sizeof c->word);
        *actions++ = c->action;
    }
    return (uint32_t)(w->next - w->candidates);
}

/* The index of a state, or of the image that stands for it; NONE if it was not reached. */
uint32_t explorer_find(const uint64_t *from)
{
    uint64_t word[WORDS];
    memcpy(word, from, sizeof word);
    canonical(word);
    return find(word, hash_of(word));
}

/* The state's words; how it was found first: its parent (NONE: it is the first state) and the action. */
void explorer_state(uint32_t index, uint64_t *words, uint32_t *parent, uint32_t *action)
{
    memcpy(words, state(index), sizeof(uint64_t) * WORDS);
    *parent = run.parent[index];
    *action = run.action[index];
}

bool explorer_reaches(uint32_t index, uint32_t goal)
{
    return run.reached[index] >> goal & 1;
}

/* The first state that does not reach a goal, or NONE. */
uint32_t explorer_unreached(uint32_t goal)
{
    for (uint32_t i = 0; i < run.count; i++)
        if (!explorer_reaches(i, goal))
            return i;
    return NONE;
}

void explorer_close(void)
{
    uint64_t most = run.most_states;
    void *const arrays[] = {run.states, run.parent, run.action, run.reached, run.table};
    const uint64_t bytes[] = {most * sizeof(uint64_t) * WORDS, most * sizeof *run.parent, most * sizeof *run.action,
                              most * sizeof *run.reached, table_bytes(run.slots)};
    for (int i = 0; i < 5; i++)
        if (arrays[i])
            munmap(arrays[i], bytes[i]);
    for (uint32_t p = 0; p < run.jobs; p++) {
        Worker *w = &run.worker[p];
        if (w->candidates)
            munmap(w->candidates, run.stride * sizeof *w->candidates);
        for (uint32_t o = 0; o < run.jobs; o++)
            if (w->own[o])
                munmap(w->own[o], run.stride * sizeof *w->own[o]);
    }
    memset(&run, 0, sizeof run);
}
