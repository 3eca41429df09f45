/** What the controller stands on: the provisioning image, Mbed TLS's memory, randomness, the provisioning set. */
#ifndef SCEWL_SETUP_H
#define SCEWL_SETUP_H

#include "provisioning.h"

/** Read and check the image, and set everything up. Returns NULL, or what is wrong, by its name in section 10. */
const char *setup_begin(struct provisioning *out);

/** Free and zeroise what setup_begin made. Safe to call after one that failed. */
void setup_end(void);

/** The peaks of stack and arena on the debug channel. Only for SCEWL_REPORT_MEMORY. */
void setup_report_memory(void);

#endif
