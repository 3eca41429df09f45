/* The explorer: what Python calls. What depends on the system is generated: constants.h, system.h. */
#include "store.h"

#include "search.h"
#include "sweep.h"

uint64_t explorer_least_memory(void) {
    return (uint64_t)BATCH * ACTIONS * (sizeof(Candidate) + sizeof(uint32_t)) + FIRST_SLOTS * sizeof(uint32_t) + 65536;
}

/* Take no more than `memory` bytes, and begin at a state. The table is at most 85 % full. */
int explorer_open(uint64_t memory, uint32_t jobs, const uint64_t *initial) {
    run.jobs = jobs;
    uint64_t most = (memory - explorer_least_memory()) * 20 / (bytes_per_state() * 20 + sizeof *run.table * 24);
    run.most_states = most < NONE / 2 ? most : NONE / 2;
    uint64_t slots = run.most_states * 20 / 17;
    run.last_slots = (slots > FIRST_SLOTS ? slots : FIRST_SLOTS) / jobs;
    run.stride = (uint64_t)share_of_batch() * ACTIONS;
    run.memory = memory;
    run.states = reserve(run.most_states * sizeof(uint64_t) * WORDS);
    run.parent = reserve(run.most_states * sizeof *run.parent);
    run.reached = reserve(run.most_states * sizeof *run.reached);
    bool good = new_table(FIRST_SLOTS / jobs) && run.states && run.parent && run.reached;
    for (uint32_t p = 0; p < jobs; p++) {
        Worker *w = &run.worker[p];
        w->candidates = reserve(run.stride * sizeof *w->candidates);
        good = good && w->candidates;
        for (uint32_t owner = 0; owner < jobs; owner++) {
            w->own[owner] = reserve(own_bytes());
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

/* States, states that are not yet expanded, levels, bytes. */
void explorer_progress(uint64_t *out) {
    out[0] = run.count;
    out[1] = run.count - run.next;
    out[2] = run.depth;
    out[3] = memory_used();
}

void explorer_taken(uint64_t *out) {
    memset(out, 0, sizeof run.worker[0].taken);
    for (uint32_t p = 0; p < run.jobs; p++)
        for (int i = 0; i < ACTIONS; i++)
            out[i] += run.worker[p].taken[i];
}

/* The first state for which the answer to a question is yes, or NONE. */
uint32_t explorer_first(uint32_t question) {
    uint32_t least = NONE;
    for (uint32_t p = 0; p < run.jobs; p++)
        least = run.worker[p].first[question] < least ? run.worker[p].first[question] : least;
    return least;
}

/* The first value out of its range: the state's index, the action, the variable, the value. False: there is none. */
bool explorer_wrong(int64_t *out) {
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
uint32_t explorer_successors(const uint64_t *from, uint64_t *states, uint32_t *actions) {
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
uint32_t explorer_find(const uint64_t *from) {
    uint64_t word[WORDS];
    memcpy(word, from, sizeof word);
    canonical(word);
    return find(word, hash_of(word));
}

/* The state's words, and its parent, from which it was found first (NONE: it is the first state). */
void explorer_state(uint32_t index, uint64_t *words, uint32_t *parent) {
    memcpy(words, state(index), sizeof(uint64_t) * WORDS);
    *parent = run.parent[index];
}

bool explorer_reaches(uint32_t index, uint32_t goal) {
    return run.reached[index] >> goal & 1;
}

/* The first state that does not reach a goal, or NONE. */
uint32_t explorer_unreached(uint32_t goal) {
    for (uint32_t i = 0; i < run.count; i++)
        if (!explorer_reaches(i, goal))
            return i;
    return NONE;
}

/* Give everything back. */
void explorer_close(void) {
    if (!run.jobs)
        return; /* it was never opened */
    uint64_t most = run.most_states;
    const struct {
        void *array;
        uint64_t bytes;
    } held[] = {
        {run.states, most * sizeof(uint64_t) * WORDS},   {run.parent, most * sizeof *run.parent},
        {run.reached, most * sizeof *run.reached},       {run.table, table_bytes(run.slots)},
        {run.edges, run.edges_room * sizeof *run.edges}, {run.edges_at, chunks_of_states() * sizeof *run.edges_at},
    };
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
        if (held[i].array)
            munmap(held[i].array, held[i].bytes);
    for (uint32_t p = 0; p < run.jobs; p++) {
        Worker *w = &run.worker[p];
        if (w->candidates)
            munmap(w->candidates, run.stride * sizeof *w->candidates);
        for (uint32_t o = 0; o < run.jobs; o++)
            if (w->own[o])
                munmap(w->own[o], own_bytes());
    }
    memset(&run, 0, sizeof run);
}
