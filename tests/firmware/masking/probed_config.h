/* Mbed TLS with nothing but AES, for the leakage test. */
#define MBEDTLS_AES_C
#define MBEDTLS_BLOCK_CIPHER_NO_DECRYPT
