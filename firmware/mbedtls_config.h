/**
 * Mbed TLS 3.6 for the controller: one DTLS 1.2 session at a time, ECDHE-ECDSA with AES-GCM on P-256, both roles.
 * Each define has its reason; what is not here is off. No file, socket, clock, PSA, session cache or ticket (DTL-4).
 */
#ifndef SCEWL_MBEDTLS_CONFIG_H
#define SCEWL_MBEDTLS_CONFIG_H

/* Platform. */
#define MBEDTLS_HAVE_ASM                  /* ARMv7-M multiplication in the big-number code */
#define MBEDTLS_PLATFORM_C                /* needed by the allocator below */
#define MBEDTLS_PLATFORM_MEMORY           /* allocation goes through the static arena, never to a libc heap (DTL-4) */
#define MBEDTLS_PLATFORM_NO_STD_FUNCTIONS /* without the arena there is no allocation at all */
#define MBEDTLS_PLATFORM_SNPRINTF_MACRO(...) (-1)            /* always fails; it compiles what the linker drops */
#define MBEDTLS_PLATFORM_EXIT_MACRO(status) __builtin_trap() /* a corrupted arena: stop in the fault report */
#define MBEDTLS_MEMORY_BUFFER_ALLOC_C                        /* that arena */
#define MBEDTLS_DEPRECATED_REMOVED                           /* nothing that will go away */
#if defined(SCEWL_REPORT_MEMORY)
#define MBEDTLS_MEMORY_DEBUG                          /* the peak of the arena, in measuring builds */
#define MBEDTLS_PLATFORM_FPRINTF_MACRO(...) ((void)0) /* its other reports have nowhere to go */
#endif

/* Symmetric primitives of the two suites (DTL-2), and of the DRBG. */
#define MBEDTLS_AES_C                   /* both suites encrypt with it */
#define MBEDTLS_AES_SETKEY_ENC_ALT      /* the masked AES of aes_masked.c (MBT-1) */
#define MBEDTLS_AES_ENCRYPT_ALT         /* the same */
#define MBEDTLS_BLOCK_CIPHER_NO_DECRYPT /* GCM only encrypts blocks: no inverse cipher, masked or not */
#define MBEDTLS_CHACHA20_C              /* makes the masks (decision 0010); in no suite */
#define MBEDTLS_CIPHER_C                /* GCM and the TLS layer call AES through it */
#define MBEDTLS_GCM_C                   /* both suites are AES-GCM */
#define MBEDTLS_MD_C                    /* the interface by which TLS, HMAC and X.509 reach the hashes */
#define MBEDTLS_SHA256_C                /* suite 0xC02B, signatures, DRBG, cookies */
#define MBEDTLS_SHA384_C                /* suite 0xC02C */
#define MBEDTLS_HMAC_DRBG_C             /* seeded with the boot seed (ADV-3); no entropy source on this chip */

/* Public-key primitives. */
#define MBEDTLS_BIGNUM_C                 /* arithmetic of the curve */
#define MBEDTLS_MPI_MAX_SIZE 48          /* P-256 needs 32; products and the DER of keys must fit */
#define MBEDTLS_ECP_C                    /* points of the curve */
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED /* the one curve (DTL-2) */
#define MBEDTLS_ECP_NIST_OPTIM           /* fast reduction modulo P-256's prime */
#define MBEDTLS_ECP_WINDOW_SIZE 3        /* 4 takes 1.3 KB more heap, and no handshake is measurably faster */
#define MBEDTLS_ECDH_C                   /* the key exchange of both suites */
#define MBEDTLS_ECDSA_C                  /* the signatures of both suites, and of certificates */
#define MBEDTLS_ECDSA_DETERMINISTIC      /* RFC 6979: no randomness in signatures (ADV-3) */
#define MBEDTLS_ASN1_PARSE_C             /* certificates and keys are DER */
#define MBEDTLS_ASN1_WRITE_C             /* ECDSA signatures are DER */
#define MBEDTLS_OID_C                    /* names the algorithms in them */
#define MBEDTLS_PK_C                     /* the interface by which TLS reaches ECDSA */
#define MBEDTLS_PK_PARSE_C               /* private keys come as DER (CRT-1, CRT-5) */
#define MBEDTLS_X509_USE_C               /* what the parser of certificates stands on */
#define MBEDTLS_X509_CRT_PARSE_C         /* both sides show certificates, and they are verified (CRT-7) */
#define MBEDTLS_X509_REMOVE_INFO         /* no descriptions: nobody could read them */

/* DTLS 1.2, client and server (DTL-1). */
#define MBEDTLS_SSL_TLS_C                        /* the record and handshake layers */
#define MBEDTLS_SSL_CLI_C                        /* SES-2, SES-4: the sender is the client */
#define MBEDTLS_SSL_SRV_C                        /* SES-3: the receiver is the server */
#define MBEDTLS_SSL_PROTO_TLS1_2                 /* the one version */
#define MBEDTLS_SSL_PROTO_DTLS                   /* over datagrams */
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED /* the one key exchange (DTL-2) */
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET       /* RFC 7627: the master secret is bound to its handshake */
#define MBEDTLS_SSL_DTLS_ANTI_REPLAY             /* DTL-4 */
#define MBEDTLS_SSL_DTLS_HELLO_VERIFY            /* DTL-3: as a client, answer the HelloVerifyRequest */
#define MBEDTLS_SSL_COOKIE_C                     /* DTL-3: as a server, make and check cookies (hello.c) */
#define MBEDTLS_SSL_ALL_ALERT_MESSAGES           /* a rejected peer is told why, once */
#define MBEDTLS_SSL_IN_CONTENT_LEN 1000  /* a record fits a datagram, and a datagram is at most 1,000 bytes (FRM-2) */
#define MBEDTLS_SSL_OUT_CONTENT_LEN 1000 /* the same */
#define MBEDTLS_SSL_DTLS_MAX_BUFFERING 2048 /* a reordered flight: two certificates of 1 KB */
/* The two suites, the stronger first (DTL-2). */
#define MBEDTLS_SSL_CIPHERSUITES                                                                                       \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256

#endif
