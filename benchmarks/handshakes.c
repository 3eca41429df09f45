/**
 * DTLS handshakes in memory, both ends in one process, on the Mbed TLS library that python-mbedtls brings along: what
 * benchmarks/handshakes.py compares the reference with.
 *
 *     handshakes FOLDER SUITE     FOLDER holds ca.der, client.der, client.key.der, server.der, server.key.der
 *
 * Each line on its standard input is a number of handshakes to carry out; each line on its standard output is the
 * processor time and the wall time that they took, in nanoseconds. It is what a program in C would do: credentials and
 * configurations are parsed and made once, contexts are reset and used again. Whatever decides what is computed is as
 * in reference/dtls.py: cookies, both certificates with their names, P-256, one suite, one generator for each end.
 *
 * The wheel has the libraries but no headers, so what is needed of version 2.28's is declared here.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WANT_READ (-0x6900)
#define HELLO_VERIFY_REQUIRED (-0x6A80)
#define IS_CLIENT 0
#define IS_SERVER 1
#define TRANSPORT_DATAGRAM 1
#define PRESET_DEFAULT 0
#define VERIFY_REQUIRED 2
#define VERSION_3 3
#define MD_SHA256 6
#define MD_SHA384 7
#define ECP_DP_SECP256R1 3

#define MTU 1000
#define FIRST_TIMEOUT 7000
#define LAST_TIMEOUT 60000
#define COOKIE_SIZE 32
#define DATAGRAMS 16
#define DATAGRAM_SIZE 2048
#define DER_SIZE 4096

/* As reference/mbedtls_c.py: memory for any opaque structure; it checks when it is imported that so much is enough. */
typedef union {
    uint64_t words[512];
} room;

typedef int random_function(void *, unsigned char *, size_t);
typedef int send_function(void *, const unsigned char *, size_t);
typedef int receive_function(void *, unsigned char *, size_t);
typedef int cookie_write_function(void *, unsigned char **, unsigned char *, const unsigned char *, size_t);
typedef int cookie_check_function(void *, const unsigned char *, size_t, const unsigned char *, size_t);

unsigned int mbedtls_version_get_number(void);
const void *mbedtls_md_info_from_type(int type);
int mbedtls_md_hmac(const void *info, const unsigned char *key, size_t key_size, const unsigned char *data, size_t size,
                    unsigned char *out);
void mbedtls_hmac_drbg_init(room *context);
int mbedtls_hmac_drbg_seed_buf(room *context, const void *info, const unsigned char *data, size_t size);
int mbedtls_hmac_drbg_random(void *context, unsigned char *out, size_t size);
void mbedtls_pk_init(room *key);
int mbedtls_pk_parse_key(room *key, const unsigned char *der, size_t size, const unsigned char *password,
                         size_t password_size);
void mbedtls_x509_crt_init(room *chain);
int mbedtls_x509_crt_parse_der(room *chain, const unsigned char *der, size_t size);
void mbedtls_ssl_config_init(room *conf);
int mbedtls_ssl_config_defaults(room *conf, int endpoint, int transport, int preset);
void mbedtls_ssl_conf_min_version(room *conf, int major, int minor);
void mbedtls_ssl_conf_max_version(room *conf, int major, int minor);
void mbedtls_ssl_conf_ciphersuites(room *conf, const int *suites);
void mbedtls_ssl_conf_curves(room *conf, const int *curves);
void mbedtls_ssl_conf_sig_hashes(room *conf, const int *hashes);
void mbedtls_ssl_conf_authmode(room *conf, int mode);
void mbedtls_ssl_conf_rng(room *conf, random_function *random, void *context);
void mbedtls_ssl_conf_ca_chain(room *conf, room *chain, void *crl);
int mbedtls_ssl_conf_own_cert(room *conf, room *chain, room *key);
void mbedtls_ssl_conf_handshake_timeout(room *conf, uint32_t first, uint32_t last);
void mbedtls_ssl_conf_dtls_anti_replay(room *conf, char mode);
void mbedtls_ssl_conf_dtls_cookies(room *conf, cookie_write_function *write, cookie_check_function *check,
                                   void *context);
