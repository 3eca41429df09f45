/*
 * timeshim: a virtual clock for an unmodified qemu-system-arm, put in front of it with LD_PRELOAD.
 *
 * What it does
 *   Time. CLOCK_MONOTONIC, from which QEMU derives the guest's clock, stands still. It moves only when the harness says
 *   so, from one QEMU timer to the next; what the guest computes costs no virtual time.
 *   Turns. QEMU's main loop (device input, timers) and its vCPU thread (guest code) never run at the same time: the
 *   main loop works only while the vCPU is parked, that is, waits in its halt condition variable because the guest
 *   sleeps (WFI). Input thus reaches the guest only while it sleeps, in chunks that depend on nothing but the bytes:
 *   runs are repeatable.
 *   Speed. QEMU reads one byte from a UART's socket, and writes one, per system call, and wakes the guest for each. The
 *   shim reads and writes in blocks, and wakes the guest when the UART's FIFO takes no more or no more is there.
 *
 * Quiescent: the vCPU is parked, no file descriptor that QEMU wants is ready, and QEMU has recomputed its next timer
 * since.
 *
 * Protocol on the control socket (native byte order; both ends run on one machine)
 *   harness -> shim   uint64 ns                                advance by ns and settle; 0 settles only
 *                     uint64 COMMAND_ANEW, address, size;      before a warm boot: time is 0 again, input that nobody
 *                     size bytes                               has read is gone, the bytes lie at this host address
 *   shim -> harness   uint64 kind, now, deadline, busy (ns)    kind REPORT_QUIESCENT, REPORT_BUSY or REPORT_ANEW;
 *                                                              deadline NEVER if no timer runs; busy: CPU time since
 *                                                              the last event
 * A hang-up of the control socket ends QEMU.
 *
 * Environment
 *   SCEWL_SHIM_CONTROL       file descriptor of the control socket; without it the shim does nothing
 *   SCEWL_SHIM_STREAMS       comma-separated file descriptors of the UARTs' and the debug channel's sockets
 *   SCEWL_SHIM_BUSY_LIMIT    ns of the vCPU's own CPU time without a park after which a command is answered with
 *                            REPORT_BUSY
 *   SCEWL_SHIM_BUSY_IS_IDLE  for firmware that polls instead of sleeping: ns of the vCPU's own CPU time since the last
 *                            event after which it counts as parked; 0 (default) for never. Such runs are not
 *                            repeatable.
 *
 * QEMU must name its threads (-name x,debug-threads=on) and have one vCPU.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NEVER UINT64_MAX
#define SECOND UINT64_C(1000000000)
#define CLOCK_START (1000 * SECOND) /* any constant; 0 would look unset to QEMU */
#define WATCH_PERIOD_NS 5000000     /* how often the main loop looks at a vCPU that does not park */
#define MAX_STREAMS 4
#define MAX_EVENTFD 256
#define INPUT_BLOCK 4096
#define OUTPUT_BLOCK 256 /* small enough that another VM can work on a frame while this one still writes it */

enum { REPORT_QUIESCENT = 1, REPORT_BUSY = 2, REPORT_ANEW = 3 };
#define COMMAND_ANEW UINT64_MAX

struct stream {
    int fd;
    size_t in_start, in_end; /* unread bytes of `in`; touched by the main thread only */
    size_t out_size;         /* bytes in `out`; under output_lock */
    uint8_t in[INPUT_BLOCK];
    uint8_t out[OUTPUT_BLOCK];
};

