/* What a service manager is told: sd_notify(3)'s protocol, a datagram to the socket that NOTIFY_SOCKET names. Nothing where there is none.
 * Thread: any. */
#ifndef KEYFERRY_CMD_NOTIFY_H
#define KEYFERRY_CMD_NOTIFY_H

/* "READY=1", "STOPPING=1"; "RELOADING=1" gets the time that systemd wants with it. */
void notify(const char *state);

#endif