void mbedtls_ssl_conf_renegotiation(room *conf, int mode);
void mbedtls_ssl_conf_session_tickets(room *conf, int mode);
void mbedtls_ssl_conf_encrypt_then_mac(room *conf, char mode);
void mbedtls_ssl_init(room *ssl);
int mbedtls_ssl_setup(room *ssl, const room *conf);
int mbedtls_ssl_session_reset(room *ssl);
int mbedtls_ssl_set_hostname(room *ssl, const char *name);
void mbedtls_ssl_set_mtu(room *ssl, uint16_t mtu);
void mbedtls_ssl_set_bio(room *ssl, void *context, send_function *send, receive_function *receive, void *blocking);
void mbedtls_ssl_set_timer_cb(room *ssl, void *context, void (*set)(void *, uint32_t, uint32_t), int (*get)(void *));
int mbedtls_ssl_set_client_transport_id(room *ssl, const unsigned char *id, size_t size);
int mbedtls_ssl_handshake(room *ssl);

struct datagram {
    size_t size;
    unsigned char data[DATAGRAM_SIZE];
};

/* The datagrams on their way to one end. */
struct inbox {
    size_t first, count;
    struct datagram datagrams[DATAGRAMS];
};

struct end {
    room ssl, conf, ca, certificate, key, drbg;
    struct inbox inbox;
    struct end *peer;
};

static struct end client, server;
static unsigned char cookie_key[COOKIE_SIZE];
static const unsigned char client_id[] = {'3'};

static void check(int result, const char *what) {
    if (result != 0) {
        fprintf(stderr, "%s: %s0x%04x\n", what, result < 0 ? "-" : "", (unsigned)abs(result));
        exit(1);
    }
}

static int send_datagram(void *context, const unsigned char *data, size_t size) {
    struct inbox *to = &((struct end *)context)->peer->inbox;
    if (to->count == DATAGRAMS || size > DATAGRAM_SIZE) {
        check(1, "a flight that does not fit the inbox");
    }
    struct datagram *slot = &to->datagrams[(to->first + to->count++) % DATAGRAMS];
    slot->size = size;
    memcpy(slot->data, data, size);
    return (int)size;
}

static int receive_datagram(void *context, unsigned char *data, size_t size) {
    struct inbox *from = &((struct end *)context)->inbox;
    if (from->count == 0 || from->datagrams[from->first].size > size) {
        return WANT_READ;
    }
    const struct datagram *slot = &from->datagrams[from->first];
    memcpy(data, slot->data, slot->size);
    from->first = (from->first + 1) % DATAGRAMS;
    from->count--;
    return (int)slot->size;
}

/* Nothing is lost in memory, so that no timer ever fires. */
static void set_timer(void *context, uint32_t intermediate, uint32_t final) {
    (void)context;
    (void)intermediate;
    (void) final;
}

static int get_timer(void *context) {
    (void)context;
    return 0;
}

static void make_cookie(const unsigned char *id, size_t size, unsigned char *out) {
    check(mbedtls_md_hmac(mbedtls_md_info_from_type(MD_SHA256), cookie_key, COOKIE_SIZE, id, size, out), "cookie");
}

static int write_cookie(void *context, unsigned char **at, unsigned char *end, const unsigned char *id, size_t size) {
    (void)context;
    if (end - *at < COOKIE_SIZE) {
        return -1;
    }
    make_cookie(id, size, *at);
    *at += COOKIE_SIZE;
    return 0;
}

static int check_cookie(void *context, const unsigned char *cookie, size_t cookie_size, const unsigned char *id,
                        size_t size) {
    (void)context;
    unsigned char expected[COOKIE_SIZE];
    make_cookie(id, size, expected);
    unsigned char difference = cookie_size != COOKIE_SIZE;
    for (size_t at = 0; at < COOKIE_SIZE && at < cookie_size; at++) {
        difference |= cookie[at] ^ expected[at];
    }
    return difference == 0 ? 0 : -1;
}

static size_t load(const char *folder, const char *name, unsigned char *der) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size_t size = fread(der, 1, DER_SIZE, file);
    fclose(file);
    return size;
}

static void load_certificate(room *chain, const char *folder, const char *name) {
    unsigned char der[DER_SIZE];
    size_t size = load(folder, name, der);
    mbedtls_x509_crt_init(chain);
    check(mbedtls_x509_crt_parse_der(chain, der, size), name);
}

