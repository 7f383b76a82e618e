#pragma once

/* "0.1.0": the version of this build. */
const char *version_text(void);
