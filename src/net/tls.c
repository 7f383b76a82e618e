#include "net/tls.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_context {
    SSL_CTX *ssl;
    atomic_int holders;
};

struct tls_stream {
    struct tls_context *context;
    SSL *ssl;
    BIO *input;  /* from the network; owned by ssl */
    BIO *output; /* to the network; owned by ssl */
    char trouble[160];
};

/* ---- the context */

/* Only http/1.1 is spoken; a client that offers protocols without it is refused (RFC 7301 section 3.2). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                           unsigned length, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)context;
    unsigned char *chosen;
    int status = SSL_select_next_proto(&chosen, out_length, ours, sizeof(ours) - 1, in, length);
    *out = chosen;
    return status == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int fail(char error[256], const char *what, const char *file)
{
    char reason[128];
    unsigned long code = ERR_peek_last_error();
    ERR_error_string_n(code, reason, sizeof(reason));
    (void)snprintf(error, 256, "%s %s: %s", what, file, code ? reason : "unknown error");
    ERR_clear_error();
    return -EINVAL;
}

static int load_certificate(SSL_CTX *ssl, const char *certificate, const char *key, char error[256])
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1) {
        return fail(error, "the certificate cannot be read from", certificate);
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1) {
        return fail(error, "the private key cannot be read from", key);
    }
    if (SSL_CTX_check_private_key(ssl) != 1) {
        return fail(error, "the private key is not the certificate's:", key);
    }
    return 0;
}

static int load_files(SSL_CTX *ssl, const struct tls_options *options, char error[256])
{
    int status = load_certificate(ssl, options->certificate, options->key, error);
    if (status == 0 && options->client_ca) {
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(options->client_ca);
        if (!names || SSL_CTX_load_verify_locations(ssl, options->client_ca, NULL) != 1) {
            return fail(error, "the clients' authority cannot be read from", options->client_ca);
        }
        SSL_CTX_set_client_CA_list(ssl, names);
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return status;
}

/* A context with the rules that hold both ways, or NULL. */
static struct tls_context *create(const SSL_METHOD *method, char error[256])
{
    struct tls_context *context = calloc(1, sizeof(*context));
    SSL_CTX *ssl = context ? SSL_CTX_new(method) : NULL;
    if (!ssl) {
        free(context);
        (void)snprintf(error, 256, "out of memory");
        return NULL;
    }
    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    (void)SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);         /* an idle connection keeps no buffers */
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets: nothing is kept here */
    context->ssl = ssl;
    atomic_store(&context->holders, 1);
    return context;
}

int tls_context_create(const struct tls_options *options, struct tls_context **created, char error[256])
{
    static const unsigned char session_context[] = "identihook";
    struct tls_context *context = create(TLS_server_method(), error);
    if (!context) {
        return -ENOMEM;
    }
    (void)SSL_CTX_set_session_id_context(context->ssl, session_context, sizeof(session_context) - 1);
    SSL_CTX_set_alpn_select_cb(context->ssl, choose_protocol, NULL);
    int status = load_files(context->ssl, options, error);
    if (status < 0) {
        tls_context_release(context);
        return status;
    }
    *created = context;
    return 0;
}

static int load_client_files(SSL_CTX *ssl, const struct tls_client_options *options, char error[256])
{
    ERR_clear_error();
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    if (options->ca && SSL_CTX_load_verify_locations(ssl, options->ca, NULL) != 1) {
        return fail(error, "the authorities cannot be read from", options->ca);
    }
    if (!options->ca && SSL_CTX_set_default_verify_paths(ssl) != 1) {
        return fail(error, "the system's authorities cannot be read", "");
    }
    return options->certificate ? load_certificate(ssl, options->certificate, options->key, error) : 0;
}

int tls_context_create_client(const struct tls_client_options *options, struct tls_context **created, char error[256])
{
    struct tls_context *context = create(TLS_client_method(), error);
    if (!context) {
        return -ENOMEM;
    }
    int status = load_client_files(context->ssl, options, error);
    if (status < 0) {
        tls_context_release(context);
        return status;
    }
    *created = context;
    return 0;
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
    if (context) {
        atomic_fetch_add(&context->holders, 1);
    }
    return context;
}

void tls_context_release(struct tls_context *context)
{
    if (context && atomic_fetch_sub(&context->holders, 1) == 1) {
        SSL_CTX_free(context->ssl);
        free(context);
    }
}

/* ---- a stream */

static int create_stream(struct tls_context *context, struct tls_stream **created)
{
    struct tls_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        return -ENOMEM;
    }
    stream->ssl = SSL_new(context->ssl);
    stream->input = BIO_new(BIO_s_mem());
    stream->output = BIO_new(BIO_s_mem());
    if (!stream->ssl || !stream->input || !stream->output) {
        BIO_free(stream->input);
        BIO_free(stream->output);
        SSL_free(stream->ssl);
        free(stream);
        return -ENOMEM;
    }
    (void)BIO_set_mem_eof_return(stream->input, -1); /* empty is "not yet", not the end */
    (void)BIO_set_mem_eof_return(stream->output, -1);
    SSL_set_bio(stream->ssl, stream->input, stream->output);
    stream->context = tls_context_hold(context);
    *created = stream;
    return 0;
}