static void prepare(struct end *end, int role, const char *folder, const char *certificate, const char *key,
                    const char *peer, const int *suites) {
    static const int curves[] = {ECP_DP_SECP256R1, 0};
    static const int hashes[] = {MD_SHA256, MD_SHA384, 0};
    unsigned char der[DER_SIZE];
    load_certificate(&end->ca, folder, "ca.der");
    load_certificate(&end->certificate, folder, certificate);
    mbedtls_pk_init(&end->key);
    check(mbedtls_pk_parse_key(&end->key, der, load(folder, key, der), NULL, 0), key);
    mbedtls_hmac_drbg_init(&end->drbg);
    check(mbedtls_hmac_drbg_seed_buf(&end->drbg, mbedtls_md_info_from_type(MD_SHA256),
                                     (const unsigned char *)certificate, strlen(certificate)),
          "generator");

    room *conf = &end->conf;
    mbedtls_ssl_config_init(conf);
    check(mbedtls_ssl_config_defaults(conf, role, TRANSPORT_DATAGRAM, PRESET_DEFAULT), "configuration");
    mbedtls_ssl_conf_min_version(conf, VERSION_3, VERSION_3);
    mbedtls_ssl_conf_max_version(conf, VERSION_3, VERSION_3);
    mbedtls_ssl_conf_ciphersuites(conf, suites);
    mbedtls_ssl_conf_curves(conf, curves);
    mbedtls_ssl_conf_sig_hashes(conf, hashes);
    mbedtls_ssl_conf_authmode(conf, VERIFY_REQUIRED);
    mbedtls_ssl_conf_rng(conf, mbedtls_hmac_drbg_random, &end->drbg);
    mbedtls_ssl_conf_ca_chain(conf, &end->ca, NULL);
    mbedtls_ssl_conf_handshake_timeout(conf, FIRST_TIMEOUT, LAST_TIMEOUT);
    mbedtls_ssl_conf_dtls_anti_replay(conf, 1);
    mbedtls_ssl_conf_renegotiation(conf, 0);
    mbedtls_ssl_conf_session_tickets(conf, 0);
    mbedtls_ssl_conf_encrypt_then_mac(conf, 0);
    check(mbedtls_ssl_conf_own_cert(conf, &end->certificate, &end->key), "own certificate");
    if (role == IS_SERVER) {
        mbedtls_ssl_conf_dtls_cookies(conf, write_cookie, check_cookie, NULL);
    }

    mbedtls_ssl_init(&end->ssl);
    check(mbedtls_ssl_setup(&end->ssl, conf), "context");
    check(mbedtls_ssl_set_hostname(&end->ssl, peer), "name");
    mbedtls_ssl_set_mtu(&end->ssl, MTU);
    mbedtls_ssl_set_bio(&end->ssl, end, send_datagram, receive_datagram, NULL);
    mbedtls_ssl_set_timer_cb(&end->ssl, end, set_timer, get_timer);
}

/* Go on as far as it goes; returns whether the handshake is complete. */
static int advance(struct end *end) {
    int result = mbedtls_ssl_handshake(&end->ssl);
    if (result == HELLO_VERIFY_REQUIRED) {
        check(mbedtls_ssl_session_reset(&end->ssl), "reset");
        check(mbedtls_ssl_set_client_transport_id(&end->ssl, client_id, sizeof client_id), "client id");
    } else if (result != WANT_READ) {
        check(result, "handshake");
    }
    return result == 0;
}

static void shake_hands(void) {
    check(mbedtls_ssl_session_reset(&client.ssl), "reset");
    check(mbedtls_ssl_session_reset(&server.ssl), "reset");
    check(mbedtls_ssl_set_client_transport_id(&server.ssl, client_id, sizeof client_id), "client id");
    client.inbox.count = server.inbox.count = 0;
    int client_done = 0, server_done = 0;
    while (!client_done || !server_done) {
        if (!client_done) {
            client_done = advance(&client);
        }
        if (!server_done) {
            server_done = advance(&server);
        }
    }
}

static long long nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 3 || mbedtls_version_get_number() >> 16 != 0x021C) {
        fprintf(stderr, "usage: handshakes FOLDER SUITE, with Mbed TLS 2.28\n");
        return 2;
    }
    const int suites[] = {(int)strtol(argv[2], NULL, 0), 0};
    client.peer = &server;
    server.peer = &client;
    prepare(&client, IS_CLIENT, argv[1], "client.der", "client.key.der", "4", suites);
    prepare(&server, IS_SERVER, argv[1], "server.der", "server.key.der", "3", suites);
    check(mbedtls_hmac_drbg_random(&server.drbg, cookie_key, sizeof cookie_key), "cookie key");

    char line[32];
    while (fgets(line, sizeof line, stdin) != NULL) {
        long count = strtol(line, NULL, 10);
        long long processor = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), wall = nanoseconds(CLOCK_MONOTONIC);
        for (long done = 0; done < count; done++) {
            shake_hands();
        }
        printf("%lld %lld\n", nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - processor, nanoseconds(CLOCK_MONOTONIC) - wall);
        fflush(stdout);
    }
    return 0;
}
