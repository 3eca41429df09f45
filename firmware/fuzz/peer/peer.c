#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* peer_seal makes records by hand */
#include "peer.h"

#define DEPLOYMENT_PEERS
#include "deployment.h"

#include <mbedtls/memory_buffer_alloc.h>
#include <mbedtls/ssl_cookie.h>
#include <ssl_misc.h>
#include <string.h>

#define PENDING 24u
#define MOST_GOT 16385u
#define RECORD 963u
#define RECORD_HEADER 13u

static uint8_t arena[98304] __attribute__((aligned(8)));

/** Provisioning and runtime set. */
static struct {
    mbedtls_x509_crt ca, certificate;
    mbedtls_pk_context key;
} sets[PEER_COUNT][2];

static struct endpoint {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    bool begun, client, established, running, expired;
    const uint8_t *in;
    size_t in_length;
    uint8_t random[32];
    uint8_t got[MOST_GOT];
    size_t have;
    struct {
        uint8_t bytes[PEER_MTU];
        size_t length;
    } pending[PENDING];
    size_t waiting;
} endpoints[PEER_COUNT];

static mbedtls_ssl_cookie_ctx cookies;
static uint64_t chance = 1;

uint16_t peer_id(enum peer who) {
    static const uint16_t ids[] = {DEPLOYMENT_HIGH, DEPLOYMENT_LOW, DEPLOYMENT_STRANGER, 1};
    return ids[who];
}

/** splitmix64: a peer's randomness need only differ from draw to draw. */
static int draw(void *unused, unsigned char *out, size_t length) {
    (void)unused;
    for (size_t i = 0; i < length; i++) {
        chance += 0x9E3779B97F4A7C15u;
        uint64_t z = (chance ^ (chance >> 30)) * 0xBF58476D1CE4E5B9u;
        out[i] = (unsigned char)(z >> 32);
    }
    return 0;
}

static void must(int error) {
    if (error != 0) {
        __builtin_trap();
    }
}

void peer_init(void) {
    mbedtls_memory_buffer_alloc_init(arena, sizeof arena);
    mbedtls_ssl_cookie_init(&cookies);
    must(mbedtls_ssl_cookie_setup(&cookies, draw, NULL));
    mbedtls_ssl_cookie_set_timeout(&cookies, 0);
    for (unsigned who = 0; who < PEER_COUNT; who++) {
        for (unsigned runtime = 0; runtime < 2; runtime++) {
            const struct deployment_set *set = &deployment_sets[who][runtime];
            mbedtls_x509_crt_init(&sets[who][runtime].ca);
            mbedtls_x509_crt_init(&sets[who][runtime].certificate);
            mbedtls_pk_init(&sets[who][runtime].key);
            must(mbedtls_x509_crt_parse_der_nocopy(&sets[who][runtime].ca, set->ca, set->ca_length));
            must(mbedtls_x509_crt_parse_der_nocopy(&sets[who][runtime].certificate, set->certificate,
                                                   set->certificate_length));
            must(mbedtls_pk_parse_key(&sets[who][runtime].key, set->key, set->key_length, NULL, 0, draw, NULL));
        }
    }
}

/* --- what Mbed TLS calls ------------------------------------------------------------------------------------- */

static int send_datagram(void *context, const unsigned char *bytes, size_t length) {
    struct endpoint *end = context;
    if (end->waiting < PENDING && length <= PEER_MTU) {
        memcpy(end->pending[end->waiting].bytes, bytes, length);
        end->pending[end->waiting++].length = length;
    }
    return (int)length;
}

static int receive_datagram(void *context, unsigned char *bytes, size_t room) {
    struct endpoint *end = context;
    if (end->in == NULL || end->in_length > room) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(bytes, end->in, end->in_length);
    end->in = NULL;
    return (int)end->in_length;
}

static void set_timer(void *context, uint32_t intermediate, uint32_t final) {
    struct endpoint *end = context;
    (void)intermediate;
    end->running = final != 0;
    end->expired = false;
}

