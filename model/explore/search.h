/* Breadth-first search, in batches: (1) each worker expands its share of the batch's states into candidates; (2) each
 * worker looks up, in order, the candidates whose hash makes them its own, in its own part of the table; (3) what is
 * new gets its index in the order of parents and of actions. So indices do not depend on the number of workers.
 */
static void expand_into(Worker *w, uint32_t index) {
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

static void look_at(Worker *w, uint32_t index) {
    w->goals = 0;
    look(state(index), index, w);
    if (GOALS)
        run.reached[index] = w->goals;
}

static void produce(uint32_t p) {
    Worker *w = &run.worker[p];
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

/* Where an entry's state lies: in the array, or still among the candidates of this batch. */
static inline const uint64_t *found_at(uint32_t entry) {
    uint64_t index = (entry & run.index_mask) - 1;
    if (index < run.count)
        return state(index);
    index -= run.count;
    return run.worker[index / run.stride].candidates[index % run.stride].word;
}

static void insert(uint32_t owner, Worker *producer, uint32_t which) {
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

static void look_up(uint32_t owner) {
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

static void number(uint32_t p) {
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
        run.table[c->hash] = (run.table[c->hash] & ~run.index_mask) | (uint32_t)(index + 1);
        index++;
    }
}

static void wait_for_all(void) {
    uint32_t phase = atomic_load(&run.phase);
    if (atomic_fetch_add(&run.arrived, 1) + 1 == run.jobs) {
        atomic_store(&run.arrived, 0);
        atomic_store(&run.phase, phase + 1);
        syscall(SYS_futex, &run.phase, FUTEX_WAKE_PRIVATE, MOST_WORKERS, NULL, NULL, 0);
        return;
    }
    for (int i = 0; i < SPINS && atomic_load(&run.phase) == phase; i++)
        continue;
    while (atomic_load(&run.phase) == phase)
        syscall(SYS_futex, &run.phase, FUTEX_WAIT_PRIVATE, phase, NULL, NULL, 0);
}

static void *assist(void *worker) {
    uint32_t me = (uint32_t)((Worker *)worker - run.worker);
    for (;;) {
        wait_for_all();
        if (run.stop)
            return NULL;
        produce(me);
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
static int make_room(void) {
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

/* The first worker's part of one phase, or all parts if it is alone. */
static void together(bool alone, void (*part)(uint32_t)) {
    for (uint32_t p = 0; p < (alone ? run.jobs : 1); p++)
        part(p);
    if (!alone)
        wait_for_all();
}

static int batch(bool alone) {
    uint32_t n = run.level_end - run.next;
    n = n < BATCH ? n : BATCH;
    for (uint32_t p = 0; p < run.jobs; p++) {
        run.worker[p].from = run.next + (uint32_t)((uint64_t)n * p / run.jobs);
        run.worker[p].to = run.next + (uint32_t)((uint64_t)n * (p + 1) / run.jobs);
    }
    if (!alone)
        wait_for_all();
    together(alone, produce);
    int status = make_room();
    run.stop = status != MORE;
    if (!alone)
        wait_for_all();
    if (run.stop)
        return status;
    together(alone, look_up);
    together(alone, number);
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

/* Go on for some seconds. FULL: memory does not suffice, but all states that were found have been looked at. */
int explorer_search(double seconds) {
    double end = now() + seconds;
    pthread_t thread[MOST_WORKERS];
    uint32_t started = 1;
    bool waiting = false;
    int status = run.full ? FULL : MORE;
    run.stop = false;
    while (status == MORE) {
        bool alone = run.jobs == 1 || run.level_end - run.next < FEW;
        for (; !alone && started < run.jobs; started++)
            if (pthread_create(&thread[started], NULL, assist, &run.worker[started])) {
                atomic_fetch_add(&run.arrived, run.jobs - started); /* for those that do not exist */
                status = FAILED;
                break;
            }
        waiting = started > 1;
        if (status == FAILED)
            break;
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
