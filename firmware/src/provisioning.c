#include "provisioning.h"

#include "scewl.h"

#include <string.h>

#define HEADER 28u
#define CRC 4u
#define VERSION 1u
#define SEED 48u

static uint16_t little16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | (bytes[1] << 8));
}

static uint32_t little32(const uint8_t *bytes) {
    return (uint32_t)little16(bytes) | ((uint32_t)little16(bytes + 2) << 16);
}

/** CRC-32 of IEEE 802.3, as zlib computes it. */
static uint32_t crc32(const uint8_t *bytes, size_t length) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

const char *provisioning_read(const uint8_t *image, size_t room, struct provisioning *out) {
    static const uint8_t magic[] = {'S', 'C', 'E', 'W', 'L', 'P', 'R', 'V'};
    if (memcmp(image, magic, sizeof magic) != 0) {
        return "provisioning-magic";
    }
    if (little16(image + 8) != VERSION) {
        return "provisioning-version";
    }
    size_t total = little32(image + 12);
    size_t ca = little16(image + 18), certificate = little16(image + 20), key = little16(image + 22);
    size_t seed = little16(image + 24);
    if (total > room || total != HEADER + ca + certificate + key + seed + CRC || seed != SEED) {
        return "provisioning-length";
    }
    if (crc32(image, total - CRC) != little32(image + total - CRC)) {
        return "provisioning-crc";
    }
    out->id = little16(image + 10);
    if (out->id < SCEWL_LOWEST_SED) {
        return "provisioning-id";
    }
    out->suite = little16(image + 16);
    if (out->suite != SUITE_AES_128 && out->suite != SUITE_AES_256) {
        return "provisioning-suite";
    }
    const uint8_t *at = image + HEADER;
    out->set.ca = (struct bytes){at, ca};
    out->set.certificate = (struct bytes){at + ca, certificate};
    out->set.key = (struct bytes){at + ca + certificate, key};
    out->seed = (struct bytes){at + ca + certificate + key, seed};
    return NULL;
}