static struct {
    int (*clock_gettime)(clockid_t, struct timespec *);
    int (*ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    int (*cond_wait)(pthread_cond_t *, pthread_mutex_t *);
    int (*cond_broadcast)(pthread_cond_t *);
    ssize_t (*recvmsg)(int, struct msghdr *, int);
    ssize_t (*sendmsg)(int, const struct msghdr *, int);
    void (*abort)(void);
} real;

static int control_fd = -1;
static struct stream streams[MAX_STREAMS];
static int stream_count;
static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;

static pthread_t main_thread, vcpu_thread;
static atomic_bool vcpu_known;
static pthread_cond_t *_Atomic halt_cond;
static atomic_uint vcpu_parked; /* 0 or 1; a futex, on which the main thread waits */

static atomic_bool main_waits;

static _Atomic enum { NOT_AN_EVENTFD, READ, WRITTEN } event_state[MAX_EVENTFD];

static _Atomic uint64_t now_ns;
/* The rest belongs to the main thread. */
static bool kick_held;       /* QEMU wants the vCPU awake; we wait until its FIFOs are full */
static bool settled;         /* nothing happened since QEMU last recomputed its timers */
static bool command_pending; /* a settle or an advance is to be answered */
static bool busy_reported;
static uint64_t budget_ns; /* what is left of the advance */
static uint64_t busy_limit_ns, busy_is_idle_ns;
static uint64_t busy_since_ns; /* the vCPU's CPU time at the last event */

static const struct timespec at_once = {0, 0};

/* ---- set-up ---- */

static uint64_t environment_number(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Also before `start`: another library's set-up may come first. */
static void find_real(void) {
    if (real.ppoll)
        return;
    /* ISO C has no conversion from object to function pointer; POSIX defines this one. */
    *(void **)&real.clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    *(void **)&real.cond_wait = dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2");
    *(void **)&real.cond_broadcast = dlvsym(RTLD_NEXT, "pthread_cond_broadcast", "GLIBC_2.3.2");
    /* Only x86-64 has older versions of these two, which dlsym might return, and this name for the newer. */
    if (!real.cond_wait)
        *(void **)&real.cond_wait = dlsym(RTLD_NEXT, "pthread_cond_wait");
    if (!real.cond_broadcast)
        *(void **)&real.cond_broadcast = dlsym(RTLD_NEXT, "pthread_cond_broadcast");
    *(void **)&real.recvmsg = dlsym(RTLD_NEXT, "recvmsg");
    *(void **)&real.sendmsg = dlsym(RTLD_NEXT, "sendmsg");
    *(void **)&real.abort = dlsym(RTLD_NEXT, "abort");
    *(void **)&real.ppoll = dlsym(RTLD_NEXT, "ppoll");
}

__attribute__((constructor)) static void start(void) {
    find_real();
    const char *control = getenv("SCEWL_SHIM_CONTROL");
    if (!control)
        return;
    unsetenv("LD_PRELOAD");
    main_thread = pthread_self();
    busy_limit_ns = environment_number("SCEWL_SHIM_BUSY_LIMIT", 5 * SECOND);
    busy_is_idle_ns = environment_number("SCEWL_SHIM_BUSY_IS_IDLE", 0);
    char *list = getenv("SCEWL_SHIM_STREAMS");
    for (char *item = list; item && *item && stream_count < MAX_STREAMS; item += *item == ',')
        streams[stream_count++].fd = (int)strtol(item, &item, 10);
    control_fd = (int)strtol(control, NULL, 10);
}

static struct stream *find_stream(int fd) {
    for (int i = 0; i < stream_count; i++)
        if (streams[i].fd == fd)
            return &streams[i];
    return NULL;
}

static bool on_main_thread(void) {
    return pthread_equal(pthread_self(), main_thread);
}

static bool on_vcpu_thread(void) {
    static _Thread_local enum { UNKNOWN, VCPU, OTHER } role;
    if (role == UNKNOWN) {
        char name[16] = "";
        pthread_getname_np(pthread_self(), name, sizeof name);
        role = strncmp(name, "CPU ", 4) == 0 ? VCPU : OTHER;
        if (role == VCPU) {
            vcpu_thread = pthread_self();
            vcpu_known = true;
        }
    }
    return role == VCPU;
}

/* CPU time that the vCPU thread has used, ns. */
static uint64_t vcpu_cpu_ns(void) {
    clockid_t clock;
    struct timespec t;
    if (!vcpu_known || pthread_getcpuclockid(vcpu_thread, &clock) || real.clock_gettime(clock, &t))
        return 0;
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* ---- output: in blocks; flushed when the guest sleeps, when a block is full, and before the end ---- */

static void flush_stream(struct stream *s) {
    for (size_t done = 0; done < s->out_size;) {
        ssize_t n = send(s->fd, s->out + done, s->out_size - done, MSG_NOSIGNAL);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            struct pollfd wait = {s->fd, POLLOUT, 0};
            real.ppoll(&wait, 1, NULL, NULL); /* ends when the harness reads or hangs up */
        } else {
            break; /* hung up: nobody wants the rest */
        }
    }
    s->out_size = 0;
}

static void flush_all(void) {
    pthread_mutex_lock(&output_lock);
    for (int i = 0; i < stream_count; i++)
        flush_stream(&streams[i]);
    pthread_mutex_unlock(&output_lock);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    struct stream *s = control_fd < 0 ? NULL : find_stream(fd);
    find_real();
    if (!s)
        return real.sendmsg(fd, message, flags);
    size_t total = 0;
    pthread_mutex_lock(&output_lock);
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const uint8_t *from = message->msg_iov[i].iov_base;
        for (size_t left = message->msg_iov[i].iov_len; left > 0;) {
            size_t room = OUTPUT_BLOCK - s->out_size;
            size_t size = left < room ? left : room;
            memcpy(s->out + s->out_size, from, size);
            s->out_size += size;
            from += size;
            left -= size;
            total += size;
            if (s->out_size == OUTPUT_BLOCK)
                flush_stream(s);
        }
    }
    pthread_mutex_unlock(&output_lock);
    if (on_main_thread())
        flush_all(); /* no park will follow */
    return (ssize_t)total;
}

__attribute__((destructor)) static void finish(void) {
    if (control_fd >= 0)
        flush_all();
}

void abort(void) {
    if (control_fd >= 0)
        flush_all();
    find_real();
    real.abort();
    __builtin_unreachable();
}

/* ---- input: read in blocks, handed to QEMU byte by byte without system calls ---- */

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    struct stream *s = control_fd < 0 || !on_main_thread() ? NULL : find_stream(fd);
    find_real();
    if (!s)
        return real.recvmsg(fd, message, flags);
    if (s->in_start == s->in_end) {
        ssize_t n = recv(fd, s->in, INPUT_BLOCK, MSG_DONTWAIT);
        if (n < 0)
            return n;
        s->in_start = 0;
        s->in_end = (size_t)n;
    }
    size_t total = 0;
    for (size_t i = 0; i < message->msg_iovlen && s->in_start < s->in_end; i++) {
        size_t size = s->in_end - s->in_start;
        if (size > message->msg_iov[i].iov_len)
            size = message->msg_iov[i].iov_len;
        memcpy(message->msg_iov[i].iov_base, s->in + s->in_start, size);
        s->in_start += size;
        total += size;
    }
    message->msg_controllen = 0;
    message->msg_flags = 0;
    return (ssize_t)total;
}

