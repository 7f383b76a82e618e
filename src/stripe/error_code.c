#include "stripe/error_code.h"

#include <string.h>

#include "base/attributes.h"

static const struct error_code codes[] = {
    {"abandoned", true, "You started the identity check but did not finish it."},
    {"consent_declined", false,
     "You chose not to have your identity checked this way. Please contact us about another way."},
    {"country_not_supported", false,
     "Documents from your country cannot be checked this way yet. Please contact us about another way."},
    {"device_not_supported", true,
     "Your device has no usable camera, or its use was not allowed. Please try another device."},
    {"document_expired", true, "Your document has expired. Please use one that is still valid."},
    {"document_type_not_supported", true, "This kind of document cannot be accepted. Please use another one."},
    {"document_unverified_other", true,
     "Your document could not be checked. Please make sure that all of it is sharp and well lit."},
    {"email_unverified_other", true, "Your e-mail address could not be confirmed."},
    {"email_verification_declined", true, "You did not confirm your e-mail address."},
    {"id_number_insufficient_document_data", true, "Your document did not show enough to check your ID number."},
    {"id_number_mismatch", true, "Your details did not match the ID number. Please check what you entered."},
    {"id_number_unverified_other", true, "Your ID number could not be checked."},
    {"phone_unverified_other", true, "Your phone number could not be confirmed."},
    {"phone_verification_declined", true, "You did not confirm your phone number."},
    {"selfie_document_missing_photo", true, "Your document shows no photo of you. Please use one that does."},
    {"selfie_face_mismatch", true, "Your photo did not match the one in your document."},
    {"selfie_manipulated", true, "Your photo could not be accepted. Please take a new one."},
    {"selfie_unverified_other", true, "Your photo could not be checked. Please make sure that your face is well lit."},
    {"under_supported_age", false, "You are below the age from which identities can be checked this way."},
};

static const struct error_code unknown = {"unknown", true, "Your identity could not be confirmed this time."};

const struct error_code *error_code_find(const char *code)
{
    for (size_t i = 0; code && i < ARRAY_LENGTH(codes); i++) {
        if (strcmp(codes[i].code, code) == 0) {
            return &codes[i];
        }
    }
    return &unknown;
}
