#pragma once

/* "0.1.0": the version of this build. */
const char *version_text(void);

/* "identihook/0.1.0": as others are told. */
const char *version_user_agent(void);
