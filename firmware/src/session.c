#include "session.h"

#include "rng.h"
#include "scewl.h"

#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>
#include <string.h>

/** DTL-6. */
#define FIRST_TIMEOUT_MS 7000u
#define LAST_TIMEOUT_MS 60000u

/** Longest record that can hold a Finished: header, nonce, message and tag come to 61 bytes. */
#define FINISHED_ROOM 128u

static mbedtls_ssl_context ssl;
static mbedtls_ssl_config config;
static struct credentials credentials;
static enum link link;
static uint16_t own_id, peer;
static int suites[2];
static bool begun, established, timer_running, alert_sent;

/** Client: a HelloVerifyRequest was answered in this session. */
static bool verified;

/** The record that Mbed TLS reads next; NULL once it was taken. */
static const struct record *input;

/**
 * A record of epoch 1 that overtook the ChangeCipherSpec (RFC 6347, 4.1: buffered). Mbed TLS would keep the first that
 * comes, and fail the handshake if it then does not authenticate; we keep the latest and look before we believe it.
 */
static uint8_t early[FINISHED_ROOM];
static size_t early_length;

static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
static const uint16_t signatures[] = {MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_NONE};

void session_init(uint16_t id, uint16_t suite) {
    own_id = id;
    suites[0] = suite;
    suites[1] = 0;
}

/* --- what Mbed TLS calls ----------------------------------------------------------------------------------- */

/** Whether a datagram is a ClientHello that answers a HelloVerifyRequest: the client's second message. */
static bool answers_verify_request(const uint8_t *datagram, size_t length) {
    struct record record;
    struct fragment fragment;
    return record_next(&datagram, &length, &record) && record.epoch == 0 && record_fragment(&record, &fragment) &&
           fragment.type == HANDSHAKE_CLIENT_HELLO && fragment.message_seq > 0;
}

static int send_datagram(void *unused, const unsigned char *bytes, size_t length) {
    (void)unused;
    alert_sent = alert_sent || bytes[0] == RECORD_ALERT;
    verified = verified || answers_verify_request(bytes, length);
    scewl_write(link, (struct scewl_header){.target = peer, .source = own_id, .length = (uint16_t)length}, bytes);
    return (int)length;
}

