/* The fence: what stands between a new connection to a target node and the first command on it.
 *
 *   the owner      at the process's first connection the link's record is given this process as owner; later it is read, and who finds another there stands down
 *   the killing    every older connection of this link on that node, of this process or another one, is ended: what it had sent may wait in the server's
 *                  socket still, and would run behind what is sent now. Connections are known by name: ...:<link id>:<token>:<life>-<node>.<number>
 *   the history    which run of the server it is, and whose replication it leads: the same as before cannot have lost anything
 *   the marks      of every slot of the node whose mark is not known are read; of a slot on its way to another node, whose mark is there already (ASK), there,
 *                  once that node's connections have been ended too
 *
 * Why that is enough: a connection gets its name before the owner is read. A successor writes the owner before it looks for names. So of two processes either the
 * older one reads the younger one's token, or the younger one finds the older one's connection and ends it.
 * It asks over a connection of its own, which has such a name too: a process that dies may leave the writing of the owner on its way, and what has waited in the
 * network until its successor is at work must not make that one stand down. Whatever fails is tried again until the node is lost.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_FENCE_H
#define KEYFERRY_SINK_FENCE_H

#include "sink/marker.h"

/* The node has connected: all of them; then node_open(). */
void fence_start(struct sink *sink, struct node *node);
/* A slot of an open node is stale: its mark is read, soon. */
void fence_want(struct sink *sink, struct node *node);
void fence_node_lost(struct marker *marker, const struct node *node);
void fence_free(struct fence *fence);

#endif
