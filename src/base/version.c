#include "base/version.h"

const char *version_text(void)
{
    return IDENTIHOOK_VERSION;
}

const char *version_user_agent(void)
{
    return "identihook/" IDENTIHOOK_VERSION;
}