static int receive_record(void *unused, unsigned char *bytes, size_t room) {
    (void)unused;
    if (input == NULL || input->length > room) {
        input = NULL;
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    size_t length = input->length;
    memcpy(bytes, input->at, length);
    input = NULL;
    return (int)length;
}

/** Mbed TLS's handshake timer. After the handshake the timer is dtls.c's. */
static void set_timer(void *unused, uint32_t intermediate, uint32_t final) {
    (void)unused;
    (void)intermediate;
    if (established) {
        return;
    }
    if (final != 0 && timer_running && !port_timer_expired()) {
        return; /* An answered repeat: the timer runs on (pinned under DTL-6, decision 0005). */
    }
    timer_running = final != 0;
    if (timer_running) {
        port_timer_start(final);
    } else {
        port_timer_stop();
    }
}

/** -1: not running, 0: running, 2: expired. */
static int get_timer(void *unused) {
    (void)unused;
    if (established) {
        return 0;
    }
    return !timer_running ? -1 : port_timer_expired() ? 2 : 0;
}

/** CRT-7, on both sides: the leaf must bear the peer's id. Dates are not judged (CRT-10): there is no clock. */
static int verify_peer(void *unused, mbedtls_x509_crt *certificate, int depth, uint32_t *flags) {
    (void)unused;
    if (depth == 0 && !credentials_names(certificate, peer)) {
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    return 0;
}

/** Only hellos whose cookie hello.c has checked come this far. (Without this function a hello must not bear a cookie.)
 */
static int cookie_was_checked(void *unused, const unsigned char *cookie, size_t length, const unsigned char *id,
                              size_t id_length) {
    (void)unused;
    (void)cookie;
    (void)length;
    (void)id;
    (void)id_length;
    return 0;
}

/* --- begin and end ----------------------------------------------------------------------------------------- */

static int set_up(enum session_role role) {
    int error =
        mbedtls_ssl_config_defaults(&config, role == SESSION_SERVER ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (error != 0) {
        return error;
    }
    mbedtls_ssl_conf_min_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_ciphersuites(&config, suites);
    mbedtls_ssl_conf_groups(&config, groups);
    mbedtls_ssl_conf_sig_algs(&config, signatures);
    mbedtls_ssl_conf_rng(&config, rng_random, NULL);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED); /* DTL-1 */
    mbedtls_ssl_conf_ca_chain(&config, &credentials.ca, NULL);
    mbedtls_ssl_conf_verify(&config, verify_peer, NULL);
    mbedtls_ssl_conf_handshake_timeout(&config, FIRST_TIMEOUT_MS, LAST_TIMEOUT_MS);
    mbedtls_ssl_conf_dtls_anti_replay(&config, MBEDTLS_SSL_ANTI_REPLAY_ENABLED);
    if (role == SESSION_SERVER) {
        mbedtls_ssl_conf_dtls_cookies(&config, NULL, cookie_was_checked, NULL);
    }
    error = mbedtls_ssl_conf_own_cert(&config, &credentials.certificate, &credentials.key);
    if (error == 0) {
        error = mbedtls_ssl_setup(&ssl, &config);
    }
    if (error == 0) {
        /* The name is checked in verify_peer, for both roles alike; NULL says that this is meant. */
        error = mbedtls_ssl_set_hostname(&ssl, NULL);
    }
    return error;
}

bool session_begin(enum session_role role, enum link over, uint16_t with) {
    session_end();
    link = over;
    peer = with;
    begun = true;
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&config);
    if (credentials_open(&credentials, credentials_for(with)) != CREDENTIALS_GOOD || set_up(role) != 0) {
        return false;
    }
    mbedtls_ssl_set_mtu(&ssl, SCEWL_MTU);
    mbedtls_ssl_set_bio(&ssl, NULL, send_datagram, receive_record, NULL);
    mbedtls_ssl_set_timer_cb(&ssl, NULL, set_timer, get_timer);
    return true;
}

void session_end(void) {
    port_timer_stop();
    if (begun) {
        mbedtls_ssl_free(&ssl);
        mbedtls_ssl_config_free(&config);
        credentials_close(&credentials);
    }
    begun = false;
    established = false;
    timer_running = false;
    alert_sent = false;
    verified = false;
    input = NULL;
    early_length = 0;
}

/* --- handshake --------------------------------------------------------------------------------------------- */

/** The handshake ends; the peer hears of it once. Mbed TLS is silent about some refusals. */
static enum session_standing refuse(void) {
    if (!alert_sent) {
        (void)mbedtls_ssl_send_alert_message(&ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
    }
    return SESSION_FAILED;
}

enum session_standing session_step(void) {
    int error;
    do {
        error = mbedtls_ssl_handshake(&ssl);
        /* A timeout is looked at before the record that came with it: then the record is still there. */
    } while (error == MBEDTLS_ERR_SSL_WANT_READ && input != NULL);
    if (error == MBEDTLS_ERR_SSL_WANT_READ) {
        return SESSION_RUNNING;
    }
    if (error == 0) {
        port_timer_stop();
        established = true;
        return SESSION_ESTABLISHED;
    }
    bool peer_ended = error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE || error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
    return peer_ended || error == MBEDTLS_ERR_SSL_TIMEOUT ? SESSION_FAILED : refuse();
}

static bool awaits_finished(void) {
    int state = ssl.MBEDTLS_PRIVATE(state);
    return state == MBEDTLS_SSL_CLIENT_FINISHED || state == MBEDTLS_SSL_SERVER_FINISHED;
}

/** Whether a short record of epoch 1 authenticates and is no replay, without any effect. */
static bool authentic(const struct record *record) {
    uint8_t copy[FINISHED_ROOM];
    if (record->length > sizeof copy) {
        return false;
    }
    memcpy(copy, record->at, record->length);
    return mbedtls_ssl_check_record(&ssl, copy, record->length) == 0;
}

/** A record of epoch 1: the Finished or an alert in its place, if it authenticates. Mbed TLS would fail the handshake
 * if it does not. */
static enum session_standing take_finished(const struct record *record) {
    if ((record->type != RECORD_HANDSHAKE && record->type != RECORD_ALERT) || record->length > sizeof early) {
        return SESSION_RUNNING;
    }
    if (!awaits_finished()) {
        if (record->type == RECORD_HANDSHAKE) {
            memcpy(early, record->at, record->length);
            early_length = record->length;
        }
        return SESSION_RUNNING;
    }
    if (!authentic(record)) {
        return SESSION_RUNNING;
    }
    input = record;
    return session_step();
}

enum session_standing session_handshake(const struct record *record) {
    if (record->epoch == 1) {
        return take_finished(record);
    }
    if (record->epoch != 0 || !record_fits_handshake(record)) {
        return SESSION_RUNNING;
    }
    bool wants_cookie = mbedtls_ssl_conf_get_endpoint(&config) == MBEDTLS_SSL_IS_CLIENT && !verified;
    if (record->type == RECORD_HANDSHAKE && wants_cookie != record_is_verify_request(record)) {
        return SESSION_RUNNING; /* DTL-3: a HelloVerifyRequest comes first, to a client, and only once */
    }
    if (record_asks_for_no_certificate(record)) {
        return refuse(); /* DTL-1: both sides authenticate */
    }
    input = record;
    enum session_standing standing = session_step();
    if (standing == SESSION_RUNNING && early_length > 0 && awaits_finished()) {
        const uint8_t *at = early;
        size_t left = early_length;
        struct record finished;
        early_length = 0;
        if (record_next(&at, &left, &finished)) {
            standing = take_finished(&finished);
        }
    }
    return standing;
}

bool session_answered(void) {
    return ssl.MBEDTLS_PRIVATE(state) >= MBEDTLS_SSL_CLIENT_CERTIFICATE;
}

/* --- records ----------------------------------------------------------------------------------------------- */

uint64_t session_top(void) {
    return ssl.MBEDTLS_PRIVATE(in_window_top);
}

enum session_input session_read(const struct record *record, uint8_t *out, size_t room, size_t *got) {
    *got = 0;
    if (record->epoch != 1 ||
        (record->type != RECORD_ALERT && record->type != RECORD_HANDSHAKE && record->type != RECORD_DATA)) {
        return SESSION_NOTHING;
    }
    /* The replay window moves for authentic records only, and for each of them (RFC 6347, 4.1.2.6). */
    uint64_t top = session_top(), window = ssl.MBEDTLS_PRIVATE(in_window);
    input = record;
    ssl.MBEDTLS_PRIVATE(nb_zero) = 0; /* Mbed TLS would drop the fifth of several empty records, and SES-8 miss it. */
    int result = mbedtls_ssl_read(&ssl, out, room);
    input = NULL;
    if (top == session_top() && window == ssl.MBEDTLS_PRIVATE(in_window)) {
        return SESSION_NOTHING;
    }
    if (record->type == RECORD_DATA && (result >= 0 || result == MBEDTLS_ERR_SSL_WANT_READ)) {
        /* Mbed TLS goes on to the next record when one is empty. */
        *got = (result > 0 ? (size_t)result : 0) + mbedtls_ssl_get_bytes_avail(&ssl);
        return SESSION_DATA;
    }
    if (record->type == RECORD_HANDSHAKE) {
        return SESSION_HANDSHAKE;
    }
    switch (result) {
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return SESSION_CLOSE;
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return SESSION_FATAL_ALERT;
    case MBEDTLS_ERR_SSL_WANT_READ:
        return SESSION_WARNING;
    default:
        return SESSION_BROKEN;
    }
}

bool session_write(const uint8_t *bytes, size_t length) {
    while (length > 0) {
        size_t part = length < SESSION_MAX_RECORD ? length : SESSION_MAX_RECORD;
        if (mbedtls_ssl_write(&ssl, bytes, part) != (int)part) {
            return false;
        }
        bytes += part;
        length -= part;
    }
    return true;
}

void session_close_notify(void) {
    (void)mbedtls_ssl_close_notify(&ssl);
}