int tls_stream_create(struct tls_context *context, struct tls_stream **created)
{
    int status = create_stream(context, created);
    if (status == 0) {
        SSL_set_accept_state((*created)->ssl);
    }
    return status;
}

/* The certificate must be for `name`; a host's name is also told to the server (SNI), an address is not. */
static int expect_name(SSL *ssl, const char *name)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1) {
        return 0;
    }
    ERR_clear_error();
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): it is only read, but OpenSSL's macro cannot say so */
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)name) == 1 ? 0 : -ENOMEM;
}

int tls_stream_connect(struct tls_context *context, const char *server_name, struct tls_stream **created)
{
    struct tls_stream *stream;
    int status = create_stream(context, &stream);
    if (status < 0) {
        return status;
    }
    SSL_set_connect_state(stream->ssl);
    status = expect_name(stream->ssl, server_name);
    if (status < 0) {
        tls_stream_free(stream);
        return status;
    }
    (void)SSL_do_handshake(stream->ssl); /* writes what begins it, and waits for the answer */
    ERR_clear_error();
    *created = stream;
    return 0;
}

void tls_stream_free(struct tls_stream *stream)
{
    if (stream) {
        SSL_free(stream->ssl);
        tls_context_release(stream->context);
        free(stream);
    }
}

/* Keeps what OpenSSL says of a failure, and of a certificate that was not trusted. */
static void note_trouble(struct tls_stream *stream)
{
    unsigned long code = ERR_peek_error();
    long verdict = SSL_get_verify_result(stream->ssl);
    const char *reason = ERR_reason_error_string(code);
    if (code != 0) {
        (void)snprintf(stream->trouble, sizeof(stream->trouble), "TLS failed: %s%s%s",
                       reason ? reason : "unknown error", verdict == X509_V_OK ? "" : ": ",
                       verdict == X509_V_OK ? "" : X509_verify_cert_error_string(verdict));
    }
}

const char *tls_trouble(const struct tls_stream *stream)
{
    return stream->trouble[0] ? stream->trouble : "TLS failed";
}

/* What an SSL_ call that did not succeed means: 0: it waits for bytes. */
static int outcome(struct tls_stream *stream, int result)
{
    int error = SSL_get_error(stream->ssl, result);
    note_trouble(stream);
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        return 0;
    }
    return error == SSL_ERROR_ZERO_RETURN ? -ECONNRESET : -EPROTO;
}

int tls_feed(struct tls_stream *stream, struct text bytes)
{
    ERR_clear_error();
    if (BIO_write(stream->input, bytes.data, (int)bytes.length) != (int)bytes.length) {
        return -EPROTO;
    }
    if (SSL_is_init_finished(stream->ssl)) {
        return 0;
    }
    int result = SSL_do_handshake(stream->ssl);
    return result == 1 ? 0 : outcome(stream, result);
}

int tls_read(struct tls_stream *stream, char *buffer, size_t size)
{
    if (!SSL_is_init_finished(stream->ssl)) {
        return 0;
    }
    ERR_clear_error();
    int result = SSL_read(stream->ssl, buffer, (int)size);
    return result > 0 ? result : outcome(stream, result);
}

bool tls_is_established(const struct tls_stream *stream)
{
    return SSL_is_init_finished(stream->ssl);
}

int tls_write(struct tls_stream *stream, struct text plain)
{
    if (plain.length == 0) {
        return 0;
    }
    ERR_clear_error();
    int result = SSL_write(stream->ssl, plain.data, (int)plain.length);
    return result == (int)plain.length ? 0 : -EPROTO; /* a memory BIO takes all */
}

void tls_say_goodbye(struct tls_stream *stream)
{
    ERR_clear_error();
    if (SSL_is_init_finished(stream->ssl)) {
        (void)SSL_shutdown(stream->ssl);
    }
}

struct text tls_output(struct tls_stream *stream)
{
    char *data;
    long length = BIO_get_mem_data(stream->output, &data);
    return (struct text){.data = data, .length = length > 0 ? (size_t)length : 0};
}

void tls_sent(struct tls_stream *stream, size_t length)
{
    char *data;
    if (length >= (size_t)BIO_get_mem_data(stream->output, &data)) {
        (void)BIO_reset(stream->output);
        return;
    }
    char scratch[4096];
    while (length > 0) {
        size_t part = length < sizeof(scratch) ? length : sizeof(scratch);
        (void)BIO_read(stream->output, scratch, (int)part);
        length -= part;
    }
}
