#include "setup.h"

#include "credentials.h"
#include "hello.h"
#include "masks.h"
#include "port.h"
#include "rng.h"
#include "session.h"
#include "text.h"

#include <mbedtls/md.h>
#include <mbedtls/memory_buffer_alloc.h>
#include <mbedtls/platform_util.h>

/** All that Mbed TLS ever allocates: the larger role needs 14 KB (DTL-4), on a host with longer pointers more. */
#define ARENA (4096u * sizeof(void *))

static uint8_t arena[ARENA] __attribute__((aligned(8)));

static void prepare_arena(void) {
    mbedtls_memory_buffer_alloc_init(arena, sizeof arena);
#if defined(SCEWL_REPORT_MEMORY)
    /* It has cleared the arena. Behind its first header nothing need be zero: every block is cleared when allocated. */
    port_paint(arena + 64, sizeof arena - 64);
#endif
}

const char *setup_begin(struct provisioning *out) {
    prepare_arena();
    size_t room;
    const uint8_t *image = port_provisioning(&room);
    const char *wrong = provisioning_read(image, room, out);
    if (wrong != NULL) {
        return wrong;
    }
    int error = rng_init(out->seed);
    if (error != 0) {
        return error == MBEDTLS_ERR_MD_ALLOC_FAILED ? "memory" : "rng";
    }
    credentials_init(&out->set, out->id);
    /* cppcheck-suppress misra-c2012-9.5 ; D-11 */
    static const char *const names[] = {
        [CREDENTIALS_GOOD] = NULL,
        [CREDENTIALS_CA] = "provisioning-ca",
        [CREDENTIALS_CERTIFICATE] = "provisioning-certificate",
        [CREDENTIALS_KEY] = "provisioning-key",
        [CREDENTIALS_NAME] = "provisioning-cn",
    };
    wrong = names[credentials_check(&out->set)];
    if (wrong == NULL && hello_init() != 0) {
        wrong = rng_failed() ? "rng" : "memory";
    }
    if (wrong == NULL) {
        session_init(out->id, out->suite);
    }
    return wrong;
}

void setup_end(void) {
    hello_free();
    credentials_free();
    masks_free();
    rng_free();
    mbedtls_memory_buffer_alloc_free();
    mbedtls_platform_zeroize(arena, sizeof arena);
}

#if defined(SCEWL_REPORT_MEMORY)
void setup_report_memory(void) {
    char line[96];
    size_t peak, used, blocks;
    mbedtls_memory_buffer_alloc_max_get(&peak, &blocks);
    mbedtls_memory_buffer_alloc_cur_get(&used, &blocks);
    char *end = text_decimal(text_append(line, "scewl: memory: stack_peak="), (uint32_t)port_stack_peak());
    end = text_decimal(text_append(end, " heap_peak="), (uint32_t)peak);
    (void)text_append(text_decimal(text_append(end, " heap_used="), (uint32_t)used), "\n");
    port_debug(line);
}
#endif
