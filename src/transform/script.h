/* The scripts that do on an older target what a newer command did at the source, where that depends on the state of the keys.
 *
 * The first write is called by pcall and its error handed on as it is, so that OOM, READONLY and the like are seen for what they are, with nothing
 * changed yet. Arguments are described at each script in script.c. Thread: constant. */
#ifndef KEYFERRY_TRANSFORM_SCRIPT_H
#define KEYFERRY_TRANSFORM_SCRIPT_H

#include "wire/command.h"

extern const char script_bitop[], script_copy[], script_geo_box[], script_hpexpireat_if[], script_hsetex_keepttl[],
	script_lmove[], script_move_by_type[], script_set_keepttl[], script_xtrim[], script_zadd[], script_zdiffstore[],
	script_zrangestore[];

/* What an EVAL of ours is to routing; not marked as a script of the source. */
extern const struct command_info script_call;

#endif
