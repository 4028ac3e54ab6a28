/* Is a request meant for us, and does it come from our own page? By what a browser says of it.
 *
 * Host: a page of another site can have its name point at 127.0.0.1 (DNS rebinding) and then read what an open server answers; the Host header still has that
 * name. So a server that asks nobody for a token answers only where it is addressed as localhost or by a loopback address.
 * Origin: a page of another site can send requests, but a browser says which page that was. A request that changes something and says so has to
 * come from a page of the host it is sent to. Programs other than browsers send no Origin.
 * Sources: RFC 9110 7.2, RFC 6454 7; Fetch Metadata (W3C) for Sec-Fetch-Site.
 * Thread: pure functions. */
#ifndef KEYFERRY_API_ORIGIN_H
#define KEYFERRY_API_ORIGIN_H

#include <stdbool.h>

/* "localhost:7280", "127.0.0.1", "[::1]:7280": any port, since a forwarded one (ssh -L) may differ. NULL is not. */
bool origin_host_is_local(const char *host);
/* Is the Origin ("https://keyferry.example:7280") a page of this Host? Sec-Fetch-Site, where it is given, has to be same-origin or none. NULL: not given. The scheme is
 * not compared: a proxy may end TLS. */
bool origin_is_own(const char *origin, const char *fetch_site, const char *host);

#endif
