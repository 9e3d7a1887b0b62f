#pragma once
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// Macros and variadics, which Swift does not import.
static inline int hearth_ssl_ctx_set_min_tls13(SSL_CTX *context) {
    return (int)SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
}
static inline int hearth_ssl_ctx_set_min_tls12(SSL_CTX *context) {
    return (int)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
static inline void hearth_ssl_ctx_no_tickets(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
}
static inline int hearth_ssl_ctx_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}
// Whether the last error says that a PEM text has nothing further in it.
static inline int hearth_pem_has_ended(void) {
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}
static inline void hearth_ssl_ctx_no_renegotiation(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
}
static inline void hearth_ssl_ctx_set_modes(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
}
// Counts the KeyUpdate messages that are received (RFC 8446, section 4.6.3), which SSL_read(3) answers unseen.
static inline void hearth_note_tls_message(int written, int version, int type, const void *bytes, size_t count, SSL *ssl,
                                           void *counter) {
    if (!written && type == SSL3_RT_HANDSHAKE && count > 0 && *(const unsigned char *)bytes == SSL3_MT_KEY_UPDATE)
        ++*(int *)counter;
}
static inline void hearth_ssl_count_key_updates(SSL *ssl, int *counter) {
    SSL_set_msg_callback(ssl, hearth_note_tls_message);
    SSL_set_msg_callback_arg(ssl, counter);
}
static inline int hearth_ssl_set_server_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}
// The subject alternative names of a certificate; to be freed. Null: it has none.
static inline void *hearth_alternative_names(X509 *certificate) {
    return X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}
static inline int hearth_alternative_name_count(void *names) { return sk_GENERAL_NAME_num((GENERAL_NAMES *)names); }
// The bytes of a DNS name or a URI, which belong to the list; null for a name of another kind.
static inline const unsigned char *hearth_alternative_name(void *names, int index, int *count) {
    int kind = 0;
    void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value((GENERAL_NAMES *)names, index), &kind);
    if (kind != GEN_DNS && kind != GEN_URI) return NULL;
    *count = ASN1_STRING_length((ASN1_STRING *)value);
    return ASN1_STRING_get0_data((ASN1_STRING *)value);
}
static inline void hearth_free_alternative_names(void *names) { GENERAL_NAMES_free((GENERAL_NAMES *)names); }
static inline void hearth_openssl_free(void *memory) { OPENSSL_free(memory); }
static inline EVP_PKEY *hearth_generate_p256(void) { return EVP_EC_gen("P-256"); }