static int get_timer(void *context) {
    const struct endpoint *end = context;
    return !end->running ? -1 : end->expired ? 2 : 0;
}

/* --- sessions ------------------------------------------------------------------------------------------------ */

static void set_client_id(struct endpoint *end) {
    must(mbedtls_ssl_set_client_transport_id(&end->ssl, (const unsigned char *)"10", 2));
}

static void step(struct endpoint *end) {
    if (!end->begun || end->established) {
        return;
    }
    int error = mbedtls_ssl_handshake(&end->ssl);
    if (error == MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED) {
        must(mbedtls_ssl_session_reset(&end->ssl));
        set_client_id(end);
    } else if (error == 0) {
        end->established = true;
    } else if (error != MBEDTLS_ERR_SSL_WANT_READ) {
        end->begun = false;
        mbedtls_ssl_free(&end->ssl);
        mbedtls_ssl_config_free(&end->config);
    }
}

void peer_start(enum peer who, bool client, bool runtime) {
    static const int suites[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, 0};
    struct endpoint *end = &endpoints[who];
    if (end->begun) {
        mbedtls_ssl_free(&end->ssl);
        mbedtls_ssl_config_free(&end->config);
    }
    memset(end, 0, sizeof *end);
    end->begun = true;
    end->client = client;
    mbedtls_ssl_init(&end->ssl);
    mbedtls_ssl_config_init(&end->config);
    must(mbedtls_ssl_config_defaults(&end->config, client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER,
                                     MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT));
    mbedtls_ssl_conf_ciphersuites(&end->config, suites);
    mbedtls_ssl_conf_rng(&end->config, draw, NULL);
    mbedtls_ssl_conf_authmode(&end->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&end->config, &sets[who][runtime].ca, NULL);
    if (!client) {
        mbedtls_ssl_conf_dtls_cookies(&end->config, mbedtls_ssl_cookie_write, mbedtls_ssl_cookie_check, &cookies);
    }
    must(mbedtls_ssl_conf_own_cert(&end->config, &sets[who][runtime].certificate, &sets[who][runtime].key));
    must(mbedtls_ssl_setup(&end->ssl, &end->config));
    must(mbedtls_ssl_set_hostname(&end->ssl, NULL));
    mbedtls_ssl_set_mtu(&end->ssl, PEER_MTU);
    mbedtls_ssl_set_bio(&end->ssl, end, send_datagram, receive_datagram, NULL);
    mbedtls_ssl_set_timer_cb(&end->ssl, end, set_timer, get_timer);
    if (client) {
        step(end);
    } else {
        set_client_id(end);
    }
}

void peer_receive(enum peer who, const uint8_t *datagram, size_t length, bool runtime) {
    struct endpoint *end = &endpoints[who];
    bool hello = length > RECORD_HEADER + 46 && datagram[0] == 22 && datagram[3] == 0 && datagram[4] == 0 &&
                 datagram[RECORD_HEADER] == 1;
    if (hello && (!end->begun || end->client || memcmp(end->random, datagram + RECORD_HEADER + 14, 32) != 0)) {
        peer_start(who, false, runtime);
        memcpy(end->random, datagram + RECORD_HEADER + 14, 32);
    }
    if (!end->begun) {
        return;
    }
    end->in = datagram;
    end->in_length = length;
    step(end);
    while (end->begun && end->established) {
        int got = mbedtls_ssl_read(&end->ssl, end->got + end->have, MOST_GOT - end->have);
        if (got <= 0) {
            break;
        }
        end->have += (size_t)got;
    }
    end->in = NULL;
}

void peer_timeout(enum peer who) {
    endpoints[who].expired = endpoints[who].running;
    step(&endpoints[who]);
}

bool peer_established(enum peer who) {
    return endpoints[who].begun && endpoints[who].established;
}

bool peer_has_keys(enum peer who) {
    return endpoints[who].begun && endpoints[who].ssl.transform_out != NULL;
}

