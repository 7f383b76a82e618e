#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "cli/dossier.h"

/* One event's life, in the order in which it happened, out of its dossier and its trace. */

/* False when neither knows anything of it; then nothing is appended. */
bool timeline_write_text(struct buffer *out, const struct dossier *dossier, const struct trace *trace);
bool timeline_write_json(struct buffer *out, const struct dossier *dossier, const struct trace *trace);
