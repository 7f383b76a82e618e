#include "stripe/error_code.h"

#include <string.h>

#include "base/attributes.h"

#define TEXTS(subject, what, todo) .title = (subject), .happened = (what), .advice = (todo), .message = what " " todo

#define AGAIN "Please try your identity check again"
#define NOT_CONFIRMED "We could not confirm your identity"

/* clang-format off */
const struct error_code error_codes[] = {
    {.code = "abandoned", .retryable = true,
     TEXTS("Your identity check is not finished",
           "You started the identity check but did not finish it.",
           "Please try again when you have a few minutes and your document at hand.")},
    {.code = "consent_declined", .alternative = true,
     TEXTS("Another way to confirm your identity",
           "You chose not to have your identity checked in this way.",
           "You can ask us for another way to confirm it.")},
    {.code = "country_not_supported", .alternative = true,
     TEXTS(NOT_CONFIRMED,
           "Documents from the country that issued yours cannot be checked in this way.",
           "You can ask us for another way to confirm your identity.")},
    {.code = "device_not_supported", .retryable = true,
     TEXTS(AGAIN,
           "Your device has no camera that the check could use, or its use was not allowed.",
           "Please allow the use of the camera, or try again on another device, such as a phone.")},
    {.code = "document_expired", .retryable = true,
     TEXTS(AGAIN,
           "Your document has expired.",
           "Please try again with one that is still valid.")},
    {.code = "document_type_not_supported", .retryable = true,
     TEXTS(AGAIN,
           "This kind of document is not accepted for the check.",
           "Please try again with one of the kinds that the check offers.")},
    {.code = "document_unverified_other", .retryable = true,
     TEXTS(AGAIN,
           "Your document could not be checked.",
           "Please try again with the original in good light, so that all of it is sharp and nothing is covered.")},
    {.code = "email_unverified_other", .retryable = true,
     TEXTS(AGAIN,
           "Your e-mail address could not be confirmed.",
           "Please make sure that it is spelled correctly, and try again.")},
    {.code = "email_verification_declined", .retryable = true,
     TEXTS(AGAIN,
           "You chose not to confirm your e-mail address, which the check needs.",
           "If you would like to confirm it after all, please try again.")},
    {.code = "id_number_insufficient_document_data", .retryable = true,
     TEXTS(AGAIN,
           "Your document did not show enough to check your ID number.",
           "Please try again with another document, one that shows your full name and date of birth.")},
    {.code = "id_number_mismatch", .retryable = true,
     TEXTS(AGAIN,
           "Your name or date of birth did not match your ID number.",
           "Please look for mistakes in what you entered, and try again.")},
    {.code = "id_number_unverified_other", .retryable = true,
     TEXTS(AGAIN,
           "Your ID number could not be checked.",
           "Please make sure that it is entered exactly as it was issued to you, and try again.")},
    {.code = "phone_unverified_other", .retryable = true,
     TEXTS(AGAIN,
           "Your phone number could not be confirmed.",
           "Please make sure that it is the number of the phone that you have with you, and try again.")},
    {.code = "phone_verification_declined", .retryable = true,
     TEXTS(AGAIN,
           "You chose not to confirm your phone number, which the check needs.",
           "If you would like to confirm it after all, please try again.")},
    {.code = "selfie_document_missing_photo", .retryable = true,
     TEXTS(AGAIN,
           "The document that you showed has no photo of you.",
           "Please try again with one that has a photo.")},
    {.code = "selfie_face_mismatch", .retryable = true,
     TEXTS(AGAIN,
           "The photo that you took did not match the one in your document.",
           "Please try again with your own document, in good light and with your whole face in the picture.")},
    {.code = "selfie_manipulated", .retryable = true,
     TEXTS(AGAIN,
           "The photo that you took looked as if it had been altered, and could not be accepted.",
           "Please try again with a new one from your device's camera, without filters or effects.")},
    {.code = "selfie_unverified_other", .retryable = true,
     TEXTS(AGAIN,
           "The photo that you took could not be checked.",
           "Please try again in good light, with your whole face in the picture.")},
    {.code = "under_supported_age",
     TEXTS(NOT_CONFIRMED,
           "You are below the age from which identities can be checked in this way.",
           "If this is a mistake, please contact us.")},
    {.code = "unknown", .retryable = true,
     TEXTS(AGAIN,
           "Your identity could not be confirmed this time.",
           "Please try again.")},
};
/* clang-format on */

const size_t error_code_count = ARRAY_LENGTH(error_codes);

const struct error_code *error_code_find(const char *code)
{
    for (size_t i = 0; code && i < ARRAY_LENGTH(error_codes); i++) {
        if (strcmp(error_codes[i].code, code) == 0) {
            return &error_codes[i];
        }
    }
    return &error_codes[ARRAY_LENGTH(error_codes) - 1];
}
