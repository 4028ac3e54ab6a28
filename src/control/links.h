/* The links of a running task, as a set that several threads look at while links come and go: with the masters of the source (task_links.h).
 *
 * Each link has a number, its place; one that has gone leaves its place empty, so numbers stay what they are.
 * Thread: one at a time adds, takes and uses links_at(): the control thread, while the task runs the watch's. What is marked (any): from all. */
#ifndef KEYFERRY_CONTROL_LINKS_H
#define KEYFERRY_CONTROL_LINKS_H

#include "link/link.h"

/* Over the life of a process. */
#define LINK_PLACES_MAX HANDOVER_LINKS_MAX

struct links;

struct links *links_new(void);
void links_free(struct links *links); /* and all links in it; NULL is fine */

/* Places, empty ones too. (any) */
uint32_t links_count(const struct links *links);
/* Its place is what links_count() was; there are fewer than LINK_PLACES_MAX. */
void links_add(struct links *links, struct link *link);
/* Out of the set: nobody looks at it when this returns, and it is the caller's. */
struct link *links_take(struct links *links, uint32_t place);
/* NULL: the place is empty. */
struct link *links_at(const struct links *links, uint32_t place);

/* False: the place is empty. (any) */
bool links_status(struct links *links, uint32_t place, struct link_status *ret);
/* Records and bytes per second of each link from now on, those that come later too; 0: unlimited. (any) */
void links_limit(struct links *links, uint64_t records_per_second, uint64_t bytes_per_second);
/* Takes a reading for the rates. (any) */
void links_sample(struct links *links);

#endif
