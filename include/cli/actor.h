#pragma once

/* Who acts, for the record: the user of this process at this machine, "USER@HOST", without blanks. */
#define ACTOR_SIZE 160
void actor_name(char actor[ACTOR_SIZE]);
