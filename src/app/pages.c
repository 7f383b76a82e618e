#include "app/pages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/color.h"
#include "base/log.h"
#include "core/template.h"
#include "page_files.h"

/* ---- what the pages are made of */

enum variable {
    BRAND_NAME,
    BRAND_COLOR,
    BRAND_UPON,
    BRAND_LOGO,
    SUPPORT_ADDRESS,
    ALTERNATIVE_PAGE,
    STRIPE_KEY,
    STRIPE_SCRIPT,
    SENDS_MAILS,
    VARIABLES
};

static const struct template_variable variables[VARIABLES + 1] = {
    [BRAND_NAME] = {"brand.name", TEMPLATE_TEXT},
    [BRAND_COLOR] = {"brand.color", TEMPLATE_COLOR},
    [BRAND_UPON] = {"brand.upon", TEMPLATE_COLOR},
    [BRAND_LOGO] = {"brand.logo", TEMPLATE_URL},
    [SUPPORT_ADDRESS] = {"support.address", TEMPLATE_TEXT},
    [ALTERNATIVE_PAGE] = {"alternative.page", TEMPLATE_URL},
    [STRIPE_KEY] = {"stripe.key", TEMPLATE_TEXT},
    [STRIPE_SCRIPT] = {"stripe.script", TEMPLATE_TEXT},
    [SENDS_MAILS] = {"mails", TEMPLATE_FLAG},
    [VARIABLES] = {NULL, TEMPLATE_TEXT},
};

static const struct page_kind {
    const char *path;
    const char *file;
    const char *content_type;
    bool is_document; /* gets the policies of a document */
    bool is_template;
    enum template_kind kind;
} kinds[] = {
    {"/verify", "verify.html", "text/html; charset=utf-8", true, true, TEMPLATE_PAGE},
    {"/verify/submitted", "submitted.html", "text/html; charset=utf-8", true, true, TEMPLATE_PAGE},
    {"/verify/page.css", "page.css", "text/css; charset=utf-8", false, true, TEMPLATE_PLAIN},
    {"/verify/page.js", "page.js", "text/javascript; charset=utf-8", false, false, TEMPLATE_PLAIN},
    {"/verify/verify.js", "verify.js", "text/javascript; charset=utf-8", false, false, TEMPLATE_PLAIN},
    {"/verify/submitted.js", "submitted.js", "text/javascript; charset=utf-8", false, false, TEMPLATE_PLAIN},
};

#define PAGES (sizeof(kinds) / sizeof(kinds[0]))
#define TAG_SIZE 20

struct page {
    const struct pages *pages;
    const struct page_kind *kind;
    struct buffer rendered; /* empty for what is sent as it is built in */
    struct text body;
    struct buffer headers;
    char tag[TAG_SIZE]; /* with its quotes */
};

struct pages {
    const struct replies *replies;
    struct page pages[PAGES];
};

/* ---- making them */

static struct text file_of(const char *name)
{
    for (size_t i = 0; i < sizeof(embedded_files) / sizeof(embedded_files[0]); i++) {
        if (strcmp(embedded_files[i].name, name) == 0) {
            return (struct text){.data = (const char *)embedded_files[i].bytes, .length = embedded_files[i].length};
        }
    }
    return (struct text){0};
}

static int render(const struct page_kind *kind, const char *const *values, struct buffer *rendered)
{
    struct template_source source = {.file = kind->file, .text = file_of(kind->file), .kind = kind->kind};
    struct template *template;
    struct buffer faults = {0};
    int status = template_compile(&source, variables, &template, &faults);
    if (status == TEMPLATE_FAULTY) {
        log_error("a page that is built in is faulty", LOG_TEXT("fault", buffer_text(&faults)));
    }
    buffer_free(&faults);
    status = status == 0 ? template_render(template, values, rendered) : status;
    template_free(template);
    return status == 0 ? 0 : status < 0 ? status : -EINVAL;
}

/* "https://js.stripe.com/endive/stripe.js" -> "https://js.stripe.com" */
static struct text origin_of(const char *url)
{
    const char *server = strstr(url, "://") + 3;
    return (struct text){.data = url, .length = (size_t)(server - url) + strcspn(server, "/?#")};
}

/* What Stripe.js needs is by Stripe's own list (docs.stripe.com/security/guide#content-security-policy): its script,
 * its frames, its API. Everything else is ours; nothing inline. */
