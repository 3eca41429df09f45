#include "record.h"

uint16_t record_big16(const uint8_t *bytes) {
    return (uint16_t)((bytes[0] << 8) | bytes[1]);
}

uint32_t record_big24(const uint8_t *bytes) {
    return ((uint32_t)bytes[0] << 16) | record_big16(bytes + 1);
}

bool record_next(const uint8_t **datagram, size_t *left, struct record *out) {
    const uint8_t *at = *datagram;
    if (*left < RECORD_HEADER) {
        return false;
    }
    size_t body = record_big16(at + 11);
    /* Versions are DTLS 1.0 in first hellos and DTLS 1.2 else. */
    if (at[1] != 0xFE || (at[2] != 0xFF && at[2] != 0xFD) || body > *left - RECORD_HEADER) {
        return false;
    }
    *out = (struct record){
        .type = at[0],
        .epoch = record_big16(at + 3),
        .number = ((uint64_t)record_big24(at + 5) << 24) | record_big24(at + 8),
        .at = at,
        .length = RECORD_HEADER + body,
        .body = at + RECORD_HEADER,
        .body_length = body,
    };
    *datagram += out->length;
    *left -= out->length;
    return true;
}

bool record_fragment(const struct record *record, struct fragment *out) {
    const uint8_t *at = record->body;
    if (record->type != RECORD_HANDSHAKE || record->body_length < HANDSHAKE_HEADER) {
        return false;
    }
    *out = (struct fragment){
        .type = at[0],
        .message_seq = record_big16(at + 4),
        .total = record_big24(at + 1),
        .offset = record_big24(at + 6),
        .length = record_big24(at + 9),
    };
    return out->length <= record->body_length - HANDSHAKE_HEADER && out->offset <= out->total &&
           out->length <= out->total - out->offset;
}

/** Number of a ServerHelloDone behind ServerHello (1), Certificate, ServerKeyExchange and CertificateRequest. */
#define SERVER_HELLO_DONE_SEQ 5u

bool record_is_verify_request(const struct record *record) {
    struct fragment fragment;
    return record->epoch == 0 && record_fragment(record, &fragment) && fragment.type == HANDSHAKE_VERIFY_REQUEST;
}

bool record_asks_for_no_certificate(const struct record *record) {
    struct record rest = *record;
    struct fragment fragment;
    while (rest.epoch == 0 && record_fragment(&rest, &fragment)) {
        if (fragment.type == HANDSHAKE_SERVER_HELLO_DONE && fragment.message_seq < SERVER_HELLO_DONE_SEQ) {
            return true;
        }
        rest.body += HANDSHAKE_HEADER + fragment.length;
        rest.body_length -= HANDSHAKE_HEADER + fragment.length;
    }
    return false;
}

bool record_fits_handshake(const struct record *record) {
    struct fragment fragment;
    switch (record->type) {
    case RECORD_HANDSHAKE:
        return record_fragment(record, &fragment);
    case RECORD_CHANGE_CIPHER_SPEC:
        return record->body_length == 1 && record->body[0] == 1;
    case RECORD_ALERT:
        /* Only what ends a handshake: a fatal one, or close_notify. */
        return record->body_length == 2 && (record->body[0] == 2 || (record->body[0] == 1 && record->body[1] == 0));
    default:
        return false;
    }
}
