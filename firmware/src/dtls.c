#include "dtls.h"
#include "provisioning.h"
#include "rng.h"
#include "text.h"
#include <mbedtls/memory_buffer_alloc.h>
static uint8_t arena[16384] __attribute__((aligned(8)));
static uint8_t outgoing[SCEWL_MAX_MESSAGE];
static struct provisioning provisioning;
static enum dtls_state state;
void dtls_setup(void) {
    size_t room;
    mbedtls_memory_buffer_alloc_init(arena, sizeof arena);
    const uint8_t *image = port_provisioning(&room);
    const char *wrong = provisioning_read(image, room, &provisioning);
    scewl_init(provisioning.id, outgoing);
    if (!wrong && rng_init(provisioning.seed)) wrong = "rng";
    if (wrong) dtls_fatal_error(wrong);
    else { char l[40]; text_append(text_decimal(text_append(l, "scewl: ready: id="), provisioning.id), "\n"); port_debug(l); } 
}
enum dtls_state dtls_state(void) { return state; }
bool dtls_accepts_request(void) { return state == DTLS_IDLE; }
void dtls_preempt(void) {}
void dtls_send_message(uint16_t target, uint16_t length) { (void)target; (void)length; }
void dtls_send_message_to_sss(uint16_t length) { (void)length; }
void dtls_handle_packet(enum link link, uint16_t source, const uint8_t *d, size_t n) { (void)link; (void)source; (void)d; (void)n; }
bool dtls_check_timers(void) { return false; }
void dtls_teardown(void) { rng_free(); }
void dtls_fatal_error(const char *name) { char l[64]; state = DTLS_FATAL_ERROR; dtls_teardown(); text_append(text_append(text_append(l, "scewl: fatal: "), name), "\n"); port_debug(l); }
uint8_t *dtls_message(void) { return outgoing; }
uint16_t dtls_own_id(void) { return provisioning.id; }