/* Mark as readable what QEMU wants to read and we hold. Returns the number of descriptors marked. */
static int offer_input(struct pollfd *fds, nfds_t count) {
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        struct stream *s = (fds[i].events & POLLIN) ? find_stream(fds[i].fd) : NULL;
        fds[i].revents = s && s->in_start < s->in_end ? POLLIN : 0;
        ready += fds[i].revents != 0;
    }
    return ready;
}

static bool input_held(void) {
    for (int i = 0; i < stream_count; i++)
        if (streams[i].in_start < streams[i].in_end)
            return true;
    return false;
}

/* ---- wake-ups: GLib and QEMU write to eventfds five times per byte; once until the next read does as well ---- */

static bool is_eventfd(int fd) {
    return fd >= 0 && fd < MAX_EVENTFD && event_state[fd] != NOT_AN_EVENTFD;
}

int eventfd(unsigned initial, int flags) {
    int fd = (int)syscall(SYS_eventfd2, initial, flags);
    if (control_fd >= 0 && fd >= 0 && fd < MAX_EVENTFD && !(flags & EFD_SEMAPHORE))
        event_state[fd] = initial ? WRITTEN : READ;
    return fd;
}

ssize_t write(int fd, const void *data, size_t size) {
    if (is_eventfd(fd) && atomic_exchange(&event_state[fd], WRITTEN) == WRITTEN)
        return (ssize_t)size;
    return syscall(SYS_write, fd, data, size);
}