static void append_policy(const struct settings *settings, struct buffer *headers)
{
    struct text stripe = origin_of(settings->sessions.stripe_js_url);
    buffer_append_string(headers, "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'self'; "
                                  "frame-ancestors 'none'; style-src 'self'; ");
    if (settings->sessions.publishable_key) {
        buffer_append_format(headers,
                             "script-src 'self' %.*s https://*.js.stripe.com; "
                             "connect-src 'self' %.*s https://api.stripe.com https://*.stripe.com; "
                             "frame-src %.*s https://*.js.stripe.com https://hooks.stripe.com "
                             "https://verify.stripe.com; img-src 'self' data: https://*.stripe.com",
                             TEXT_ARGUMENTS(stripe), TEXT_ARGUMENTS(stripe), TEXT_ARGUMENTS(stripe));
    } else {
        buffer_append_string(headers, "script-src 'self'; connect-src 'self'; img-src 'self' data:");
    }
    if (settings->brand_logo_url) {
        struct text logo = origin_of(settings->brand_logo_url);
        buffer_append_format(headers, " %.*s", TEXT_ARGUMENTS(logo));
    }
    buffer_append_string(headers, "\r\nReferrer-Policy: strict-origin\r\nX-Frame-Options: DENY\r\n");
}

static int tag(struct page *page)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(page->body.data, page->body.length, digest, NULL, EVP_sha256(), NULL)) {
        return -ENOMEM;
    }
    page->tag[0] = '"';
    for (size_t i = 0; i < 8; i++) {
        (void)snprintf(page->tag + 1 + 2 * i, 3, "%02x", digest[i]);
    }
    page->tag[17] = '"';
    return 0;
}

static int make(struct page *page, const struct settings *settings, const char *const *values)
{
    int status = page->kind->is_template ? render(page->kind, values, &page->rendered) : 0;
    page->body = page->kind->is_template ? buffer_text(&page->rendered) : file_of(page->kind->file);
    status = status == 0 ? tag(page) : status;
    if (status == 0 && page->kind->is_document) {
        append_policy(settings, &page->headers);
    }
    buffer_append_format(&page->headers, "ETag: %s\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n",
                         page->tag);
    if (status == 0 && page->headers.length > HTTP_EXTRA_MAXIMUM) {
        log_error("the logo's or Stripe.js's URL is too long for a page's policy",
                  LOG_STRING("page", page->kind->path));
        status = -EINVAL;
    }
    return status == 0 ? buffer_status(&page->headers) : status;
}

int pages_create(const struct settings *settings, const struct replies *replies, struct pages **created)
{
    const char *values[VARIABLES] = {
        [BRAND_NAME] = settings->brand_name,
        [BRAND_COLOR] = settings->brand_color,
        [BRAND_UPON] = color_upon(settings->brand_color),
        [BRAND_LOGO] = settings->brand_logo_url,
        [SUPPORT_ADDRESS] = settings->support_address,
        [ALTERNATIVE_PAGE] = settings->alternative_page,
        [STRIPE_KEY] = settings->sessions.publishable_key,
        [STRIPE_SCRIPT] = settings->sessions.stripe_js_url,
        [SENDS_MAILS] = settings->smtp_url ? "yes" : NULL,
    };
    struct pages *pages = calloc(1, sizeof(*pages));
    int status = pages ? 0 : -ENOMEM;
    for (size_t i = 0; i < PAGES && status == 0; i++) {
        pages->replies = replies;
        pages->pages[i].pages = pages;
        pages->pages[i].kind = &kinds[i];
        status = make(&pages->pages[i], settings, values);
    }
    if (status < 0) {
        pages_free(pages);
        return status;
    }
    *created = pages;
    return 0;
}

void pages_free(struct pages *pages)
{
    for (size_t i = 0; pages && i < PAGES; i++) {
        buffer_free(&pages->pages[i].rendered);
        buffer_free(&pages->pages[i].headers);
    }
    free(pages);
}

/* ---- showing them */

static bool has_it(const struct page *page, struct text tags)
{
    while (tags.data) {
        struct text known = text_trim(text_cut(&tags, ','));
        (void)text_take_prefix(&known, TEXT("W/"));
        if (text_equal(known, text_of(page->tag))) {
            return true;
        }
    }
    return false;
}

static void show(void *context, struct conn *conn, const struct http_request *request)
{
    const struct page *page = context;
    struct reply reply = {
        .answer = ANSWER_PAGE,
        .body = page->body,
        .content_type = page->kind->content_type,
        .headers = buffer_text(&page->headers),
    };
    if (has_it(page, http_request_header(request, TEXT("if-none-match")))) {
        reply.answer = ANSWER_PAGE_UNCHANGED;
        reply.body = (struct text){0};
    }
    reply_give(page->pages->replies, conn, &reply);
}

void pages_add_routes(struct pages *pages, struct router *router)
{
    for (size_t i = 0; i < PAGES; i++) {
        struct route route = {
            .path = pages->pages[i].kind->path, .allow = "GET, HEAD", .take = show, .context = &pages->pages[i]};
        router_add(router, &route);
    }
}
