/* Backwards: from which states a goal can be reached, or must be, as the least fixed point of sweeps over all states.
 * A goal's bit in `reached` is set at first where it holds; then where it is set for one (POSSIBLE) or for all
 * (EVENTUAL) of the states that a state leads to, itself left out.
 */
static uint32_t chunks_of_states(void) {
    return (run.count + share_of_batch() - 1) / share_of_batch();
}

static inline Goals reached(uint32_t index) {
    return __atomic_load_n(&run.reached[index], __ATOMIC_RELAXED);
}

/* What a state's successors, candidates of which `any` and `all` were gathered, say of it. */
static void conclude(uint32_t index, Goals any, Goals all) {
    Goals old = reached(index), new = old | (any & POSSIBLE) | (all & EVENTUAL);
    if (new != old) {
        __atomic_store_n(&run.reached[index], new, __ATOMIC_RELAXED);
        atomic_store_explicit(&run.changed, true, memory_order_relaxed);
    }
}

/* Which states a chunk's states lead to: n + 1 positions and then the indices, those of state i from position i to
 * position i + 1. Left out are states of which all is known. Kept for the next sweep if memory allows. */
static const uint32_t *edges_of(Worker *w, uint32_t chunk, uint32_t from, uint32_t n) {
    if (run.edges_at[chunk])
        return run.edges + run.edges_at[chunk];
    uint32_t *block = w->own[0];
    const Candidate *all = w->next = w->candidates;
    for (uint32_t i = 0; i < n; i++) {
        block[i] = (uint32_t)(w->next - all);
        if (reached(from + i) != (POSSIBLE | EVENTUAL))
            expand_into(w, from + i);
    }
    block[n] = (uint32_t)(w->next - all);
    for (uint32_t i = 0; i < block[n] + AHEAD; i++) {
        if (i < block[n])
            __builtin_prefetch(&run.table[slot_of(all[i].hash, owner_of(all[i].hash))]);
        if (i >= AHEAD)
            block[n + 1 + i - AHEAD] = find(all[i - AHEAD].word, all[i - AHEAD].hash);
    }
    uint64_t size = n + 1 + block[n], at = atomic_fetch_add(&run.edges_used, size);
    if (at + size > run.edges_room)
        return block;
    run.edges_at[chunk] = at;
    return memcpy(run.edges + at, block, size * sizeof *block);
}

static void sweep_share(Worker *w, uint32_t chunk) {
    uint32_t share = share_of_batch(), from = chunk * share;
    uint32_t n = run.count - from < share ? run.count - from : share;
    const uint32_t *position = edges_of(w, chunk, from, n), *edges = position + n + 1;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = run.upwards ? k : n - 1 - k;
        if (reached(from + i) == (POSSIBLE | EVENTUAL) || position[i] == position[i + 1])
            continue;
        Goals any = 0, all = POSSIBLE | EVENTUAL;
        for (uint32_t e = position[i]; e < position[i + 1]; e++) {
            Goals there = reached(edges[e]);
            any |= there;
            all &= there;
        }
        conclude(from + i, any, all);
    }
}

typedef struct {
    Worker *worker;
    double end;
} Sweep;

static void *sweep(void *argument) {
    Sweep *s = argument;
    uint32_t chunks = chunks_of_states();
    do {
        uint32_t chunk = atomic_fetch_add(&run.chunk, 1);
        if (chunk >= chunks)
            break;
        sweep_share(s->worker, run.upwards ? chunk : chunks - 1 - chunk);
    } while (now() < s->end);
    return NULL;
}

/* Edges get the memory that the search left. */
static bool reserve_edges(void) {
    uint64_t used = memory_used() + chunks_of_states() * sizeof *run.edges_at;
    run.edges_at = reserve(chunks_of_states() * sizeof *run.edges_at);
    atomic_store(&run.edges_used, 1); /* position 0 means that a chunk has none */
    if (used + 65536 < run.memory && (run.edges = reserve(run.memory - used)) != NULL)
        run.edges_room = (run.memory - used) / sizeof *run.edges;
    return run.edges_at;
}

/* Go on with the sweeps for some seconds. DONE: the last one changed nothing. */
int explorer_sweep(double seconds) {
    Sweep sweeps[MOST_WORKERS];
    pthread_t thread[MOST_WORKERS];
    double end = now() + seconds;
    if (!run.edges_at && !reserve_edges())
        return FAILED;
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
                break; /* fewer do as well */
        sweep(&sweeps[0]);
        while (--started)
            pthread_join(thread[started], NULL);
        if (atomic_load(&run.chunk) < chunks_of_states())
            return MORE;
        run.sweeping = false;
        run.upwards = !run.upwards;
        if (!atomic_load(&run.changed))
            return DONE;
    } while (now() < end);
    return MORE;
}