/* The reader looks at what it was woken for only after the read, so what is written before that is not lost. */
ssize_t read(int fd, void *data, size_t size) {
    ssize_t n = syscall(SYS_read, fd, data, size);
    if (is_eventfd(fd))
        event_state[fd] = READ;
    return n;
}

int close(int fd) {
    if (is_eventfd(fd))
        event_state[fd] = NOT_AN_EVENTFD;
    return (int)syscall(SYS_close, fd);
}

/* ---- the vCPU's turns ---- */

int pthread_cond_broadcast(pthread_cond_t *cond) {
    if (control_fd >= 0 && cond == halt_cond) {
        if (vcpu_parked && on_main_thread()) {
            kick_held = true; /* ppoll releases it */
            return 0;
        }
        vcpu_parked = 0;
    }
    find_real();
    return real.cond_broadcast(cond);
}

static void release_kick(void) {
    kick_held = false;
    settled = false;
    busy_since_ns = vcpu_cpu_ns();
    vcpu_parked = 0;
    real.cond_broadcast(halt_cond);
}

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex) {
    find_real();
    if (control_fd < 0)
        return real.cond_wait(cond, mutex);
    if (on_main_thread() && kick_held)
        release_kick(); /* QEMU's main thread is about to wait for the vCPU */
    if (!on_vcpu_thread())
        return real.cond_wait(cond, mutex);
    if (!halt_cond)
        halt_cond = cond; /* the first thing a vCPU thread waits for is the start of the machine */
    if (cond != halt_cond)
        return real.cond_wait(cond, mutex);
    flush_all();
    vcpu_parked = 1;
    if (main_waits)
        syscall(SYS_futex, &vcpu_parked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    int result = real.cond_wait(cond, mutex);
    vcpu_parked = 0;
    return result;
}

static bool vcpu_idle(void) {
    return vcpu_parked || (busy_is_idle_ns && vcpu_cpu_ns() - busy_since_ns >= busy_is_idle_ns);
}

/* ---- the control socket ---- */

static void report(uint64_t kind, uint64_t wait_ns) {
    uint64_t now = now_ns;
    uint64_t fields[4] = {kind, now, wait_ns == NEVER ? NEVER : now + wait_ns, vcpu_cpu_ns() - busy_since_ns};
    if (kind == REPORT_QUIESCENT)
        command_pending = false;
    if (send(control_fd, fields, sizeof fields, MSG_NOSIGNAL) != sizeof fields)
        _exit(0);
}

static void receive(void *into, size_t size) {
    if (size && recv(control_fd, into, size, MSG_WAITALL) != (ssize_t)size)
        _exit(0);
}

/* What a machine that was never used before has: no time behind it, and no input before it. */
static void begin_anew(void) {
    uint64_t place[2];
    receive(place, sizeof place);
    receive((void *)(uintptr_t)place[0], place[1]);
    for (int i = 0; i < stream_count; i++) {
        streams[i].in_start = streams[i].in_end = 0;
        while (recv(streams[i].fd, streams[i].in, INPUT_BLOCK, MSG_DONTWAIT) > 0)
            ;
    }
    now_ns = 0;
    budget_ns = 0;
    report(REPORT_ANEW, NEVER);
}

static void read_command(void) {
    receive(&budget_ns, sizeof budget_ns);
    settled = false; /* what the harness wrote to the UARTs before may not have been seen yet */
    busy_since_ns = vcpu_cpu_ns();
    if (budget_ns == COMMAND_ANEW) {
        begin_anew();
        return;
    }
    command_pending = true;
    busy_reported = false;
}

/* Carry on with the pending command; QEMU's next timer is wait_ns away. Returns whether that timer must run first. */
static bool advance(uint64_t wait_ns) {
    if (budget_ns > 0 && wait_ns <= budget_ns) {
        now_ns += wait_ns;
        budget_ns -= wait_ns;
        settled = false;
        busy_since_ns = vcpu_cpu_ns();
        return true;
    }
    now_ns += budget_ns;
    if (wait_ns != NEVER)
        wait_ns -= budget_ns;
    budget_ns = 0;
    report(REPORT_QUIESCENT, wait_ns);
    return false;
}

/* ---- what QEMU calls ---- */

int clock_gettime(clockid_t clock, struct timespec *t) {
    find_real();
    if (control_fd < 0 || clock != CLOCK_MONOTONIC)
        return real.clock_gettime(clock, t);
    uint64_t ns = CLOCK_START + now_ns;
    t->tv_sec = (time_t)(ns / SECOND);
    t->tv_nsec = (long)(ns % SECOND);
    return 0;
}

/* Sleep until the vCPU parks, at most `ns`, less than a second. */
static void wait_for_park(uint64_t ns) {
    struct timespec limit = {0, (long)ns};
    main_waits = true;
    syscall(SYS_futex, &vcpu_parked, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0);
    main_waits = false;
}

/* Wait until the vCPU is idle. Returns the number of ready descriptors if firmware that polls needs input first. */
static int wait_for_vcpu(struct pollfd *fds, nfds_t count) {
    while (!vcpu_idle()) {
        if (busy_is_idle_ns) {
            int ready = offer_input(fds, count);
            if (!ready)
                ready = real.ppoll(fds, count, &at_once, NULL);
            if (ready) {
                busy_since_ns = vcpu_cpu_ns();
                return ready;
            }
        }
        wait_for_park(busy_is_idle_ns && busy_is_idle_ns < WATCH_PERIOD_NS ? busy_is_idle_ns : WATCH_PERIOD_NS);
        if (vcpu_parked)
            break;
        flush_all();
        struct pollfd wait = {control_fd, POLLIN, 0};
        if (real.ppoll(&wait, 1, &at_once, NULL) > 0)
            read_command();
        if (command_pending && !busy_reported && vcpu_cpu_ns() - busy_since_ns > busy_limit_ns) {
            busy_reported = true;
            report(REPORT_BUSY, NEVER);
        }
    }
    return 0;
}

/* QEMU's main loop sleeps here: the whole of the shim's scheduling. */
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    find_real();
    if (control_fd < 0 || !on_main_thread())
        return real.ppoll(fds, count, timeout, mask);
    uint64_t wait_ns = timeout ? (uint64_t)timeout->tv_sec * SECOND + (uint64_t)timeout->tv_nsec : NEVER;
    for (;;) {
        int ready = vcpu_idle() ? offer_input(fds, count) : 0;
        if (ready) {
            if (!vcpu_parked)
                busy_since_ns = vcpu_cpu_ns();
            return ready;
        }
        if (kick_held)
            release_kick();
        if (!vcpu_idle()) {
            ready = wait_for_vcpu(fds, count);
            settled = false;
            if (ready || input_held())
                return ready; /* QEMU may read on */
        }
        ready = real.ppoll(fds, count, &at_once, mask);
        if (ready) {
            settled = false;
            return ready;
        }
        if (!settled) { /* QEMU computed wait_ns before the guest's last turn: let it compute again */
            settled = true;
            return 0;
        }
        if (wait_ns == 0)
            return 0;
        if (command_pending) {
            if (advance(wait_ns))
                return 0;
        }
        struct pollfd wait[count + 1];
        memcpy(wait, fds, count * sizeof *fds);
        wait[count] = (struct pollfd){control_fd, POLLIN, 0};
        ready = real.ppoll(wait, count + 1, NULL, mask);
        if (ready < 0)
            return ready;
        if (wait[count].revents)
            read_command();
    }
}
