/** Takes the place of the port's board.h: registers are a model of a PL011's transmitter, and sleep lets it send. */
#ifndef SCEWL_TEST_BOARD_H
#define SCEWL_TEST_BOARD_H

#include <stdint.h>

uint32_t *model_register(uint32_t address);
void interrupts_off(void);
void interrupts_on(void);
void wait_for_interrupt(void);
void uart0_interrupt(void);
void uart_init(void);

#define REGISTER(address) (*(volatile uint32_t *)model_register(address))
#define SYSCTL_RCGC1 REGISTER(0x400FE104)
#define SYSCTL_RCGC2 REGISTER(0x400FE108)
#define NVIC_ENABLE(n) REGISTER(0xE000E100 + 4u * (n))

extern volatile uint32_t port_event;

#endif
