#include "registration.h"

static uint16_t little(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | (bytes[1] << 8));
}

struct registration_request registration_read(const uint8_t *bytes) {
    return (struct registration_request){.id = little(bytes), .op = (int16_t)little(bytes + 2)};
}

void registration_write(uint8_t *out, uint16_t id, int16_t op) {
    out[0] = (uint8_t)id;
    out[1] = (uint8_t)(id >> 8);
    out[2] = (uint8_t)op;
    out[3] = (uint8_t)((uint16_t)op >> 8);
}

enum registration_verdict registration_judge(const uint8_t *bytes, size_t have, size_t room, uint16_t own_id,
                                             int16_t asked, struct der_set *set) {
    if (have < REGISTRATION_RESPONSE) {
        return REGISTRATION_INCOMPLETE;
    }
    struct registration_request echo = registration_read(bytes);
    if (echo.id != own_id || echo.op != asked || (asked != REGISTRATION_REGISTER && asked != REGISTRATION_DEREGISTER)) {
        return REGISTRATION_BAD;
    }
    size_t ca = little(bytes + 4), certificate = little(bytes + 6), key = little(bytes + 8);
    size_t total = REGISTRATION_RESPONSE + ca + certificate + key;
    if (total > room || have > total || (asked == REGISTRATION_DEREGISTER && total != REGISTRATION_RESPONSE)) {
        return REGISTRATION_BAD;
    }
    if (have < total) {
        return REGISTRATION_INCOMPLETE;
    }
    const uint8_t *at = bytes + REGISTRATION_RESPONSE;
    set->ca = (struct bytes){at, ca};
    set->certificate = (struct bytes){at + ca, certificate};
    set->key = (struct bytes){at + ca + certificate, key};
    return REGISTRATION_GOOD;
}
