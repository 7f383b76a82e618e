#include "net/certificate.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

static int seconds_of(const ASN1_TIME *time, int64_t *seconds)
{
    struct tm parts;
    if (!time || ASN1_TIME_to_tm(time, &parts) != 1) {
        return -EINVAL;
    }
    *seconds = (int64_t)timegm(&parts);
    return 0;
}

int certificate_read_validity(const char *path, struct certificate_validity *validity)
{
    FILE *file = fopen(path, "re");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    int status = -EINVAL;
    if (certificate && seconds_of(X509_get0_notBefore(certificate), &validity->from_s) == 0) {
        status = seconds_of(X509_get0_notAfter(certificate), &validity->until_s);
    }
    X509_free(certificate);
    if (file) {
        (void)fclose(file);
    }
    return status;
}
