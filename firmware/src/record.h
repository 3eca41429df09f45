/** The header of a DTLS record (RFC 6347, section 4.1), read before Mbed TLS sees it. */
#ifndef SCEWL_RECORD_H
#define SCEWL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_HEADER 13u

/* Content types. */
#define RECORD_CHANGE_CIPHER_SPEC 20u
#define RECORD_ALERT 21u
#define RECORD_HANDSHAKE 22u
#define RECORD_DATA 23u

/* A handshake message's header (RFC 6347, section 4.2.2), and the types that are named here. */
#define HANDSHAKE_HEADER 12u
#define HANDSHAKE_CLIENT_HELLO 1u
#define HANDSHAKE_VERIFY_REQUEST 3u
#define HANDSHAKE_SERVER_HELLO_DONE 14u

struct record {
    uint8_t type;
    uint16_t epoch;
    /** Sequence number within the epoch, 48 bits. */
    uint64_t number;
    /** The record with its header, `length` bytes. */
    const uint8_t *at;
    size_t length;
    /** What follows the header. */
    const uint8_t *body;
    size_t body_length;
};

/** A handshake message's header. */
struct fragment {
    uint8_t type;
    uint16_t message_seq;
    uint32_t total;
    uint32_t offset;
    uint32_t length;
};

/** Take the next record off a datagram. Returns false at its end, or where the rest is not a record. */
bool record_next(const uint8_t **datagram, size_t *left, struct record *out);

/** Read the handshake header of a plaintext record. Returns false if none is there or if it contradicts the record. */
bool record_fragment(const struct record *record, struct fragment *out);

/** Whether a record begins with a HelloVerifyRequest, whole or in part. */
bool record_is_verify_request(const struct record *record);

/** Whether a plaintext record holds a ServerHelloDone whose number leaves no place for a CertificateRequest. */
bool record_asks_for_no_certificate(const struct record *record);

/** Whether a plaintext record has a form that a handshake may contain; anything else is noise (RFC 6347, 4.1.2.7). */
bool record_fits_handshake(const struct record *record);

/** Big-endian numbers on the wire. */
uint16_t record_big16(const uint8_t *bytes);
uint32_t record_big24(const uint8_t *bytes);

#endif
