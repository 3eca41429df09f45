/** The controller's loop, one round at a time: for main, and for ports that are no board. */
#ifndef SCEWL_CONTROLLER_H
#define SCEWL_CONTROLLER_H

#include <stdbool.h>

/** One round over the three links and the clock. Returns false if there was nothing to do. */
bool controller_round(void);

#endif
