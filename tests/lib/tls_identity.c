#include "tls_identity.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void extend(X509 *certificate, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    assert(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *certify(EVP_PKEY *key, const char *name)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"a test", -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
    extend(certificate, NID_subject_alt_name, name);
    X509_sign(certificate, key, EVP_sha256());
    return certificate;
}

void tls_identity_create(struct tls_identity *identity, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = certify(key, name);
    strcpy(identity->file, "/tmp/identihook-test-XXXXXX");
    int fd = mkstemp(identity->file);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    assert(file);
    PEM_write_X509(file, certificate);
    fclose(file);
    identity->server = SSL_CTX_new(TLS_server_method());
    int fine = SSL_CTX_use_certificate(identity->server, certificate) && SSL_CTX_use_PrivateKey(identity->server, key);
    assert(fine);
    (void)fine;
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void tls_identity_free(struct tls_identity *identity)
{
    unlink(identity->file);
    SSL_CTX_free(identity->server);
}