void peer_write(enum peer who, const uint8_t *bytes, size_t length, bool close) {
    struct endpoint *end = &endpoints[who];
    if (!peer_established(who)) {
        return;
    }
    for (size_t at = 0; at < length; at += RECORD) {
        size_t part = length - at < RECORD ? length - at : RECORD;
        if (mbedtls_ssl_write(&end->ssl, bytes + at, part) != (int)part) {
            return;
        }
    }
    if (close) {
        (void)mbedtls_ssl_close_notify(&end->ssl);
    }
}

size_t peer_seal(enum peer who, uint8_t type, int ahead, const uint8_t *content, size_t length, uint8_t *out) {
    struct endpoint *end = &endpoints[who];
    unsigned char room[PEER_MTU + 128];
    mbedtls_record record;
    if (!peer_has_keys(who) || length > 900) {
        return 0;
    }
    uint64_t number = 0;
    for (unsigned i = 0; i < 6; i++) {
        number = number << 8 | end->ssl.cur_out_ctr[2 + i];
    }
    number += (uint64_t)(int64_t)ahead;
    memset(&record, 0, sizeof record);
    memcpy(record.ctr, end->ssl.cur_out_ctr, 2);
    for (unsigned i = 0; i < 6; i++) {
        record.ctr[2 + i] = (unsigned char)(number >> (40 - 8 * i));
    }
    record.type = type;
    record.ver[0] = 0xFE;
    record.ver[1] = 0xFD;
    record.buf = room;
    record.buf_len = sizeof room;
    record.data_offset = 64;
    record.data_len = length;
    memcpy(room + 64, content, length);
    if (mbedtls_ssl_encrypt_buf(&end->ssl, end->ssl.transform_out, &record, draw, NULL) != 0) {
        return 0;
    }
    if (ahead == 0) {
        (void)memcpy(end->ssl.cur_out_ctr, record.ctr, 8);
        for (unsigned i = 8; i-- > 2 && ++end->ssl.cur_out_ctr[i] == 0;) {
        }
    }
    out[0] = record.type;
    out[1] = 0xFE;
    out[2] = 0xFD;
    memcpy(out + 3, record.ctr, 8);
    out[11] = (uint8_t)(record.data_len >> 8);
    out[12] = (uint8_t)record.data_len;
    memcpy(out + RECORD_HEADER, room + record.data_offset, record.data_len);
    return RECORD_HEADER + record.data_len;
}

size_t peer_got(enum peer who, const uint8_t **bytes) {
    *bytes = endpoints[who].got;
    return endpoints[who].have;
}

/* --- datagrams ----------------------------------------------------------------------------------------------- */

size_t peer_pending(enum peer who) {
    return endpoints[who].waiting;
}

const uint8_t *peer_datagram(enum peer who, size_t index, size_t *length) {
    *length = endpoints[who].pending[index].length;
    return endpoints[who].pending[index].bytes;
}

void peer_drop(enum peer who, size_t index) {
    struct endpoint *end = &endpoints[who];
    end->waiting--;
    memmove(&end->pending[index], &end->pending[index + 1], (end->waiting - index) * sizeof end->pending[0]);
}

/* --- copies: the makefile gathers the variables of this file and of its library in two sections -------------- */

extern uint8_t __start_peer_data[], __stop_peer_data[], __start_peer_bss[], __stop_peer_bss[];

static size_t data_bytes(void) {
    return (size_t)(__stop_peer_data - __start_peer_data);
}

static size_t bss_bytes(void) {
    return (size_t)(__stop_peer_bss - __start_peer_bss);
}

size_t peer_state_bytes(void) {
    return data_bytes() + bss_bytes();
}

void peer_keep(uint8_t *copy) {
    memcpy(copy, __start_peer_data, data_bytes());
    memcpy(copy + data_bytes(), __start_peer_bss, bss_bytes());
}

void peer_return(const uint8_t *copy) {
    memcpy(__start_peer_data, copy, data_bytes());
    memcpy(__start_peer_bss, copy + data_bytes(), bss_bytes());
}
