/* What an API is made of: for api.c and the handlers. */
#ifndef KEYFERRY_API_API_STATE_H
#define KEYFERRY_API_API_STATE_H

#include "api/api.h"

struct access;

struct api {
	struct service *service;
	struct api_options options;
	json_t *components; /* of schemas.json */
	char *document;     /* the OpenAPI document */
	struct access *access;
	struct feed *feed;
};

#endif
